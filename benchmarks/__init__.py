"""What the platform does and how fast, measured against the plain tools that it is made of.

`make bench` runs everything and rewrites RESULTS.md; `python -m benchmarks NAME…` runs some. Figures of one machine
say little, so goals are ratios or differences between two things measured in turn, in the same run.
"""
