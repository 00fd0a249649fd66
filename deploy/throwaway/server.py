"""One throwaway server: what all kinds share. A kind says how to prepare, launch and ask; this file says when."""

from __future__ import annotations

import abc
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

from throwaway.identity import ProcessIdentity
from throwaway.ports import accepts, free_port

ADMIN = "troth_admin"

_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 30
_PORT_ATTEMPTS = 5
# sockaddr_un holds 108 bytes with the closing zero.
_LONGEST_SOCKET_PATH = 107


class ServerError(Exception):
    pass


class Server(abc.ABC):
    """A server with its data in `directory`, on 127.0.0.1.

    server = Postgres(Path("/tmp/x/postgres1"))
    server.start()
    server.sql("SELECT 1")       -> [["1"]]
    server.kill()                # SIGKILL, its children too
    server.restart()             # same data, same port
    server.stop()
    """

    kind: str

    def __init__(
        self, directory: Path, database: str = "bank", settings: dict[str, object] | None = None
    ) -> None:
        self.directory = Path(directory).absolute()
        self.name = self.directory.name
        self.database = database
        self.settings = settings or {}
        self.host = "127.0.0.1"
        self.port = 0
        self.admin = ADMIN
        self.version = ""
        self.identity: ProcessIdentity | None = None
        self._child: subprocess.Popen | None = None

    # What a kind answers.

    @property
    @abc.abstractmethod
    def socket(self) -> Path:
        ...

    @abc.abstractmethod
    def _check_programs(self) -> None:
        """Raises ServerError with the remedy where a program is missing or is another product."""

    @abc.abstractmethod
    def _create_data(self) -> None:
        ...

    @abc.abstractmethod
    def _write_configuration(self) -> None:
        ...

    @abc.abstractmethod
    def _create_accounts(self) -> None:
        """Arranges that the server knows the administrator and the database once it is up."""

    @abc.abstractmethod
    def _command(self) -> list[str]:
        ...

    @abc.abstractmethod
    def _mark(self) -> str:
        """The argument of the command that no other server's process has: it names our directory."""

    @abc.abstractmethod
    def _client(self, database: str) -> tuple[list[str], dict[str, str]]:
        """The command that reads SQL from stdin and prints rows with tabs between columns, and its environment."""

    @abc.abstractmethod
    def _tls_settings(self, directory: Path) -> dict[str, object]:
        """The settings that name ca.pem, certificate.pem and key.pem in that directory; none: without TLS."""

    stop_signal = signal.SIGTERM

    # Paths and accounts.

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def password_file(self) -> Path:
        return self.directory / "admin.password"

    @property
    def password(self) -> str:
        return self.password_file.read_text(encoding="ascii").strip()

    def user(self) -> str | None:
        """The account the server runs under, where that is not ours."""
        return None

    # Life.

    def start(self) -> None:
        """Makes the data and starts the server for the first time, on a free port."""
        self._check_programs()
        self._create_directory()
        self._create_data()
        self._take_port()
        self._create_accounts()
        reason = ""
        for _ in range(_PORT_ATTEMPTS):
            try:
                self.restart()
            except ServerError as error:
                reason = str(error)
                if "ddress already in use" not in reason:
                    raise
                self._take_port()
            else:
                self._check_version()
                return
        raise ServerError(
            f"{self.name}: {_PORT_ATTEMPTS} free ports were taken before the server had them: {reason}"
        )

    def restart(self) -> None:
        """Starts the server on the data and the port it had; returns when it answers SQL."""
        if self.runs():
            raise ServerError(f"{self.name} already runs as process {self.identity.pid}")
        self._check_programs()
        with open(self.log, "ab") as log:
            log_start = log.tell()
            self._child = subprocess.Popen(
                self._command(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._drop_privileges(),
            )
        self.identity = ProcessIdentity.of(self._child.pid)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            if self._child.poll() is not None:
                raise ServerError(f"{self.name} did not start: {self._tail(log_start)}")
            if accepts(self.port) and self._answers():
                return
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(
                    f"{self.name} did not answer within {_START_TIMEOUT_S} s: {self._tail(log_start)}"
                )
            time.sleep(0.02)

    def runs(self) -> bool:
        if self._child is not None:
            self._child.poll()
        return self.identity is not None and self.identity.runs()

    def kill(self) -> None:
        """SIGKILL for the server and its children: nothing is written, nobody is told."""
        if self.identity is not None:
            self.identity.kill_family()
        self._reap()

    def pause(self) -> None:
        """SIGSTOP for the server and its children."""
        self._signal_family(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_family(signal.SIGCONT)

    def stop(self) -> None:
        """Orderly where it can be, SIGKILL after a bound. Nothing where it does not run."""
        if not self.runs():
            return
        self.resume()
        self.identity.send(self.stop_signal)
        if not self.identity.wait_gone(_STOP_TIMEOUT_S):
            self.identity.kill_family()
        self._reap()

    def reconfigure(self, settings: dict[str, object]) -> None:
        """Stops it and starts it with these settings instead of those it was made with."""
        self.stop()
        self.settings = settings
        self._write_configuration()
        self.restart()

    def remove(self) -> None:
        """Stops the server and deletes its directory."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    # TLS.

    def use_certificate(self, ca: Path, certificate: Path, key: Path) -> None:
        """From the next start on the server offers TLS with it; restarts the server if it runs."""
        directory = self.directory / "tls"
        directory.mkdir(mode=0o700, exist_ok=True)
        for name, source in {"ca.pem": ca, "certificate.pem": certificate, "key.pem": key}.items():
            target = directory / name
            target.unlink(missing_ok=True)
            target.touch(mode=0o600)
            target.write_bytes(Path(source).read_bytes())
        user = self.user()
        for path in [directory, *directory.iterdir()] if user is not None else []:
            shutil.chown(path, user, pwd.getpwnam(user).pw_gid)
        self._change_tls(self._tls_settings(directory))

    def _change_tls(self, settings: dict[str, object]) -> None:
        self.settings = {**self.settings, **settings}
        self._write_configuration()
        if self.runs():
            self.stop()
            self.restart()

    # SQL.

    def sql(self, statements: str, database: str | None = None) -> list[list[str]]:
        """Runs statements as the administrator; the rows of all of them, as text. NULL reads NULL or is empty."""
        command, environment = self._client(self.database if database is None else database)
        done = subprocess.run(
            command,
            input=statements,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=_START_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise ServerError(f"{self.name}: {done.stderr.strip() or done.stdout.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines() if line]

    @abc.abstractmethod
    def create_database(self, name: str) -> None:
        ...

    # Records: what another process needs to use or to stop this server.

    def record(self) -> dict:
        return {
            "name": self.name,
            "kind": self.kind,
            "version": self.version,
            "directory": str(self.directory),
            "host": self.host,
            "port": self.port,
            "socket": str(self.socket),
            "database": self.database,
            "admin": self.admin,
            "password_file": str(self.password_file),
            "log": str(self.log),
            "process": self.identity.record() if self.identity else None,
        }

    @classmethod
    def from_record(cls, record: dict) -> Server:
        server = cls(Path(record["directory"]), database=record["database"])
        server.port = record["port"]
        server.version = record["version"]
        server.identity = ProcessIdentity.from_record(record["process"]) if record["process"] else None
        if not server.runs():
            # Started after the record was written: by a restart, or by a run that was killed while it started.
            server.identity = ProcessIdentity.with_argument(server._mark()) or server.identity
        return server

    # Inside.

    def _create_directory(self) -> None:
        if self.directory.exists():
            raise ServerError(f"{self.directory} exists already; choose another directory or remove it")
        self.directory.mkdir(parents=True, mode=0o700)
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(secrets.token_urlsafe(24) + "\n", encoding="ascii")

    def _take_port(self) -> None:
        self.port = free_port()
        self._check_socket_path()
        self._write_configuration()

    def _check_socket_path(self) -> None:
        if len(os.fsencode(self.socket)) > _LONGEST_SOCKET_PATH:
            raise ServerError(f"{self.socket} is too long for a unix socket: choose a shorter directory")

    def _check_version(self) -> None:
        self.version = self.sql("SELECT version()")[0][0]

    def _answers(self) -> bool:
        try:
            self.sql("SELECT 1")
            return True
        except (ServerError, subprocess.TimeoutExpired):
            return False

    def _drop_privileges(self) -> dict:
        user = self.user()
        if user is None:
            return {}
        return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}

    def _run(self, command: list[str], stdin: str = "") -> None:
        """One of the server's own tools, under the server's account."""
        done = subprocess.run(
            command,
            cwd=self.directory,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            **self._drop_privileges(),
        )
        if done.returncode != 0:
            raise ServerError(
                f"{self.name}: {command[0]} failed: {(done.stderr or done.stdout).strip()[-2000:]}"
            )

    def _signal_family(self, number: signal.Signals) -> None:
        if self.runs():
            for member in [self.identity, *self.identity.descendants()]:
                member.send(number)

    def _reap(self) -> None:
        if self._child is not None:
            self._child.wait()
            self._child = None

    def _tail(self, start: int) -> str:
        with open(self.log, "rb") as log:
            log.seek(start)
            text = log.read().decode("utf-8", errors="replace").strip()
        return text[-2000:] or f"it said nothing in {self.log}"
