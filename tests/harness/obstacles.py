"""What makes the backend of a branch wait where a test wants it, until the test takes it away.

    obstacle = AccountRow(vault, account=7)      # the branch's UPDATE of account 7 will wait
    ...
    obstacle.remove()                            # whatever still waits goes on
"""

from __future__ import annotations

import contextlib
import threading

import psycopg2

from harness.bank import Vault
from harness.request_ids import as_database_key
from harness.sessions import connect, rows
from harness.waiting import eventually

_ADVISORY = 4711
_TRIGGER = f"""
    CREATE OR REPLACE FUNCTION wait_at_the_end() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock_shared({_ADVISORY}); RETURN NULL; END';
    DROP TRIGGER IF EXISTS wait_at_the_end ON transfer_line;
    CREATE CONSTRAINT TRIGGER wait_at_the_end AFTER INSERT ON transfer_line
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_at_the_end();"""


class Obstacle:
    """Holds what it holds in a session of the administrator, whose own waiting has a bound."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self._session = connect(vault.server, vault.database, autocommit=False)
        try:
            bound = "lock_timeout = '20s'" if vault.server.kind == "postgres" else "lock_wait_timeout = 20"
            self._run(f"SET {bound}")
            self._place()
        except BaseException:
            self._session.close()
            raise

    def _place(self) -> None:
        raise NotImplementedError

    def remove(self) -> None:
        """Twice does nothing."""
        self._session.close()

    def _run(self, sql: str, *parameters: object) -> list[tuple]:
        return rows(self._session, sql, *parameters)

    def __enter__(self) -> Obstacle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class MarkerKey(Obstacle):
    """An uncommitted row of somebody else at the request's key."""

    def __init__(self, vault: Vault, client: str, request_id: str) -> None:
        self._key = (client, as_database_key(request_id, vault.server.kind))
        super().__init__(vault)

    def _place(self) -> None:
        table = "troth.troth_branch" if self.vault.server.kind == "postgres" else "troth_branch"
        created = ", created" if self.vault.server.kind != "postgres" else ""
        now = ", UTC_TIMESTAMP(6)" if created else ""
        self._run(
            f"INSERT INTO {table} (epoch, sequence, transaction, state, leader_epoch, branch, client, request_id{created})"
            f" VALUES (0, 0, 'obstacle', 'barred', 0, 1, %s, %s{now})",
            *self._key,
        )


class AccountRow(Obstacle):
    def __init__(self, vault: Vault, account: int) -> None:
        self._account = account
        super().__init__(vault)

    def _place(self) -> None:
        self._run("SELECT balance FROM account WHERE id = %s FOR UPDATE", self._account)


class LineKey(Obstacle):
    """An uncommitted line of somebody else with the transfer's key."""

    def __init__(self, vault: Vault, transfer: str, account: int) -> None:
        self._key = (transfer, account)
        super().__init__(vault)

    def _place(self) -> None:
        self._run("INSERT INTO transfer_line (transfer, account, amount) VALUES (%s, %s, 0)", *self._key)


class EndOfBranch(Obstacle):
    """Prepare and commit wait before they take effect: on Postgres in a deferred trigger of transfer_line, on MySQL and
    MariaDB for the server's commit lock, where every other write waits as well."""

    @staticmethod
    def make_possible(vault: Vault) -> None:
        """Before the branch that is to wait has touched transfer_line."""
        if vault.server.kind == "postgres":
            vault.server.sql(_TRIGGER, vault.database)

    def _place(self) -> None:
        if self.vault.server.kind == "postgres":
            self._run(f"SELECT pg_advisory_lock({_ADVISORY})")
        else:
            self._run("FLUSH TABLES WITH READ LOCK")


class AnswerOfCommit(Obstacle):
    """Postgres prepares and commits, and does not say so: it waits for a standby that there is not."""

    def _place(self) -> None:
        self._session.commit()
        self._session.autocommit = True
        self._run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        self._run("SELECT pg_reload_conf()")
        eventually(self._holds, "Postgres waits for a standby")

    def remove(self) -> None:
        if self._session.closed:
            return
        self._run("ALTER SYSTEM RESET synchronous_standby_names")
        self._run("SELECT pg_reload_conf()")
        super().remove()

    def _holds(self) -> bool:
        """Whether a commit waits by now; the one that tries it is ended."""
        with contextlib.closing(connect(self.vault.server, self.vault.database)) as probe:
            number = rows(probe, "SELECT pg_backend_pid()")[0][0]
            commit = threading.Thread(target=_commit_something, args=(probe,), daemon=True)
            commit.start()
            waits = False
            while commit.is_alive() and not waits:
                found = self._run("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", number)
                waits = found == [("SyncRep",)]
            self._run("SELECT pg_terminate_backend(%s)", number)
            commit.join()
        return waits


def _commit_something(session) -> None:
    with contextlib.suppress(psycopg2.Error):
        rows(session, "SELECT pg_logical_emit_message(true, 'probe', '')")
