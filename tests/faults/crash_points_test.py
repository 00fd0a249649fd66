"""Every labelled point of the commit path: the process dies there, starts again, and what everybody was told is true.

The points come from the programs themselves. One that is never reached fails its test: its process does not die.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

import harness
from harness import Cluster, Program, Workload, eventually
from harness.standing import BETWEEN_STEPS


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
    """A one-phase branch whose answer is lost must be settled; among others the lost one would be another's."""
    cluster.proxy.cut_before("prepare", kind="reply", times=1)


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

# No transaction comes there by itself: tests/integration/operator_test.py resolves a branch by hand, and kills the agent.
_BY_AN_OPERATOR = {"agent.before_resolution_marked"}

_COORDINATOR = _points("troth-coordinator")
_AGENT = [point for point in _points("troth-agent") if point not in _BY_AN_OPERATOR]
KINDS = ("postgres", "mysql", "mariadb")
# At which points this run has killed what: the process itself, a kind of server.
_reached: dict[str, set[str]] = {}


def _was_reached(point: str, *killed: str) -> None:
    _reached.setdefault(point, set()).update(killed)


@pytest.mark.parametrize("point", _COORDINATOR)
def test_a_coordinator_that_dies_at_any_point_leaves_nothing_half_done(cluster: Cluster, point: str) -> None:
    _die_at(cluster, cluster.coordinator, point)


# Attack 45: an owner row between "claiming" and "owns" must not lock out the agent that wrote it.
@pytest.mark.parametrize("point", _AGENT)
def test_an_agent_that_dies_at_any_point_leaves_nothing_half_done(cluster: Cluster, point: str) -> None:
    _die_at(cluster, cluster.agent, point)


def _die_at(cluster: Cluster, victim: Program, point: str) -> None:
    works = _bring_to(cluster, victim, point, "kill")
    assert victim.expect_exit(-9) == -9
    _judge(cluster, *works)
    _was_reached(point, "itself")


def _bring_to(cluster: Cluster, victim: Program, point: str, action: str) -> list[Workload]:
    """The process has ended, or stands still, at the point; returns the work that is under way."""
    works: list[Workload] = []
    cluster.keep_steps_apart(point in BETWEEN_STEPS)
    if point in _WHILE_THE_AGENT_STARTS:
        lost = cluster.proxy.drop("commit_branch")
        works.append(Workload(cluster))
        works[0].begin()
        lost.wait()
        victim.kill()
        victim.arm(point, action)
        victim.launch()
    else:
        victim.arm(point, action)
        victim.restart()
        # Some points are reached before there is any work.
        eventually(lambda: _has_come(victim) or cluster.serves(), "every resource serves")
        stimulus = _STIMULI.get(point)
        if stimulus and stimulus is not _lose_votes:
            stimulus(cluster)
    each_mix = _lose_votes if _STIMULI.get(point) is _lose_votes else None
    eventually(lambda: _comes(cluster, victim, works, each_mix), f"{point} is reached", within_s=60)
    assert f"crash point {point} reached: {action}" in victim.output()
    return works


def _has_come(victim: Program) -> bool:
    return victim.is_paused() or not victim.runs()


def _comes(
    cluster: Cluster,
    victim: Program,
    works: list[Workload],
    each_mix: Callable[[Cluster], None] | None,
) -> bool:
    """One more mix of transactions, unless the last one was enough: what is lost on its way is lost by chance."""
    if not _has_come(victim) and len(works) < _MOST_MIXES:
        if each_mix:
            each_mix(cluster)
        works.append(Workload(cluster, number=len(works), only_single=each_mix is _lose_votes))
        works[-1].begin()
    deadline = time.monotonic() + 5
    while not _has_come(victim) and time.monotonic() < deadline:
        time.sleep(0.005)
    return _has_come(victim)


def _judge(cluster: Cluster, *works: Workload) -> None:
    cluster.heal()
    for work in works:
        work.join()
    for work in works:
        work.check(remembered="retention" not in cluster.coordinator.settings)


# Whatever the agent was doing when its database went: before a call, inside it, or on its way to the next.
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", _AGENT)
def test_a_database_server_that_dies_while_the_agent_stands_at_a_point_keeps_all_or_nothing(
    cluster: Cluster, point: str, kind: str
) -> None:
    _server_dies_at(cluster, cluster.agent, point, kind, _AGENT.index(point) + KINDS.index(kind))


@pytest.mark.parametrize(("turn", "point"), list(enumerate(_COORDINATOR)), ids=_COORDINATOR)
def test_a_database_server_that_dies_while_the_coordinator_stands_at_a_point_keeps_all_or_nothing(
    cluster: Cluster, turn: int, point: str
) -> None:
    _server_dies_at(cluster, cluster.coordinator, point, KINDS[turn % len(KINDS)], turn)


def _server_dies_at(cluster: Cluster, program: Program, point: str, kind: str, turn: int) -> None:
    works = _bring_to(cluster, program, point, "stop")
    server = next(vault.server for vault in cluster.vaults if vault.server.kind == kind)
    server.kill()
    # Every other time the server's next start is there before anybody looks, and else none for a while.
    if turn % 2 == 0:
        server.restart()
    program.resume()
    _judge(cluster, *works)
    _was_reached(point, kind)


# Last in this file: it judges the run of all of it.
@pytest.mark.parametrize("program", ["coordinator", "participant_agent"])
def test_no_point_that_the_code_names_was_left_out(program: str) -> None:
    header = harness.ROOT / program / "runtime" / "crash_points.h"
    named = set(re.findall(r'"((?:coordinator|agent)\.\w+)"', header.read_text(encoding="utf-8")))
    named -= _BY_AN_OPERATOR
    assert named == set(_COORDINATOR if program == "coordinator" else _AGENT)
    # What a coordinator knows of a server it knows from the agent: there any kind will do.
    least = 2 if program == "coordinator" else 1 + len(KINDS)
    missing = {
        name for name in named if "itself" not in _reached.get(name, set()) or len(_reached[name]) < least
    }
    assert not missing, f"not everything was killed at these points (run the whole file): {missing}"
