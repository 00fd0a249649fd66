"""A PgBouncer between somebody and a throwaway Postgres."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from throwaway import Server
from throwaway.ports import free_port

from harness.processes import Process


class PgBouncer(Process):
    """
    with PgBouncer(tmp_path / "pooler", server, "transaction", role, password) as pooler:
        connect to 127.0.0.1:pooler.port

    `pool_mode`: session, transaction or statement. It knows one role, and hands its password on.
    """

    def __init__(
        self,
        directory: Path,
        server: Server,
        pool_mode: str,
        role: str,
        password: str,
        ignored_parameters: str = "extra_float_digits, options",
    ) -> None:
        directory.mkdir(parents=True)
        self.port = free_port()
        users = directory / "users.txt"
        users.touch(mode=0o600)
        users.write_text(f'"{role}" "{password}"\n', encoding="ascii")
        configuration = directory / "pgbouncer.ini"
        configuration.write_text(
            "[databases]\n"
            f"* = host={server.host} port={server.port}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {users}\n"
            f"pool_mode = {pool_mode}\nmax_client_conn = 200\ndefault_pool_size = 20\n"
            f"ignore_startup_parameters = {ignored_parameters}\n",
            encoding="ascii",
        )
        command = ["/usr/sbin/pgbouncer", str(configuration)]
        # It refuses to run as root, for the reason that Postgres does.
        account = server.user()
        if os.geteuid() == 0 and account is not None:
            command[1:1] = ["-u", account]
            for path in (directory, users, configuration):
                shutil.chown(path, account)
        super().__init__("pgbouncer", command, directory, ready=r"process up")

    def __enter__(self) -> PgBouncer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
