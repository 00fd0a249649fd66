"""A throwaway PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from throwaway.server import Server, ServerError

# fsync, synchronous_commit and full_page_writes are the shipped values, written down because Troth depends on them.
_SETTINGS: dict[str, object] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_prepared_transactions": 200,
    "max_connections": 300,
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "logging_collector": "off",
    "log_line_prefix": "'%m [%p] %u@%d '",
    # Segments in files below the data directory: a killed server leaves nothing in /dev/shm.
    "dynamic_shared_memory_type": "mmap",
}


class Postgres(Server):
    kind = "postgres"
    # "Fast": rolls back what is open and goes; SIGTERM would wait for every client.
    stop_signal = signal.SIGINT

    @property
    def socket(self) -> Path:
        return self.directory / f".s.PGSQL.{self.port}"

    def user(self) -> str | None:
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name).pw_name
            except KeyError:
                continue
        raise ServerError(
            "PostgreSQL refuses to run as root, and there is no account postgres or nobody to run it under"
        )

    def remove(self) -> None:
        self.stop()
        self._release_shared_memory()
        super().remove()

    def create_database(self, name: str) -> None:
        self.sql(f'CREATE DATABASE "{name}"')

    def _program(self, name: str) -> str:
        if "TROTH_PG_BIN" in os.environ:
            return str(Path(os.environ["TROTH_PG_BIN"]) / name)
        installed = sorted(
            (p for p in Path("/usr/lib/postgresql").glob(f"*/bin/{name}") if p.parts[4].isdigit()),
            key=lambda p: int(p.parts[4]),
        )
        found = str(installed[-1]) if installed else shutil.which(name)
        if found is None:
            raise ServerError(f"no {name} here: run deploy/packages.sh demo, or set TROTH_PG_BIN")
        return found

    def _check_programs(self) -> None:
        for name in ("initdb", "postgres", "psql"):
            self._program(name)

    def _create_directory(self) -> None:
        super()._create_directory()
        user = self.user()
        if user is not None:
            shutil.chown(self.directory, user, pwd.getpwnam(user).pw_gid)
            self._check_reachable(user)

    def _check_reachable(self, user: str) -> None:
        """The server's account must be able to walk down to its directory. Temporary directories of ours are opened for
        passing through (not for listing); anything else is not ours to open."""
        temporary = Path(tempfile.gettempdir()).resolve()
        for above in self.directory.resolve().parents:
            mode = above.stat().st_mode
            if mode & 0o001:
                continue
            if temporary not in above.parents or above.stat().st_uid != os.geteuid():
                raise ServerError(
                    f"account {user}, which runs PostgreSQL, cannot pass {above}: choose a directory below {temporary}"
                )
            above.chmod(mode | 0o001)

    def _create_data(self) -> None:
        # Made anew for each server, never copied: the system identifier is given here and must differ. The sync is left
        # out because these first files need not outlive a power cut; the running server syncs what it commits.
        self._run(
            [self._program("initdb"), "--no-sync", "--no-locale", "--encoding=UTF8", f"--username={self.admin}",
             "--auth=reject", f"--pgdata={self.data}"]
        )  # fmt: skip

    def _write_configuration(self) -> None:
        settings = {
            **_SETTINGS,
            **self.settings,
            "listen_addresses": f"'{self.host}'",
            "port": self.port,
            "unix_socket_directories": f"'{self.directory}'",
            "hba_file": f"'{self.directory}/pg_hba.conf'",
        }
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        self._write("postgresql.conf", lines)
        self._write(
            "pg_hba.conf", f"local all all scram-sha-256\nhost all all {self.host}/32 scram-sha-256\n"
        )
        self._write("pgpass", f"*:*:*:{self.admin}:{self.password}\n", owner_only_reader=True)

    def _write(self, name: str, text: str, owner_only_reader: bool = False) -> None:
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="ascii")
        user = self.user()
        # psql runs as we do and wants its password file to be our own.
        if user is not None and not owner_only_reader:
            shutil.chown(path, user, pwd.getpwnam(user).pw_gid)

    def _create_accounts(self) -> None:
        # In single-user mode, so that the server never listens while its administrator has no password.
        self._run(
            self._postgres("--single", "-c", "exit_on_error=on", "postgres"),
            f"ALTER ROLE {self.admin} PASSWORD '{self.password}'\n" + f'CREATE DATABASE "{self.database}"\n',
        )

    def _tls_settings(self, directory: Path) -> dict[str, object]:
        return {
            "ssl": "on",
            "ssl_ca_file": f"'{directory}/ca.pem'",
            "ssl_cert_file": f"'{directory}/certificate.pem'",
            "ssl_key_file": f"'{directory}/key.pem'",
        }

    def _command(self) -> list[str]:
        return self._postgres()

    def _postgres(self, *arguments: str) -> list[str]:
        program, mode, rest = self._program("postgres"), arguments[:1], arguments[1:]
        return [program, *mode, "-D", str(self.data), "-c", self._mark(), *rest]

    def _mark(self) -> str:
        return f"config_file={self.directory}/postgresql.conf"

    def _client(self, database: str) -> tuple[list[str], dict[str, str]]:
        command = [
            self._program("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t",
            "--set=ON_ERROR_STOP=1", f"--host={self.host}", f"--port={self.port}", f"--username={self.admin}",
            f"--dbname={database}",
        ]  # fmt: skip
        return command, {"PGPASSFILE": str(self.directory / "pgpass"), "PGCONNECT_TIMEOUT": "5"}

    def _release_shared_memory(self) -> None:
        """A killed server leaves one small System V segment; its lock file says which. A next start would reuse it."""
        try:
            key, segment = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[6].split()
        except (FileNotFoundError, IndexError, ValueError):
            return
        for line in Path("/proc/sysvipc/shm").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[:2] == [key, segment] and fields[6] == "0":  # nobody is attached
                subprocess.run(["ipcrm", "-m", segment], check=False)
