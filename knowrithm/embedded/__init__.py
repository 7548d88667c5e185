"""The local PostgreSQL and Valkey of `make run` and `make test`, and the supervisor that runs the whole platform.

Knows no Django: it only sets the environment and starts programs.
"""
