"""Every labelled point of the commit path: the process dies there, starts again, and what everybody was told is true.

The points come from the programs themselves. One that is never reached fails its test: its process does not die.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

import harness
from harness import Cluster, Program, Workload, eventually


def _points(program: str) -> list[str]:
    command = [harness.programs_directory() / program, "--list-crash-points"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


@pytest.fixture(scope="module")
def shared(fleet, tmp_path_factory) -> Iterator[Cluster]:
    """One cluster for all points: each leaves it whole, or its test has failed."""
    servers = {server.kind: server for server in fleet.servers}
    with Cluster(tmp_path_factory.mktemp("crash-points"), servers) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    yield shared
    if shared.coordinator.settings.pop("retention", None):
        shared.coordinator.kill()
    shared.heal()


_MOST_MIXES = 7

# What reaches the points that a mix of transactions alone does not reach. Each is called with the point armed.


def _lose_votes(cluster: Cluster) -> None:
    """A one-phase branch whose answer is lost must be settled."""
    cluster.proxy.cut_before("prepare", kind="reply", times=3 * _MOST_MIXES)


def _lose_commits(cluster: Cluster) -> None:
    """A prepared branch that hears nothing asks."""
    cluster.proxy.drop("commit_branch")


def _forget_soon(cluster: Cluster) -> None:
    cluster.coordinator.settings["retention"] = {"keep_ms": 1000, "least_age_ms": 1000}
    cluster.coordinator.restart()
    cluster.wait_serving()


def _restart_agent(cluster: Cluster) -> None:
    cluster.agent.restart()


_STIMULI: dict[str, Callable[[Cluster], None]] = {
    "coordinator.after_settle_sent": _lose_votes,
    "coordinator.after_settle_reply": _lose_votes,
    "coordinator.after_registration_durable": _restart_agent,
    "agent.after_settle_received": _lose_votes,
    "agent.after_inquiry": _lose_commits,
    "agent.after_floor_raised": _forget_soon,
}

_WHILE_THE_AGENT_STARTS = {
    "agent.after_claim_durable",
    "agent.after_owner_raised",
    "agent.after_owns_durable",
    "agent.after_sessions_ended",
}


@pytest.mark.parametrize("point", _points("troth-coordinator"))
def test_a_coordinator_that_dies_at_any_point_leaves_nothing_half_done(cluster: Cluster, point: str) -> None:
    _die_at(cluster, cluster.coordinator, point)


@pytest.mark.parametrize("point", [p for p in _points("troth-agent") if p not in _WHILE_THE_AGENT_STARTS])
def test_an_agent_that_dies_at_any_point_leaves_nothing_half_done(cluster: Cluster, point: str) -> None:
    _die_at(cluster, cluster.agent, point)


@pytest.mark.parametrize("point", sorted(_WHILE_THE_AGENT_STARTS))
def test_an_agent_that_dies_while_it_takes_its_resources_takes_them_at_the_next_start(
    cluster: Cluster, point: str
) -> None:
    # Attack 45: an owner row between "claiming" and "owns" must not lock out the agent that wrote it.
    work = Workload(cluster)
    lost = cluster.proxy.drop("commit_branch")
    work.begin()
    lost.wait()
    cluster.agent.kill()
    cluster.agent.arm(point)
    cluster.agent.launch()
    cluster.agent.expect_exit(-9)
    _judge(cluster, work)


def _die_at(cluster: Cluster, victim: Program, point: str) -> None:
    victim.arm(point)
    victim.restart()
    # Some points are reached before there is any work.
    eventually(lambda: not victim.runs() or cluster.serves(), "every resource serves")
    if stimulus := _STIMULI.get(point):
        stimulus(cluster)
    works: list[Workload] = []
    eventually(lambda: _dies(cluster, victim, works), f"{point} is reached", within_s=60)
    assert victim.expect_exit(-9) == -9
    _judge(cluster, *works)


def _dies(cluster: Cluster, victim: Program, works: list[Workload]) -> bool:
    """One more mix of transactions, unless the last one was enough: what is lost on its way is lost by chance."""
    if victim.runs() and len(works) < _MOST_MIXES:
        works.append(Workload(cluster, number=len(works)))
        works[-1].begin()
    return victim.ends(within_s=5)


def _judge(cluster: Cluster, *works: Workload) -> None:
    cluster.heal()
    for work in works:
        work.join()
    for work in works:
        work.check(remembered="retention" not in cluster.coordinator.settings)


# The points beside a call to a database.
@pytest.mark.parametrize("kind", ["postgres", "mysql"])
@pytest.mark.parametrize(
    "point",
    [
        "agent.after_marker",
        "agent.after_statements",
        "agent.after_prepare_durable",
        "agent.before_one_phase_commit",
        "agent.after_commit_started",
        "agent.after_commit_applied",
    ],
)
def test_a_database_server_that_dies_while_the_agent_stands_at_a_point_keeps_all_or_nothing(
    cluster: Cluster, point: str, kind: str
) -> None:
    cluster.agent.arm(point, action="stop")
    cluster.agent.restart()
    cluster.wait_serving()
    work = Workload(cluster)
    work.begin()
    eventually(cluster.agent.is_paused, "the agent stands at the point")
    server = next(vault.server for vault in cluster.vaults if vault.server.kind == kind)
    server.kill()
    cluster.agent.resume()
    server.restart()
    _judge(cluster, work)
