"""The sessions that an account has on a server, as its administrator sees them, and their end."""

from __future__ import annotations

import dataclasses

from throwaway import Server

from harness.sessions import connected, rows
from harness.waiting import eventually

# Prepared ones whose session lives count as written to; read-only ones and Troth's own lists do not.
_POSTGRES = """
    SELECT pid, backend_xid IS NOT NULL, coalesce(CASE wait_event_type WHEN 'Lock' THEN 'lock' ELSE wait_event END, ''),
           query
    FROM pg_stat_activity WHERE usename = %s AND backend_type = 'client backend' ORDER BY pid"""
_INNODB = """
    SELECT p.id, coalesce(t.trx_rows_modified, 0) > 0,
           CASE WHEN t.trx_state = 'LOCK WAIT' THEN 'lock' ELSE coalesce(p.state, '') END,
           coalesce(p.info, '')
    FROM information_schema.processlist p
    LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id
    WHERE p.user = %s ORDER BY p.id"""


@dataclasses.dataclass(frozen=True)
class Backend:
    number: int
    has_written: bool  # its transaction, or its prepared branch, changed something
    waits_for: str  # "lock", or in the server's words
    runs: str  # its statement, or its last one


def backends(server: Server, account: str) -> list[Backend]:
    with connected(server) as session:
        if server.kind != "postgres":
            # InnoDB shows what it showed last while it is asked more often than that.
            rows(session, "SELECT SLEEP(0.11)")
        found = rows(session, _POSTGRES if server.kind == "postgres" else _INNODB, account)
    return [
        Backend(number, bool(has_written), waits_for, runs) for number, has_written, waits_for, runs in found
    ]


def writing_backends(server: Server, account: str) -> list[Backend]:
    return [backend for backend in backends(server, account) if backend.has_written]


def end_backends(server: Server, account: str, ended: list[Backend]) -> None:
    """As an administrator does it; returns when the server no longer lists them."""
    with connected(server) as session:
        for backend in ended:
            if server.kind == "postgres":
                rows(session, "SELECT pg_terminate_backend(%s)", backend.number)
            elif backend.number in {each.number for each in backends(server, account)}:
                rows(session, f"KILL {backend.number}")
    wait_gone(server, account, ended)


def wait_gone(server: Server, account: str, ended: list[Backend], within_s: float = 20) -> None:
    numbers = {backend.number for backend in ended}
    eventually(
        lambda: not numbers & {backend.number for backend in backends(server, account)},
        f"{server.name} has no backends {numbers} of {account}",
        within_s,
    )
