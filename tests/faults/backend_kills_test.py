"""A branch's backend is ended by an administrator between every two statements, and inside each of them.

Whatever it was doing: the client hears what is true, both branches agree, nothing stays in doubt, and the same request_id
commits once. A branch that had not prepared says no, effect none; one that had is committed by another session.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import Cluster, end_backends
from harness.standing import (
    AFTER_END,
    AT_END,
    AT_MARKER,
    IN_COMMIT,
    IN_FIRST_STATEMENT,
    IN_SECOND_STATEMENT,
    Standing,
    Wait,
)
from harness.workload import ABORTED, COMMITTED, UNKNOWN

RESOURCES = ("pg", "my", "ma")


@pytest.fixture(scope="module")
def shared(fleet, tmp_path_factory) -> Iterator[Cluster]:
    servers = {server.kind: server for server in fleet.servers}
    with Cluster(tmp_path_factory.mktemp("backend-kills"), servers) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    yield shared
    shared.heal()


# Where the agent stands, and what the client may be told. Before a session has the work, the session that takes it may
# be found dead, or another be opened.
_BEFORE_WORK = [("agent.after_prepare_received", 1), ("agent.after_work_started", 1)]
_AT_WORK = [("agent.after_marker", 1), ("agent.after_statement", 1), ("agent.after_statement", 2)]
_PREPARED = ["agent.after_prepare_durable", "agent.after_vote_durable", "agent.after_vote_sent"]
_FINISHING = [
    "agent.after_commit_received",
    "agent.after_commit_started",
    "agent.after_commit_applied",
    "agent.after_commit_durable",
    "agent.after_acknowledgement",
]


def _kill_at(
    cluster: Cluster, resource: str, phases: int, point: str, statement: int, *expected: str
) -> None:
    standing = Standing(cluster, resource, phases)
    standing.stop_at(point, statement)
    end_backends(standing.vault.server, standing.role, standing.backends())
    cluster.agent.resume()
    standing.judge(*expected)


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize(("point", "statement"), [*_BEFORE_WORK, *_AT_WORK, ("agent.after_statements", 1)])
def test_a_backend_that_is_killed_before_it_has_prepared_makes_a_no(
    cluster: Cluster, resource: str, point: str, statement: int
) -> None:
    expected = (ABORTED, COMMITTED) if (point, statement) in _BEFORE_WORK else (ABORTED,)
    _kill_at(cluster, resource, 2, point, statement, *expected)


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("point", [*_PREPARED, *_FINISHING])
def test_a_backend_that_is_killed_after_it_has_prepared_takes_nothing_with_it(
    cluster: Cluster, resource: str, point: str
) -> None:
    _kill_at(cluster, resource, 2, point, 1, COMMITTED)


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize(
    ("point", "statement"),
    [
        *_BEFORE_WORK,
        *_AT_WORK,
        ("agent.after_statement", 3),
        ("agent.after_statements", 1),
        ("agent.before_one_phase_commit", 1),
    ],
)
def test_a_backend_that_is_killed_before_its_one_phase_commit_commits_nothing(
    cluster: Cluster, resource: str, point: str, statement: int
) -> None:
    # Of an earlier attempt a lost session tells nothing, so its client hears that it may ask again: Attack 40.
    expected = (UNKNOWN, COMMITTED) if (point, statement) in _BEFORE_WORK else (UNKNOWN,)
    _kill_at(cluster, resource, 1, point, statement, *expected)


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("point", ["agent.after_one_phase_commit", "agent.after_vote_sent"])
def test_a_backend_that_is_killed_after_its_one_phase_commit_takes_nothing_with_it(
    cluster: Cluster, resource: str, point: str
) -> None:
    _kill_at(cluster, resource, 1, point, 1, COMMITTED)


def _kill_inside(cluster: Cluster, resource: str, phases: int, wait: Wait, *expected: str) -> None:
    standing = Standing(cluster, resource, phases)
    with standing.wait_at(wait):
        (waiting,) = standing.waiting()
        end_backends(standing.vault.server, standing.role, [waiting])
    standing.judge(*expected)


_INSIDE = {
    "marker": AT_MARKER,
    "first statement": IN_FIRST_STATEMENT,
    "second statement": IN_SECOND_STATEMENT,
    "end": AT_END,
}


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("phases", [1, 2])
@pytest.mark.parametrize("inside", _INSIDE)
def test_a_backend_that_is_killed_inside_a_statement_leaves_nothing_half_done(
    cluster: Cluster, resource: str, phases: int, inside: str
) -> None:
    _kill_inside(cluster, resource, phases, _INSIDE[inside], ABORTED if phases == 2 else UNKNOWN)


# Attack 2: Postgres has prepared, or committed, when its backend is ended, and nobody heard so.
@pytest.mark.parametrize(("phases", "expected"), [(2, ABORTED), (1, COMMITTED)])
def test_a_backend_that_is_killed_before_it_has_answered_is_not_taken_for_a_no(
    cluster: Cluster, phases: int, expected: str
) -> None:
    _kill_inside(cluster, "pg", phases, AFTER_END, expected)


# T9: "unknown XID" at the next try is neither success nor failure.
@pytest.mark.parametrize("resource", RESOURCES)
def test_a_backend_that_is_killed_inside_the_commit_of_a_prepared_branch_is_followed_by_another(
    cluster: Cluster, resource: str
) -> None:
    _kill_inside(cluster, resource, 2, IN_COMMIT, COMMITTED)
