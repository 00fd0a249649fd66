"""A bank over several databases: money moves between them, and none is made or lost."""

from __future__ import annotations

import dataclasses

from throwaway import Server

from harness.sessions import PreparedBranch, connected, prepared_branches, rows
from harness.thrift_api import branch, statement
from harness.waiting import eventually


@dataclasses.dataclass(frozen=True)
class Vault:
    """The bank's part in one database, and the resource that names it in Troth."""

    resource: str
    server: Server
    database: str


class Bank:
    """
        bank = Bank([Vault("pg", postgres, "bank"), Vault("my", mysql, "bank")])
        bank.create()
        client.run(bank.transfer("t1", "pg", 1, "my", 2, amount=10))
        bank.check()

    Each side of a transfer moves money and writes a line with the transfer's id: totals show that money is conserved,
    the lines that no transfer stands in one database only, even where two wrongs would make a right total.
    """

    def __init__(self, vaults: list[Vault], accounts: int = 100, opening: int = 1000) -> None:
        self.vaults = {vault.resource: vault for vault in vaults}
        self.accounts = accounts
        self.opening = opening

    @property
    def opening_total(self) -> int:
        return len(self.vaults) * self.accounts * self.opening

    def create(self) -> None:
        """Makes the tables anew in every database. An account cannot be overdrawn: the database refuses it."""
        for vault in self.vaults.values():
            with connected(vault.server, vault.database) as session:
                for sql in (
                    "DROP TABLE IF EXISTS transfer_line",
                    "DROP TABLE IF EXISTS account",
                    "CREATE TABLE account (id INT PRIMARY KEY, balance BIGINT NOT NULL,"
                    " CONSTRAINT no_overdraft CHECK (balance >= 0))",
                    "CREATE TABLE transfer_line (transfer VARCHAR(64), account INT, amount BIGINT NOT NULL,"
                    " PRIMARY KEY (transfer, account))",
                ):
                    rows(session, sql)
                values = ", ".join(f"({account}, {self.opening})" for account in range(1, self.accounts + 1))
                rows(session, f"INSERT INTO account (id, balance) VALUES {values}")

    # Work for Troth.

    def transfer(
        self, transfer: str, source: str, source_account: int, target: str, target_account: int, amount: int
    ) -> list:
        """The two branches of a transfer, for Client.run()."""
        return [
            branch(source, *self.move(source, transfer, source_account, -amount)),
            branch(target, *self.move(target, transfer, target_account, amount)),
        ]

    def move(self, resource: str, transfer: str, account: int, amount: int) -> list:
        """The statements of one side: exactly one account changes, or the branch votes no."""
        one, two, three = (
            ("$1", "$2", "$3") if self.vaults[resource].server.kind == "postgres" else ("?", "?", "?")
        )
        return [
            statement(f"UPDATE account SET balance = balance + {one} WHERE id = {two}", amount, account, exactly=1),
            statement(
                f"INSERT INTO transfer_line (transfer, account, amount) VALUES ({one}, {two}, {three})",
                transfer, account, amount, exactly=1,
            ),
        ]  # fmt: skip

    def shift(
        self, transfer: str, resource: str, source_account: int, target_account: int, amount: int
    ) -> list:
        """A transfer inside one database: a single branch."""
        return [
            branch(
                resource,
                *self.move(resource, transfer, source_account, -amount),
                *self.move(resource, transfer, target_account, amount),
            )
        ]

    # Looking.

    def totals(self) -> dict[str, int]:
        return {
            name: int(self._read(vault, "SELECT sum(balance) FROM account")[0][0])
            for name, vault in self.vaults.items()
        }

    def total(self) -> int:
        return sum(self.totals().values())

    def transfers(self, resource: str) -> dict[str, int]:
        """Transfer id to the sum of its lines, as committed in one database."""
        sql = "SELECT transfer, sum(amount) FROM transfer_line GROUP BY transfer"
        return dict(self._read(self.vaults[resource], sql))

    def stands_in(self, transfer: str) -> list[str]:
        """The resources in which the transfer is committed."""
        sql = "SELECT 1 FROM transfer_line WHERE transfer = %s"
        return [name for name, vault in self.vaults.items() if self._read(vault, sql, transfer)]

    def in_doubt(self) -> list[PreparedBranch]:
        servers = {vault.server.name: vault.server for vault in self.vaults.values()}
        databases = {vault.database for vault in self.vaults.values()}
        return [
            found
            for server in servers.values()
            for found in prepared_branches(server)
            if found.database == "" or found.database in databases
        ]

    # Judging.

    def check(self, within_s: float = 20) -> None:
        """All is settled: nothing in doubt, no money made or lost, every transfer whole. Waits for the first only."""
        eventually(lambda: not self._expect_nothing_in_doubt(), "nothing is in doubt", within_s)
        self.check_money()

    def check_money(self) -> None:
        totals = self.totals()
        assert (
            sum(totals.values()) == self.opening_total
        ), f"{self.opening_total} became {sum(totals.values())}: {totals}"
        self.check_transfers_whole()
        self.check_books()

    def check_transfers_whole(self) -> None:
        """The lines of each transfer, over all databases, add up to nothing."""
        sums: dict[str, int] = {}
        sides: dict[str, list[str]] = {}
        for name in self.vaults:
            for transfer, amount in self.transfers(name).items():
                sums[transfer] = sums.get(transfer, 0) + int(amount)
                sides.setdefault(transfer, []).append(name)
        halves = {transfer: sides[transfer] for transfer, amount in sums.items() if amount != 0}
        assert not halves, f"transfers that stand in a part of the bank only: {halves}"

    def check_books(self) -> None:
        """Each account's balance is its opening and its lines."""
        for name, vault in self.vaults.items():
            wrong = self._read(
                vault,
                "SELECT a.id, a.balance, coalesce(sum(l.amount), 0) FROM account a"
                " LEFT JOIN transfer_line l ON l.account = a.id GROUP BY a.id, a.balance"
                " HAVING a.balance <> %s + coalesce(sum(l.amount), 0)",
                self.opening,
            )
            assert not wrong, f"{name}: accounts (id, balance, sum of lines) that do not add up: {wrong}"

    def _expect_nothing_in_doubt(self) -> list[PreparedBranch]:
        found = self.in_doubt()
        assert not found, f"prepared: {found}"
        return found

    def _read(self, vault: Vault, sql: str, *parameters) -> list[tuple]:
        with connected(vault.server, vault.database) as session:
            return rows(session, sql, *parameters)
