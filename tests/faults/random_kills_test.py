"""Five hundred transactions while agent, coordinator and database servers are killed at random, and started again."""

from __future__ import annotations

import random
import threading
import time

import harness
from harness import Cluster, Workload
from harness.workload import ABORTED, COMMITTED, UNKNOWN, Order

_CLIENTS = 6
_ROUNDS = 12  # of seven orders, for each client
_LONGEST_S = 150


def test_no_money_is_made_or_lost_while_everything_is_killed_at_random(cluster: Cluster, servers) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    works = [
        [Workload(cluster, timeout_ms=3000, first_account=7 * client) for _ in range(_ROUNDS)]
        for client in range(_CLIENTS)
    ]
    orders = [order for rounds in works for work in rounds for order in work.orders]
    clients = [
        threading.Thread(target=_work_through, args=(rounds,), daemon=True, name=f"client {number}")
        for number, rounds in enumerate(works)
    ]
    for client in clients:
        client.start()
    kills = _kill_at_random(cluster, list(servers.values()), clients, random.Random(seed))
    cluster.heal()
    for client in clients:
        client.join(60)
        assert not client.is_alive(), f"{client.name} was never answered"
    print(f"{len(orders)} orders, kills: {kills}")
    # Commits that were decided are driven to their end first; then every answer must be true.
    cluster.bank.check(within_s=60)
    _check_answers(cluster, orders)


def _work_through(rounds: list[Workload]) -> None:
    for work in rounds:
        for order in work.orders:
            for _ in range(3):
                if work.ask(order) != UNKNOWN:
                    break
                time.sleep(0.1)


def _kill_at_random(
    cluster: Cluster, servers: list[harness.Server], clients: list[threading.Thread], choice: random.Random
) -> dict[str, int]:
    kills: dict[str, int] = {}
    ends = time.monotonic() + _LONGEST_S
    while any(client.is_alive() for client in clients) and time.monotonic() < ends:
        time.sleep(choice.uniform(0.1, 0.5))
        victim = choice.choice(
            [cluster.agent, cluster.agent, cluster.coordinator, cluster.coordinator, *servers]
        )
        victim.kill()
        kills[victim.name] = kills.get(victim.name, 0) + 1
        time.sleep(choice.uniform(0, 0.3))
        if isinstance(victim, harness.Program):
            victim.start()
        else:
            victim.restart()
    return kills


def _check_answers(cluster: Cluster, orders: list[Order]) -> None:
    stands = {name: set(cluster.bank.transfers(name)) for name in cluster.bank.vaults}
    proofs = {name: cluster.proofs(name) for name in cluster.bank.vaults}
    for order in orders:
        found = {name for name in order.resources if order.transfer in stands[name]}
        proven = {name for name in order.resources if proofs[name].get(order.request_id) == 1}
        what = f"{order.transfer}, told {order.told} ({order.detail}), stands in {found}"
        assert found in (set(), set(order.resources)), what
        assert found == proven, f"{what}, markers prove {proven}"
        assert order.told != COMMITTED or found, what
        assert order.told != ABORTED or not found, what
        assert order.may_commit or not found, what
