"""A mix of transactions of each kind, what their clients were told, and whether that is true."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time

from thrift.Thrift import TException

from harness.cluster import Cluster
from harness.conversation import Conversation
from harness.request_ids import new_request_id
from harness.thrift_api import Client, api, branch
from harness.waiting import eventually

COMMITTED, ABORTED, UNKNOWN = "committed", "aborted", "unknown"

_FURTHER = 100
# No account has such a number.
_NOBODY = 100_000
_numbers = itertools.count(1)


@dataclasses.dataclass
class Order:
    """One transaction that a client wants, however often it must ask."""

    transfer: str
    branches: list
    may_commit: bool
    decided: bool = False
    interactive: bool = False  # statement by statement, and a commit at last
    request_id: str = dataclasses.field(default_factory=new_request_id)
    told: str = UNKNOWN
    never_asked_to_commit: bool = False  # the attempt that runs, or ran last
    detail: str = "never asked"
    transaction: str | None = None

    @property
    def writers(self) -> dict[str, int]:
        """The resources in which it stands once it is committed, and the number of its branch there."""
        return {
            work.resource: number
            for number, work in enumerate(self.branches, start=1)
            if not all(each.sql.startswith("SELECT") for each in work.statements)
        }


class Workload:
    """
    work = Workload(cluster)
    work.begin()               # each order by a client of its own, which asks once
    ...                        # whatever happens to the cluster meanwhile
    work.join()
    cluster.heal()
    work.check()               # settles: asks again with the same request_id, and looks into the databases
    """

    # Orders of a mix, and accounts that it touches first; further ones lie _FURTHER above.
    SIZE = 14

    def __init__(
        self,
        cluster: Cluster,
        timeout_ms: int = 6000,
        number: int = 0,
        orders: list[Order] | None = None,
        only_single: bool = False,
    ) -> None:
        """`number`: mixes of different numbers touch no account of each other. `orders`: these instead of a mix.
        `only_single`: of the mix those that go in one phase."""
        self.cluster = cluster
        self.timeout_ms = timeout_ms
        self._first_account = number * self.SIZE
        assert self._first_account + self.SIZE <= _FURTHER, f"{number} mixes need more accounts"
        self.orders = self._mix() if orders is None else orders
        if only_single:
            self.orders = [order for order in self.orders if len(order.branches) == 1]
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        for order in self.orders:
            thread = threading.Thread(target=self.ask, args=(order,), name=order.transfer, daemon=True)
            thread.start()
            self._threads.append(thread)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(self.timeout_ms / 1000 + 30)
            assert not thread.is_alive(), f"{thread.name}'s client was never answered"

    def ask(self, order: Order) -> str:
        common = api("common")
        order.never_asked_to_commit = False
        try:
            with self.cluster.client(timeout_s=self.timeout_ms / 1000 + 10) as client:
                result = self._talk(client, order) if order.interactive else self._execute(client, order)
            order.told, order.transaction = COMMITTED, result.transaction_id
            order.detail = f"{result}"
        except common.TrothError as error:
            order.told = {common.Effect.NONE: ABORTED, common.Effect.UNKNOWN: UNKNOWN}.get(
                error.effect, COMMITTED
            )
            order.detail = f"{error}"
        except (TException, OSError, EOFError) as error:
            order.told, order.detail = UNKNOWN, f"{type(error).__name__}: {error}"
        # What this attempt began it never asked to commit; of an earlier one that says nothing.
        if order.told == UNKNOWN and order.never_asked_to_commit:
            order.told = ABORTED
        return order.told

    def _execute(self, client: Client, order: Order):
        return client.run(
            order.branches,
            request_id=order.request_id,
            label=order.transfer,
            timeout_ms=self.timeout_ms,
            acknowledgement=self._acknowledgement(order),
        )

    def _talk(self, client: Client, order: Order):
        talk = Conversation(
            client,
            request_id=order.request_id,
            label=order.transfer,
            timeout_ms=self.timeout_ms,
            idle_timeout_ms=1000,
        )
        if talk.already_committed:
            return api("transactions").CommitResult(transaction_id=talk.id, already_committed=True)
        # Its request_id was free: no earlier attempt had committed, and none of them can any more.
        order.never_asked_to_commit = True
        for work in order.branches:
            for each in work.statements:
                talk.query(work.resource, each)
        order.never_asked_to_commit = False
        return talk.commit(self._acknowledgement(order), self.timeout_ms)

    @staticmethod
    def _acknowledgement(order: Order) -> int:
        kinds = api("transactions").Acknowledgement
        return kinds.DECIDED if order.decided else kinds.APPLIED

    def check(self, remembered: bool = True) -> None:
        """What each client was told is true; asking again with the same request_id makes one commit of it, where
        request_ids and markers are still remembered."""
        first = {order.transfer: order.told for order in self.orders}
        self._check_told(first)
        if not remembered:
            return self.cluster.bank.check()
        for order in self.orders:
            if order.may_commit:
                self._insist(order)
        self.cluster.bank.check()
        for order in self.orders:
            self._check_order(order, first[order.transfer])

    def _check_told(self, told: dict[str, str]) -> None:
        for order in self.orders:
            if told[order.transfer] == COMMITTED:
                assert order.may_commit, f"{order.transfer} was to be refused: {order.detail}"
            if told[order.transfer] == ABORTED:
                stands = self.cluster.bank.stands_in(order.transfer)
                assert not stands, f"{order.transfer} stands in {stands}, told {order.detail}"

    def _insist(self, order: Order, within_s: float = 30) -> None:
        """A client that does not know, or may retry, sends the same request_id again until it is answered."""
        committed_before = order.told == COMMITTED
        deadline = time.monotonic() + within_s
        while self.ask(order) != COMMITTED:
            assert not (committed_before and order.told == ABORTED), f"{order.transfer}: told {order.detail}"
            assert time.monotonic() < deadline, f"{order.transfer} never commits: {order.detail}"
            time.sleep(0.05)

    def _check_order(self, order: Order, told_first: str) -> None:
        bank = self.cluster.bank
        expected = set(order.writers) if order.may_commit else set()
        what = f"{order.transfer}, told {told_first} then {order.told} ({order.detail})"
        # `decided` is told before every branch has it.
        eventually(
            lambda: set(bank.stands_in(order.transfer)) == expected or not order.decided,
            f"{what} stands in {expected}",
        )
        stands = set(bank.stands_in(order.transfer))
        assert stands == expected, f"{what}: stands in {stands} instead of {expected}"
        for resource, number in order.writers.items():
            markers = self.cluster.markers(resource, order.request_id)
            proofs = [(marker.branch, marker.state) for marker in markers]
            assert proofs == (
                [(number, "committed")] if expected else []
            ), f"{what}: {resource} has {markers}"
            if expected:
                assert markers[0].transaction == order.transaction, f"{what}: {resource} has {markers}"

    def _mix(self) -> list[Order]:
        """Each on accounts of its own, so that what stands still holds up no other."""
        bank = self.cluster.bank
        too_much = 10 * bank.opening
        number = itertools.count(self._first_account + 1)

        def order(
            kind: str, work, may_commit: bool = True, decided: bool = False, interactive: bool = False
        ) -> Order:
            transfer = f"{kind}-{next(_numbers)}"
            return Order(transfer, work(transfer, next(number)), may_commit, decided, interactive)

        def late_refusal(transfer: str, account: int) -> list:
            """The other branch is prepared by then, and must be rolled back."""
            late = bank.move("my", transfer, account, -too_much)
            return [
                branch("pg", *bank.move("pg", transfer, account, too_much)),
                branch("my", "SELECT SLEEP(0.1)", *late),
            ]

        def audited(transfer: str, account: int) -> list:
            """A branch that is declared to read only, beside two that write."""
            look = branch("ma", "SELECT sum(balance) FROM account", read_only=True)
            return [*bank.transfer(transfer, "pg", account, "my", account, 5), look]

        def reading(_transfer: str, account: int) -> list:
            """Nobody said so, and it writes nothing: Attack 63."""
            look = f"SELECT balance FROM account WHERE id = {account}"
            return [branch("pg", look), branch("my", look)]

        orders = [
            order("applied", lambda t, n: bank.transfer(t, "pg", n, "my", n, 5)),
            order("decided", lambda t, n: bank.transfer(t, "my", n, "pg", n, 5), decided=True),
            order("tied", lambda t, n: bank.transfer(t, "pg", n, "ma", n, 5)),
            order("refused", late_refusal, may_commit=False),
            order("single", lambda t, n: bank.shift(t, "pg", n, n + _FURTHER, 5)),
            order("single", lambda t, n: bank.shift(t, "my", n, n + _FURTHER, 5)),
            order("too-much", lambda t, n: bank.shift(t, "ma", n, n + _FURTHER, too_much), may_commit=False),
            order("audited", audited),
            order("reading", reading),
            order("missed", lambda t, n: bank.transfer(t, "pg", n + _NOBODY, "my", n, 5), may_commit=False),
            order("missed", lambda t, n: bank.transfer(t, "ma", n, "my", n + _NOBODY, 5), may_commit=False),
            order("talked", lambda t, n: bank.transfer(t, "pg", n, "my", n, 5), interactive=True),
            order("talked-tied", lambda t, n: bank.transfer(t, "ma", n, "pg", n, 5), interactive=True),
            order("talked-in-vain", late_refusal, may_commit=False, interactive=True),
        ]
        assert len(orders) == self.SIZE
        return orders
