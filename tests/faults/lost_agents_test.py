"""The agent is killed while a backend of its goes on, which the server does not notice.

Attack 2: nothing may be prepared, or commit, after "rolled back" was told. Attack 52: such a backend cannot be found by its
name, so the next start ends every session of its role.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import Cluster, backends, eventually, prepared_branches, wait_gone
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
    with Cluster(tmp_path_factory.mktemp("lost-agents"), servers) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    yield shared
    shared.heal()


# A statement that takes the name away by which its session could be known.
_DISGUISE = "SELECT set_config('application_name', 'somebody else', false)"


def _leave_alone(cluster: Cluster, standing: Standing) -> None:
    """Kills the agent; its backend waits on."""
    (left,) = standing.waiting()
    cluster.agent.kill()
    cluster.agent.disarm()
    assert standing.waiting() == [left], "the server does not notice that its client has gone"


def _committed(standing: Standing) -> list[str]:
    return standing.cluster.bank.stands_in(standing.name)


# What waits for a row lock, or in a deferred trigger, is there when the next start serves.
_ROW_LOCKS = {
    "marker": (AT_MARKER, RESOURCES),
    "first statement": (IN_FIRST_STATEMENT, RESOURCES),
    "second statement": (IN_SECOND_STATEMENT, RESOURCES),
    "end": (AT_END, ("pg",)),
}


@pytest.mark.parametrize("phases", [1, 2])
@pytest.mark.parametrize(
    ("where", "resource"), [(where, name) for where, (_, names) in _ROW_LOCKS.items() for name in names]
)
def test_a_backend_that_outlives_its_agent_is_ended_before_the_next_start_answers(
    cluster: Cluster, where: str, resource: str, phases: int
) -> None:
    standing = Standing(cluster, resource, phases, first=_DISGUISE if resource == "pg" else None)
    with standing.wait_at(_ROW_LOCKS[where][0]):
        (left,) = standing.waiting()
        _leave_alone(cluster, standing)
        cluster.agent.start()
        cluster.wait_serving()
        numbers = [each.number for each in backends(standing.vault.server, standing.role)]
        assert left.number not in numbers, "the next start serves, and the old backend is still there"
        standing.work.join()
    # Nothing is left that the freed lock would let go on.
    assert not _committed(standing)
    expected = (ABORTED,) if phases == 2 else (ABORTED, UNKNOWN)
    standing.judge(*expected)


# The lock is freed first, and the backend may do what it was told: prepare, or commit in one phase.
@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("phases", [1, 2])
def test_what_a_backend_did_after_its_agent_died_is_found(
    cluster: Cluster, resource: str, phases: int
) -> None:
    standing = Standing(cluster, resource, phases)
    with standing.wait_at(AT_END):
        (left,) = standing.waiting()
        _leave_alone(cluster, standing)
    wait_gone(standing.vault.server, standing.role, [left])
    # Nobody listed it, so nobody ended it: it did what it was told and found its client gone.
    if phases == 1:
        assert _committed(standing) == [resource]
    else:
        assert len(prepared_branches(standing.vault.server)) == 1
    cluster.agent.start()
    standing.judge(COMMITTED if phases == 1 else ABORTED)


# The same while the next start is under way. On MySQL and MariaDB it cannot even raise its owner row meanwhile.
@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("phases", [1, 2])
def test_a_backend_that_goes_on_while_the_next_start_comes_up_is_told_of_truly(
    cluster: Cluster, resource: str, phases: int
) -> None:
    standing = Standing(cluster, resource, phases)
    with standing.wait_at(AT_END):
        _leave_alone(cluster, standing)
        cluster.agent.start()
    expected = (ABORTED,) if phases == 2 else (ABORTED, COMMITTED, UNKNOWN)
    standing.judge(*expected)


# Postgres has prepared, or committed, and cannot say so: it waits for a standby.
@pytest.mark.parametrize(("phases", "expected"), [(1, COMMITTED), (2, ABORTED)])
def test_what_a_backend_had_done_before_its_agent_died_is_found(
    cluster: Cluster, phases: int, expected: str
) -> None:
    standing = Standing(cluster, "pg", phases)
    with standing.wait_at(AFTER_END):
        _leave_alone(cluster, standing)
        cluster.agent.start()
    standing.judge(expected)


# T3: what was decided is done, whoever does it.
@pytest.mark.parametrize("resource", RESOURCES)
def test_a_commit_that_outlives_its_agent_is_a_commit(cluster: Cluster, resource: str) -> None:
    standing = Standing(cluster, resource, 2)
    with standing.wait_at(IN_COMMIT):
        _leave_alone(cluster, standing)
        cluster.agent.start()
    eventually(lambda: len(_committed(standing)) == 2, "both branches have committed")
    standing.judge(COMMITTED)
