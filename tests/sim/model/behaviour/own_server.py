#!/usr/bin/python3
"""Starts a database server for one test and does to it what the test says.

  own_server.py DIR KIND plain|with-binary-log

Reads from the pipe DIR/orders a word a line (`crash`, `back_up`, ...: the functions below), and answers each with `done`
and its number. At the pipe's end the server goes, and its data.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
sys.path[:0] = [str(ROOT / "deploy"), str(ROOT / "tests")]

from harness.backup import Backup  # noqa: E402
from throwaway import Fleet, Server  # noqa: E402


class OwnServer:
    def __init__(self, server: Server, directory: Path) -> None:
        self._server = server
        self._directory = directory
        self._backup: Backup | None = None

    def crash(self) -> None:
        self._server.kill()
        self._server.restart()

    def back_up(self) -> None:
        self._backup = Backup(self._server, self._directory)

    def set_back(self) -> None:
        self._backup.restore()

    def promote(self) -> None:
        self._backup.restore()
        if self._server.kind == "postgres":
            self.become_read_only()
            self.become_writable()
        else:
            # A copy of a server's data becomes another server when it has no name of its own.
            self._server.stop()
            (self._server.data / "auto.cnf").unlink()
            self._server.restart()

    def lose_durability(self) -> None:
        if self._server.kind == "postgres":
            self._server.sql("ALTER SYSTEM SET full_page_writes = off")
            self._server.sql("SELECT pg_reload_conf()")
        else:
            self._server.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")

    def become_read_only(self) -> None:
        if self._server.kind == "postgres":
            # A standby without a primary: it replays what it has, and takes no writes.
            self._server.stop()
            (self._server.data / "standby.signal").touch()
            self._server.restart()
        elif self._server.kind == "mysql":
            self._server.sql("SET GLOBAL super_read_only = ON")
        else:
            self._server.sql("SET GLOBAL read_only = ON")

    def become_writable(self) -> None:
        if self._server.kind == "postgres":
            self._server.sql("SELECT pg_promote()")
        else:
            self._server.sql("SET GLOBAL read_only = OFF")

    def slow_commits(self) -> None:
        if self._server.kind == "mysql":
            self._server.sql("SET GLOBAL binlog_group_commit_sync_delay = 1000000")
        else:
            # As long as no nine others come.
            self._server.sql("SET GLOBAL binlog_commit_wait_count = 10, binlog_commit_wait_usec = 1000000")


def main(directory: Path, kind: str, log: str) -> None:
    os.mkfifo(directory / "orders")
    with Fleet(directory / "servers", owner=os.getpid()) as fleet:
        (server,) = fleet.start({kind: 1})
        if kind == "mariadb" and log == "with-binary-log":
            # Its commits go through the binary log where there is one.
            server.reconfigure({**server.settings, "log_bin": "binlog"})
        own = OwnServer(server, directory)
        print("done 0", flush=True)
        with open(directory / "orders", encoding="ascii") as orders:
            for number, order in enumerate(iter(orders.readline, ""), 1):
                getattr(own, order.strip())()
                print(f"done {number}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
