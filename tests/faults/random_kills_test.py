"""Five hundred mixed transactions while agent, coordinator and database servers are killed at random, and started again."""

from __future__ import annotations

import dataclasses
import random
import threading
import time

import harness
from harness import Cluster, Workload
from harness.workload import ABORTED, COMMITTED, UNKNOWN, Order

_CLIENTS = 6
_LEAST_ORDERS = 500
_LEAST_ROUNDS = 4  # of kills; in each, everything is killed at least once
_LONGEST_S = 150


def test_no_money_is_made_or_lost_while_everything_is_killed_at_random(cluster: Cluster, servers) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    clients = [_Client(cluster, number, random.Random(seed + number)) for number in range(_CLIENTS)]
    for client in clients:
        client.start()
    kills = _kill_at_random(cluster, list(servers.values()), clients, random.Random(seed))
    for client in clients:
        client.enough.set()
    cluster.heal()
    for client in clients:
        client.join(60)
        assert not client.is_alive(), f"{client.name} was never answered"
    asked = [each for client in clients for each in client.asked]
    print(f"{len(asked)} orders, {sum(len(each.answers) for each in asked)} calls, kills: {kills}")
    assert len(asked) >= _LEAST_ORDERS
    # Commits that were decided are driven to their end first; then every answer must be true.
    cluster.bank.check(within_s=60)
    _check_answers(cluster, asked)


@dataclasses.dataclass
class _Asked:
    order: Order
    answers: list[str] = dataclasses.field(default_factory=list)
    transactions: set[str] = dataclasses.field(default_factory=set)

    def add(self, answer: str, order: Order) -> None:
        self.answers.append(answer)
        if answer == COMMITTED and order.transaction:
            self.transactions.add(order.transaction)


class _Client(threading.Thread):
    """Places orders until it is enough. Asks again where it got no answer, sometimes where it got one, and sometimes
    twice at once."""

    def __init__(self, cluster: Cluster, number: int, choice: random.Random) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self.enough = threading.Event()
        self.asked: list[_Asked] = []
        self._cluster, self._number, self._choice = cluster, number, choice

    def run(self) -> None:
        while not self.enough.is_set():
            work = Workload(self._cluster, timeout_ms=3000, number=self._number)
            for order in self._choice.sample(work.orders, len(work.orders)):
                self.asked.append(self._place(work, order))

    def _place(self, work: Workload, order: Order) -> _Asked:
        asked = _Asked(order)
        twin = None
        if self._choice.random() < 0.1:
            twin = dataclasses.replace(order)
            second = threading.Thread(target=work.ask, args=(twin,), daemon=True)
            second.start()
        for _ in range(4):
            asked.add(work.ask(order), order)
            if order.told != UNKNOWN and self._choice.random() > 0.2:
                break
        if twin is not None:
            second.join()
            # What the other call says of an abort speaks of that call only.
            if twin.told == COMMITTED:
                asked.add(twin.told, twin)
        return asked


def _kill_at_random(
    cluster: Cluster, servers: list[harness.Server], clients: list[_Client], choice: random.Random
) -> dict[str, int]:
    kills: dict[str, int] = {}
    ends = time.monotonic() + _LONGEST_S
    rounds = 0
    while rounds < _LEAST_ROUNDS or sum(len(client.asked) for client in clients) < _LEAST_ORDERS:
        assert time.monotonic() < ends, f"too few orders: {[len(client.asked) for client in clients]}"
        victims = [cluster.agent, cluster.agent, cluster.coordinator, cluster.coordinator, *servers]
        for victim in choice.sample(victims, len(victims)):
            time.sleep(choice.uniform(0.1, 0.5))
            victim.kill()
            kills[victim.name] = kills.get(victim.name, 0) + 1
            time.sleep(choice.uniform(0, 0.3))
            if isinstance(victim, harness.Program):
                victim.start()
            else:
                victim.restart()
        rounds += 1
    return kills


def _check_answers(cluster: Cluster, asked: list[_Asked]) -> None:
    stands = {name: set(cluster.bank.transfers(name)) for name in cluster.bank.vaults}
    proofs = {name: cluster.proofs(name) for name in cluster.bank.vaults}
    for each in asked:
        order, answers = each.order, each.answers
        writers = set(order.writers)
        found = {name for name in writers if order.transfer in stands[name]}
        proven = {name for name in proofs if order.request_id in proofs[name]}
        what = f"{order.transfer}, told {answers} ({order.detail}), stands in {found}, proven in {proven}"
        assert found in (set(), writers), what
        assert found == proven and all(proofs[name][order.request_id] == 1 for name in proven), what
        assert COMMITTED not in answers or found == writers, what
        # What only read is run again, and may fail then.
        assert (
            not (writers and COMMITTED in answers) or ABORTED not in answers[answers.index(COMMITTED) :]
        ), what
        assert answers[-1] != ABORTED or not found, what
        assert order.may_commit or not (found or COMMITTED in answers), what
        assert len(each.transactions) <= 1 or not writers, f"{what}: {each.transactions}"
