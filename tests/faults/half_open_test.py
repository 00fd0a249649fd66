"""Connections whose agent's end is gone while the server's stands: a host that died, a firewall that forgot.

Attack 4: MariaDB ties a prepared branch to the session that prepared it; while that session is half-open nobody else can
finish the branch, and it cannot be told from one that never was. Attack 29: such sessions appear at any time.
"""

from __future__ import annotations

from collections.abc import Iterator

import pymysql
import pytest

from harness import Cluster, backends, connected, eventually, prepared_branches, rows, wait_gone
from harness.standing import AT_MARKER, IN_FIRST_STATEMENT, IN_SECOND_STATEMENT, Standing
from harness.workload import ABORTED, COMMITTED, UNKNOWN

RESOURCES = ("pg", "my", "ma")
_XAER_NOTA = 1397


@pytest.fixture(scope="module")
def shared(fleet, tmp_path_factory) -> Iterator[Cluster]:
    servers = {server.kind: server for server in fleet.servers}
    with Cluster(tmp_path_factory.mktemp("half-open"), servers, relayed=True) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    yield shared
    # Its idle sessions died as well, and the next branch would find that out.
    shared.agent.kill()
    shared.heal()


def _prepare(cluster: Cluster, resource: str) -> Standing:
    """Both branches are prepared, commit is decided, and no agent hears so."""
    standing = Standing(cluster, resource, 2)
    lost = cluster.proxy.drop("commit_branch")
    standing.begin()
    lost.wait(2)
    assert len(prepared_branches(standing.vault.server)) == 1
    return standing


def _assert_tied(standing: Standing) -> None:
    """The fact that all this is about: the branch is listed, and no other session can commit it."""
    (held,) = prepared_branches(standing.vault.server)
    with connected(standing.vault.server, standing.vault.database) as session:
        with pytest.raises(pymysql.MySQLError) as refused:
            rows(session, f"XA COMMIT {held.name}")
    assert refused.value.args[0] == _XAER_NOTA
    assert not standing.cluster.markers(standing.resource, standing.order.request_id)


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_prepared_branch_behind_a_half_open_session_is_finished_by_the_next_start(
    cluster: Cluster, resource: str
) -> None:
    standing = _prepare(cluster, resource)
    server, relay = standing.vault.server, cluster.relays[resource]
    relay.keep_server_ends()
    left = backends(server, standing.role)
    cluster.agent.kill()
    eventually(lambda: relay.orphans() >= len(left), "the agent's ends have gone")
    assert backends(server, standing.role) == left, "the server has not noticed"
    if resource == "ma":
        _assert_tied(standing)
    cluster.agent.start()
    wait_gone(server, standing.role, left)
    cluster.proxy.heal()
    eventually(lambda: len(cluster.bank.stands_in(standing.name)) == 2, "both branches have committed")
    standing.judge(COMMITTED)


# The agent lives, and its connections do not.
@pytest.mark.parametrize("resource", RESOURCES)
def test_a_prepared_branch_behind_a_half_open_session_is_finished_by_the_agent_that_lost_it(
    cluster: Cluster, resource: str
) -> None:
    standing = Standing(cluster, resource, 2)
    held = cluster.proxy.hold("commit_branch")
    standing.begin()
    held.wait(2)
    server, relay = standing.vault.server, cluster.relays[resource]
    left = backends(server, standing.role)
    relay.orphan()
    eventually(lambda: relay.orphans() >= len(left), "the agent's ends have gone")
    if resource == "ma":
        _assert_tied(standing)
    held.release()
    cluster.proxy.heal()
    eventually(lambda: len(cluster.bank.stands_in(standing.name)) == 2, "both branches have committed")
    standing.judge(COMMITTED)


# Attack 2 without a crash; T11: no is said only when the backend that waits can do nothing any more.
@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("phases", [1, 2])
@pytest.mark.parametrize(
    "wait",
    [AT_MARKER, IN_FIRST_STATEMENT, IN_SECOND_STATEMENT],
    ids=["marker", "first statement", "second statement"],
)
def test_a_backend_whose_connection_broke_is_ended_before_its_branch_says_no(
    cluster: Cluster, wait, resource: str, phases: int
) -> None:
    standing = Standing(cluster, resource, phases)
    server = standing.vault.server
    with standing.wait_at(wait):
        (left,) = standing.waiting()
        cluster.relays[resource].orphan()
        voted = len(cluster.proxy.seen("prepare", kind="reply"))
        cluster.proxy.wait_seen("prepare", kind="reply", count=voted + 1)
        assert left.number not in [each.number for each in backends(server, standing.role)]
    standing.judge(ABORTED if phases == 2 else UNKNOWN)
