"""A group of coordinators loses its leader, by every kind of loss, while transfers run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

import harness
from harness import Group, Workload
from harness.workload import COMMITTED


@pytest.fixture
def group(servers: dict[str, harness.Server], workspace) -> Iterator[Group]:
    with Group(workspace, servers) as started:
        yield started


def _settle(group: Group, work: Workload) -> None:
    work.join()
    group.heal()
    work.check()
    group.bank.check(within_s=60)


def test_a_killed_leader_costs_a_fraction_of_a_second(group: Group) -> None:
    for round_ in range(4):
        leader = group.await_leader()
        work = Workload(group, number=round_)
        work.begin()
        time.sleep(0.05)
        group.replicas[leader].kill()
        took = group.first_commit(time.monotonic(), f"after-kill-{round_}")
        print(f"replica {leader} was killed; the next commit came {took * 1000:.0f} ms later")
        assert took < 10
        group.replicas[leader].start()
        _settle(group, work)
