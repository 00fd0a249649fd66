"""Driver sessions on the throwaway servers, and what the servers hold prepared."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pymysql
from throwaway import Server


def connect(
    server: Server,
    database: str | None = None,
    autocommit: bool = True,
    user: str | None = None,
    password: str | None = None,
):
    """A DB-API connection over TCP; as the administrator unless told otherwise."""
    account = {
        "host": server.host,
        "port": server.port,
        "user": user or server.admin,
        "password": password or server.password,
    }
    database = database or server.database
    if server.kind == "postgres":
        session = psycopg2.connect(dbname=database, connect_timeout=10, **account)
        session.autocommit = autocommit
        return session
    return pymysql.connect(database=database, autocommit=autocommit, connect_timeout=10, **account)


@contextlib.contextmanager
def connected(server: Server, database: str | None = None) -> Iterator:
    """A session that is closed at the end, which psycopg2's own `with` does not do."""
    with contextlib.closing(connect(server, database)) as session:
        yield session


def rows(session, sql: str, *parameters) -> list[tuple]:
    """Runs one statement; parameters stand as %s in all kinds. Rows, or nothing for a statement without."""
    with session.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return list(cursor.fetchall()) if cursor.description else []


_fresh = itertools.count(1)


def fresh_database(server: Server) -> str:
    """A new, empty database on the server, with a name nobody else has."""
    name = f"test{os.getpid()}_{next(_fresh)}"
    server.create_database(name)
    return name


def create_account(server: Server, database: str, name: str, password_file: Path) -> None:
    """An account that owns one database, as an agent's role does; its password goes to a file of its own."""
    password = secrets.token_urlsafe(24)
    password_file.touch(mode=0o600)
    password_file.write_text(password + "\n", encoding="ascii")
    if server.kind == "postgres":
        server.sql(
            f"CREATE ROLE {name} LOGIN PASSWORD '{password}'; ALTER DATABASE \"{database}\" OWNER TO {name}"
        )
        return
    server.sql(
        f"CREATE USER '{name}'@'%' IDENTIFIED BY '{password}'; GRANT ALL ON `{database}`.* TO '{name}'@'%'"
    )
    if server.kind == "mysql":
        # Without it the account cannot list what is prepared.
        server.sql(f"GRANT XA_RECOVER_ADMIN ON *.* TO '{name}'@'%'")


@dataclasses.dataclass(frozen=True)
class PreparedBranch:
    server: str
    database: str  # empty where the server does not say
    name: str  # Postgres: the gid; MySQL and MariaDB: 'gtrid','bqual',formatID


def prepared_branches(server: Server) -> list[PreparedBranch]:
    """All that the server holds prepared, whoever prepared it."""
    with connected(server) as session:
        if server.kind == "postgres":
            return [
                PreparedBranch(server.name, *row)
                for row in rows(session, "SELECT database, gid FROM pg_prepared_xacts")
            ]
        return [
            PreparedBranch(server.name, "", _xid(format_id, gtrid_length, data))
            for format_id, gtrid_length, _, data in _recovered(session, server.kind)
        ]


def roll_back_prepared(server: Server) -> None:
    """Cleans a throwaway server for the next test."""
    for found in prepared_branches(server):
        with connected(server, found.database or None) as session:
            if server.kind == "postgres":
                rows(session, "ROLLBACK PREPARED %s", found.name)
            else:
                rows(session, f"XA ROLLBACK {found.name}")


def _recovered(session, kind: str) -> list[tuple[int, int, int, bytes]]:
    if kind == "mysql":
        listed = rows(session, "XA RECOVER CONVERT XID")
        return [(f, g, b, bytes.fromhex(data.removeprefix("0x"))) for f, g, b, data in listed]
    # An XID may hold any byte; MariaDB sends it as text.
    session.use_unicode = False
    return rows(session, "XA RECOVER")


def _xid(format_id: int, gtrid_length: int, data: bytes) -> str:
    gtrid, bqual = data[:gtrid_length], data[gtrid_length:]
    return f"{_text(gtrid)},{_text(bqual)},{format_id}"


def _text(part: bytes) -> str:
    printable = part.decode("ascii", errors="replace")
    return f"'{printable}'" if printable.isprintable() and "\ufffd" not in printable else f"X'{part.hex()}'"
