"""Several throwaway servers of one run, started together and known to later processes by a file.

`directory/databases.json` says what runs. A run that was killed before it could stop its servers is cleaned up by the
next one: the cache holds a note of each fleet with the process it belongs to, and what is stopped and deleted then is
only what note and fleet agree upon, after its owner has gone.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import secrets
import tempfile
from pathlib import Path

from throwaway.cache import cache_directory
from throwaway.identity import ProcessIdentity
from throwaway.mysql import MariaDb, MySql
from throwaway.postgres import Postgres
from throwaway.server import Server

KINDS: dict[str, type[Server]] = {kind.kind: kind for kind in (Postgres, MariaDb, MySql)}

_FILE = "databases.json"


class FleetError(Exception):
    pass


class Fleet:
    """
    with Fleet(Path("/tmp/x"), owner=os.getpid()) as fleet:
        postgres, mysql = fleet.start({"postgres": 1, "mysql": 1})
    """

    def __init__(self, directory: Path, owner: int | None = None) -> None:
        """`owner`: the process the servers belong to. When it has gone without stopping them, the next start does."""
        self.directory = Path(directory).absolute()
        self.servers: list[Server] = []
        self._nonce = secrets.token_hex(8)
        self._owner = ProcessIdentity.of(owner) if owner is not None else None
        self._made_directory = False

    @classmethod
    def temporary(cls, owner: int | None = None) -> Fleet:
        """In a new temporary directory, which goes with the servers."""
        fleet = cls(Path(tempfile.mkdtemp(prefix="troth-servers-")), owner)
        fleet._made_directory = True
        return fleet

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, counts: dict[str, int], database: str = "bank") -> list[Server]:
        """Starts servers in parallel, `postgres1`, `postgres2`, `mysql1` ...; all of them run, or none."""
        stop_abandoned()
        if (self.directory / _FILE).exists():
            raise FleetError(
                f"{self.directory} holds servers already: stop them first, or choose another directory"
            )
        self._made_directory = self._made_directory or not self.directory.exists()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.servers = [
            KINDS[kind](self.directory / f"{kind}{number}", database=database)
            for kind, count in counts.items()
            for number in range(1, count + 1)
        ]
        self.save()
        try:
            with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, len(self.servers))) as starting:
                for started in [starting.submit(server.start) for server in self.servers]:
                    started.result()
        except BaseException:
            self.stop()
            raise
        self.save()
        return self.servers

    def of_kind(self, kind: str) -> list[Server]:
        return [server for server in self.servers if server.kind == kind]

    def save(self) -> None:
        record = {
            "nonce": self._nonce,
            "made_directory": self._made_directory,
            "owner": self._owner.record() if self._owner else None,
            "servers": [server.record() for server in self.servers],
        }
        _write(self.directory / _FILE, record)
        if self._owner is not None:
            note = {"nonce": self._nonce, "directory": str(self.directory), "owner": self._owner.record()}
            _write(_notes() / f"{self._nonce}.json", note)

    def stop(self) -> None:
        """Stops the servers and deletes what they left: their directories, the file, and our directory if we made it."""
        with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, len(self.servers))) as stopping:
            for stopped in [stopping.submit(server.remove) for server in self.servers]:
                stopped.result()
        (self.directory / _FILE).unlink(missing_ok=True)
        (_notes() / f"{self._nonce}.json").unlink(missing_ok=True)
        if self._made_directory:
            try:
                self.directory.rmdir()
            except OSError:
                pass  # somebody keeps something of theirs in it

    @classmethod
    def load(cls, directory: Path) -> Fleet:
        path = Path(directory).absolute() / _FILE
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FleetError(f"{path} is not there: no servers were started in this directory") from None
        fleet = cls(Path(directory))
        fleet._nonce = record["nonce"]
        fleet._made_directory = record["made_directory"]
        fleet._owner = ProcessIdentity.from_record(record["owner"]) if record["owner"] else None
        fleet.servers = [KINDS[server["kind"]].from_record(server) for server in record["servers"]]
        return fleet


def stop_abandoned() -> list[Path]:
    """Stops every fleet whose owner has gone; returns their directories."""
    cleaned = []
    for path in sorted(_notes().glob("*.json")):
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
            if ProcessIdentity.from_record(note["owner"]).runs():
                continue
            fleet = Fleet.load(Path(note["directory"]))
            if fleet._nonce == note["nonce"]:
                fleet.stop()
                cleaned.append(fleet.directory)
        except (FleetError, FileNotFoundError):
            pass  # stopped meanwhile, or its directory was deleted by hand: only the note is left
        path.unlink(missing_ok=True)
    return cleaned


def _notes() -> Path:
    notes = cache_directory() / "fleets"
    notes.mkdir(parents=True, exist_ok=True, mode=0o700)
    return notes


def _write(path: Path, record: dict) -> None:
    """Whole or not at all: a reader never sees half a file."""
    making = path.with_name(f".{path.name}.{os.getpid()}")
    making.touch(mode=0o600)
    making.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    making.replace(path)
