"""Many companies at once against the running platform; `make bench ARGS=concurrency` runs the large one."""

from __future__ import annotations

from knowrithm.tests.crowd import OPERATIONS, Crowd, sweep
from knowrithm.tests.flows.test_api_keys import environment_of
from knowrithm.tests.platform import FLOW, Platform

pytestmark = FLOW


def test_a_crowd_of_companies_sees_nothing_of_each_other(platform: Platform) -> None:
    crowd = Crowd(platform.url, companies=4)
    crowd.run(threads=8, calls=400)
    kept = sweep(crowd, environment_of(platform))
    found = crowd.findings
    assert (found.leaks, found.faults) == ([], [])
    # All of it had something that could have leaked.
    assert found.telling > found.calls / 2
    assert kept.keys() == {"rows", "shared rows", "files", "Redis: hash", "Redis: stream"}
    assert len(found.operations) > len(OPERATIONS) / 2
