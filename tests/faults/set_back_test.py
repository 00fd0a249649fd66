"""Attack 46: a database server is set back to a copy of its data, under a running agent and between two starts.

What it lacks then may have been committed before, so nothing is proved from absence, and nobody hears "not committed", until
an operator has looked: `troth resource take-over`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import (
    Backup,
    Cluster,
    Remote,
    Server,
    Workload,
    connected,
    eventually,
    prepared_branches,
    rows,
    troth,
)
from harness.standing import Standing
from harness.workload import COMMITTED, UNKNOWN

RESOURCES = {"pg", "my", "ma"}
RUNNING, STARTED = "under a running agent", "between two starts"


@pytest.fixture
def cluster(servers: dict[str, Server], workspace: Path) -> Iterator[Cluster]:
    """One of the test's own: what is set back does not fit what the coordinator knows."""
    with Cluster(workspace, servers) as started:
        yield started


def _read(cluster: Cluster, resource: str, sql: str) -> int:
    vault = cluster.bank.vaults[resource]
    with connected(vault.server, vault.database) as session:
        table = "troth.troth_" if vault.server.kind == "postgres" else "troth_"
        return rows(session, sql.replace("troth_", table))[0][0]


def _counter(cluster: Cluster, resource: str) -> int:
    return _read(cluster, resource, "SELECT counter FROM troth_owner WHERE id = 1")


def _barriers(cluster: Cluster, resource: str) -> int:
    return _read(cluster, resource, "SELECT count(*) FROM troth_branch WHERE state = 'barred'")


def _back_up(cluster: Cluster, resource: str) -> Callable[[], None]:
    """Returns what sets it back."""
    backup = Backup(cluster.bank.vaults[resource].server, cluster.directory)
    cluster.wait_serving()
    copied = _counter(cluster, resource)
    # Higher by more than what the agent may not have journalled yet.
    eventually(lambda: _counter(cluster, resource) > copied + 2, "the counter rises")
    return backup.restore


def _set_back(cluster: Cluster, restore: Callable[[], None], agent: str) -> None:
    if agent == STARTED:
        cluster.agent.kill()
    restore()
    if agent == STARTED:
        cluster.agent.start()


def _expect_set_back(cluster: Cluster, resource: str) -> None:
    """It is named, with its remedy; the other resources are served."""

    def holds() -> bool:
        with Remote(cluster.agent.port, "Agent") as agent:
            health = {each.resource: each for each in agent.agent_status().resources}
        said = f"{health[resource].detail} {getattr(health[resource], 'remedy', '')}"
        assert "nothing is proved from absence" in said and "troth resource take-over" in said, said
        assert {name for name, each in health.items() if each.state == "serving"} == set(RESOURCES) - {
            resource
        }
        return True

    eventually(holds, f"{resource} is known to be set back", 30)


def _take_over(cluster: Cluster, resource: str) -> None:
    words = ("--agent", cluster.agent.address, "--reason", "restored from the copy of noon")
    troth(cluster, "resource", "take-over", resource, *words)
    cluster.wait_serving()


def _status(cluster: Cluster, transaction: str) -> str:
    return troth(cluster, "status", transaction, exit_code=None)["state"]


def _expect_work(cluster: Cluster) -> None:
    work = Workload(cluster)
    work.begin()
    work.join()
    work.check()


@pytest.mark.parametrize(
    ("resource", "agent"), [("pg", RUNNING), ("pg", STARTED), ("my", STARTED), ("ma", RUNNING)]
)
def test_a_commit_that_a_set_back_took_is_not_told_as_never_made(
    cluster: Cluster, resource: str, agent: str
) -> None:
    restore = _back_up(cluster, resource)
    # Committed in one phase, and the agent dies before it knows so: only the resource can tell.
    standing = Standing(cluster, resource, 1)
    standing.work.timeout_ms = 1000
    cluster.proxy.drop("settle_branch")
    cluster.agent.arm("agent.after_one_phase_commit")
    cluster.agent.restart()
    cluster.wait_serving()
    standing.begin()
    cluster.agent.expect_exit(-9)
    cluster.agent.disarm()
    cluster.agent.start()
    cluster.wait_serving()
    standing.work.join()
    assert standing.told == UNKNOWN, standing.order.detail
    assert cluster.bank.stands_in(standing.name) == [resource]
    (marker,) = cluster.markers(resource, standing.order.request_id)

    _set_back(cluster, restore, agent)
    assert not cluster.bank.stands_in(standing.name)
    asked = len(cluster.proxy.seen("settle_branch", kind="reply"))
    cluster.proxy.heal()
    _expect_set_back(cluster, resource)
    # It is asked again, and cannot tell.
    cluster.proxy.wait_seen("settle_branch", kind="reply", count=asked + 1)
    assert _barriers(cluster, resource) == 0
    assert _status(cluster, marker.transaction) == "pending"
    assert standing.work.ask(standing.order) != COMMITTED
    assert _barriers(cluster, resource) == 0

    _take_over(cluster, resource)
    eventually(lambda: _status(cluster, marker.transaction) == "not committed", "the operator let it be told")
    standing.work.check()
    _expect_work(cluster)


@pytest.mark.parametrize(("resource", "agent"), [("pg", STARTED), ("my", RUNNING), ("ma", STARTED)])
def test_a_branch_that_a_set_back_brought_back_is_committed_as_it_was(
    cluster: Cluster, resource: str, agent: str
) -> None:
    standing = Standing(cluster, resource, 2)
    held = cluster.proxy.hold("commit_branch")
    standing.begin()
    held.wait(2)
    restore = _back_up(cluster, resource)
    held.release()
    standing.work.join()
    assert standing.told == COMMITTED, standing.order.detail
    server = standing.vault.server
    eventually(lambda: not prepared_branches(server), "it is committed everywhere")

    _set_back(cluster, restore, agent)
    assert len(prepared_branches(server)) == 1
    _expect_set_back(cluster, resource)
    _take_over(cluster, resource)
    cluster.bank.check()
    assert len(cluster.bank.stands_in(standing.name)) == 2
    standing.work.check()
    _expect_work(cluster)


@pytest.mark.parametrize(("resource", "agent"), [("pg", RUNNING), ("my", STARTED), ("ma", RUNNING)])
def test_a_decided_commit_that_a_set_back_took_is_named_and_not_told_as_done(
    cluster: Cluster, resource: str, agent: str
) -> None:
    restore = _back_up(cluster, resource)
    # Both have voted, commit is decided, and the agent stands still before it can hear so.
    standing = Standing(cluster, resource, 2)
    standing.work.timeout_ms = 1000
    standing.stop_at("agent.after_vote_sent")
    cluster.agent.disarm()
    standing.work.join()
    assert standing.told == COMMITTED, "it is decided, and not applied everywhere yet"

    _set_back(cluster, restore, agent)
    cluster.agent.resume()
    _expect_set_back(cluster, resource)
    eventually(lambda: len(cluster.bank.stands_in(standing.name)) == 1, "the other branch has committed")
    asked = len(cluster.proxy.seen("commit_branch"))
    cluster.proxy.wait_seen("commit_branch", count=asked + 3)
    assert _barriers(cluster, resource) == 0
    (open_one,) = troth(cluster, "in-doubt", exit_code=None)["transactions"]
    transaction = open_one["transaction_id"]
    assert _status(cluster, transaction) == "committed"

    _take_over(cluster, resource)
    eventually(lambda: _status(cluster, transaction) == "heuristic mixed", "the loss is named")
    assert resource not in cluster.bank.stands_in(standing.name)
    with pytest.raises(AssertionError, match=standing.name):
        cluster.bank.check_transfers_whole()
    # What was lost with it stays lost until it is repaired; everything else goes on.
    eventually(lambda: not cluster.bank.in_doubt(), "nothing is in doubt")
