"""Messages that are lost, late and doubled between coordinator and agent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import Cluster, Workload
from harness.proxy import Rule
from harness.workload import ABORTED, COMMITTED, Order


@pytest.fixture(scope="module")
def shared(fleet, tmp_path_factory) -> Iterator[Cluster]:
    servers = {server.kind: server for server in fleet.servers}
    with Cluster(tmp_path_factory.mktemp("messages"), servers) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    yield shared
    shared.heal()


def _run(cluster: Cluster, *rules: Rule) -> None:
    work = Workload(cluster)
    work.begin()
    work.join()
    for rule in rules:
        rule.wait()
    cluster.proxy.heal()
    work.check()


def _one(cluster: Cluster, kind: str) -> tuple[Workload, Order]:
    work = Workload(cluster)
    return work, next(order for order in work.orders if order.transfer.startswith(kind))


# Attacks 9 and 10: a message that comes twice does its work once.
@pytest.mark.parametrize("method", ["prepare", "commit_branch", "rollback_branch"])
def test_a_doubled_message_does_nothing_twice(cluster: Cluster, method: str) -> None:
    rule = cluster.proxy.double(method)
    _run(cluster, rule)


@pytest.mark.parametrize("method", ["prepare", "commit_branch", "rollback_branch"])
@pytest.mark.parametrize("kind", ["call", "reply"])
def test_a_lost_connection_leaves_nothing_half_done(cluster: Cluster, method: str, kind: str) -> None:
    rule = cluster.proxy.cut_after(method, kind=kind, times=2)
    _run(cluster, rule)


def test_a_lost_commit_is_sent_again_and_a_lost_acknowledgement_asked_for_again(cluster: Cluster) -> None:
    lost = cluster.proxy.drop("commit_branch", times=2)
    unheard = cluster.proxy.drop("commit_branch", kind="reply", times=2)
    _run(cluster, lost, unheard)


# Attack 10: work that arrives after its branch was committed and forgotten is not done again.
@pytest.mark.parametrize("kind", ["applied", "single"])
@pytest.mark.parametrize("restart", [False, True], ids=["same start", "next start"])
def test_work_that_comes_again_after_its_commit_is_not_done_again(
    cluster: Cluster, kind: str, restart: bool
) -> None:
    before = len(cluster.proxy.seen("prepare"))
    work, order = _one(cluster, kind)
    assert work.ask(order) == COMMITTED, order.detail
    prepares = cluster.proxy.seen("prepare")[before:]
    if restart:
        cluster.agent.restart()
        cluster.wait_serving()
    totals = cluster.bank.totals()
    for prepare in prepares:
        cluster.proxy.replay(prepare)
    cluster.bank.check()
    assert cluster.bank.totals() == totals


# Attack 51: a one-phase no is final, although the work would succeed when it is doubled later.
@pytest.mark.parametrize("restart", [False, True], ids=["same start", "next start"])
def test_work_that_comes_again_after_a_no_is_not_done(cluster: Cluster, restart: bool) -> None:
    bank, before = cluster.bank, len(cluster.proxy.seen("prepare"))
    amount = bank.opening + 1
    name = f"poor-{restart}"
    work = Workload(cluster)
    order = Order(name, bank.shift(name, "pg", 90 + restart, 92, amount), may_commit=False)
    assert work.ask(order) == ABORTED, order.detail
    late = cluster.proxy.seen("prepare")[before]
    with cluster.client() as client:
        client.run(bank.transfer(f"rich-{restart}", "my", 90, "pg", 90 + restart, 10))
    if restart:
        cluster.agent.restart()
        cluster.wait_serving()
    cluster.proxy.replay(late)
    bank.check()
    assert not bank.stands_in(name)


# T7, attack 10: work that is overtaken by its own rollback never starts.
def test_work_that_comes_after_its_rollback_is_refused(cluster: Cluster) -> None:
    work, order = _one(cluster, "applied")
    work.timeout_ms = 1000
    held = cluster.proxy.hold("prepare", times=1)
    assert work.ask(order) == ABORTED, order.detail
    held.release()
    cluster.bank.check()
    assert not cluster.bank.stands_in(order.transfer)
