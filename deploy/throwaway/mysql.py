"""A throwaway MySQL (real, 8.4 or later) and a throwaway MariaDB."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

from throwaway.cache import copy_of_template
from throwaway.server import Server, ServerError

_MYSQL_TREE = Path(__file__).resolve().parent.parent / "mysql-tree.sh"

# The durable values are the shipped ones, written down because Troth depends on them.
_SETTINGS: dict[str, object] = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": "ON",
    "character-set-server": "utf8mb4",
    "server-id": 1,
    "innodb-flush-log-at-trx-commit": 1,
    "sync-binlog": 1,
    "innodb-buffer-pool-size": "128M",
    "max-connections": 300,
}


class _MySqlFamily(Server):
    kind_settings: dict[str, object] = {}
    drop_root: str

    @property
    def socket(self) -> Path:
        return self.directory / "socket"

    @property
    def _configuration(self) -> Path:
        return self.directory / "server.cnf"

    @property
    def _account_statements(self) -> Path:
        return self.directory / "accounts.sql"

    def start(self) -> None:
        super().start()
        self._account_statements.unlink()

    def create_database(self, name: str) -> None:
        self.sql(f"CREATE DATABASE `{name}`", database="")

    def _server_settings(self) -> dict[str, object]:
        settings = {
            **_SETTINGS,
            **self.kind_settings,
            **self.settings,
            "datadir": self.data,
            "socket": self.socket,
            "pid-file": self.directory / "pid",
            "tmpdir": self.directory / "tmp",
            "port": self.port,
        }
        if os.geteuid() == 0:
            # Said out loud, or the server refuses. It owns nothing but its directory and listens on loopback only.
            settings["user"] = "root"
        return settings

    def _write_configuration(self) -> None:
        (self.directory / "tmp").mkdir(exist_ok=True, mode=0o700)
        lines = "".join(f"{name} = {value}\n" for name, value in self._server_settings().items())
        self._configuration.write_text(f"[server]\n{lines}", encoding="utf-8")
        client = self.directory / "client.cnf"
        client.touch(mode=0o600)
        client.write_text(
            f"[client]\nprotocol = tcp\nhost = {self.host}\nport = {self.port}\n"
            f"user = {self.admin}\npassword = {self.password}\n"
            # For MySQL's own client, where the server has no TLS.
            "loose-get-server-public-key = ON\n",
            encoding="utf-8",
        )

    def _create_accounts(self) -> None:
        """The server runs these at its first start, before it listens; root without password never meets a client."""
        self._account_statements.touch(mode=0o600)
        self._account_statements.write_text(
            f"CREATE USER IF NOT EXISTS '{self.admin}'@'%' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{self.admin}'@'%' WITH GRANT OPTION;\n"
            f"CREATE DATABASE IF NOT EXISTS `{self.database}`;\n" + self.drop_root,
            encoding="utf-8",
        )

    def _tls_settings(self, directory: Path) -> dict[str, object]:
        return {
            "ssl-ca": directory / "ca.pem",
            "ssl-cert": directory / "certificate.pem",
            "ssl-key": directory / "key.pem",
        }

    def _mark(self) -> str:
        return f"--defaults-file={self._configuration}"

    def _first_start(self) -> list[str]:
        return [f"--init-file={self._account_statements}"] if self._account_statements.exists() else []

    def _client_arguments(self, database: str) -> list[str]:
        # -N no column names, -B tabs between columns.
        return [f"--defaults-file={self.directory}/client.cnf", "-N", "-B", *([database] if database else [])]


@functools.cache
def _mysql_tree() -> dict[str, str]:
    found = subprocess.run(
        [str(_MYSQL_TREE)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False
    )
    if found.returncode != 0:
        raise ServerError(found.stderr.strip())
    return dict(line.split("=", 1) for line in found.stdout.splitlines())


class MySql(_MySqlFamily):
    kind = "mysql"
    kind_settings = {
        "mysqlx": "OFF",
        "log-bin": "binlog",
        "innodb-redo-log-capacity": "128M",
        "secure-file-priv": "NULL",
    }
    drop_root = "DROP USER 'root'@'localhost';\n"

    def _check_programs(self) -> None:
        _mysql_tree()

    def _check_version(self) -> None:
        super()._check_version()
        if "mariadb" in self.version.lower():
            raise ServerError(f"{self.name} was to be MySQL and says that it is {self.version}")

    def _loader(self) -> list[str]:
        return _mysql_tree().get("loader", "").split()

    def _create_data(self) -> None:
        user = f"-uid{os.geteuid()}"
        copy_of_template(f"mysql-{_mysql_tree()['version']}{user}", self.data, self._initialise)

    def _initialise(self, data: Path) -> None:
        tree = _mysql_tree()
        self._run(
            [*self._loader(), tree["mysqld"], "--no-defaults", f"--basedir={tree['basedir']}", f"--datadir={data}",
             "--initialize-insecure", "--innodb-redo-log-capacity=128M", *(["--user=root"] if os.geteuid() == 0 else [])]
        )  # fmt: skip
        # The server's uuid must not be in the template: two servers never share one.
        (data / "auto.cnf").unlink()

    def _server_settings(self) -> dict[str, object]:
        return {**super()._server_settings(), "basedir": _mysql_tree()["basedir"]}

    def _command(self) -> list[str]:
        return [*self._loader(), _mysql_tree()["mysqld"], self._mark(), *self._first_start()]

    def _client(self, database: str) -> tuple[list[str], dict[str, str]]:
        return [*self._loader(), _mysql_tree()["client"], *self._client_arguments(database)], {}


class MariaDb(_MySqlFamily):
    kind = "mariadb"
    kind_settings = {"innodb-log-file-size": "128M"}
    # Made for localhost, both loopback addresses and the machine's name.
    drop_root = "DELETE FROM mysql.global_priv WHERE User = 'root';\nFLUSH PRIVILEGES;\n"

    def _program(self, name: str) -> str:
        found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
        if found is None:
            raise ServerError(f"no {name} here: run deploy/packages.sh demo")
        return found

    def _check_programs(self) -> None:
        for name in ("mariadbd", "mariadb", "mariadb-install-db"):
            self._program(name)

    def _create_data(self) -> None:
        self._run(
            [self._program("mariadb-install-db"), "--no-defaults", f"--datadir={self.data}", "--skip-test-db",
             "--auth-root-authentication-method=normal", *(["--user=root"] if os.geteuid() == 0 else [])]
        )  # fmt: skip

    def _command(self) -> list[str]:
        return [self._program("mariadbd"), self._mark(), *self._first_start()]

    def _client(self, database: str) -> tuple[list[str], dict[str, str]]:
        return [self._program("mariadb"), *self._client_arguments(database)], {}
