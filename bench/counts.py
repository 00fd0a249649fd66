"""What is counted of a transfer, from outside: messages, turns, round trips, forced writes; and the table of it.

Pure: bytes that went by and snapshots of counters in, numbers and text out. bench/runtime/count.py brings them.
"""

from __future__ import annotations

import dataclasses
import json
import re
import struct
from collections import Counter
from collections.abc import Callable

from harness.frames import LENGTH_BYTES, Message, parse_message

# What only a branch's session says; what else an agent asks its database, it asks on other sessions.
_BRANCH_WORDS = (
    b"PREPARE TRANSACTION",
    b"COMMIT PREPARED",
    b"ROLLBACK PREPARED",
    b"XA START",
    b"XA PREPARE",
    b"XA COMMIT",
    b"XA ROLLBACK",
)
# The calls that carry a transfer. Everything else between these processes goes by the clock.
_OF_A_TRANSFER = ("execute", "prepare", "commit_branch", "rollback_branch", "settle_branch", "inquire")
_SLOT = struct.Struct("<IIQ240s")
SLOT_BYTES = _SLOT.size


class TripCounter:
    """Round trips by connection of a database protocol, whatever it is: how often the client spoke after it had been
    answered. What is sent before the first byte of the answer is one trip, in however many pieces it goes."""

    def __init__(self) -> None:
        self._trips: Counter[int] = Counter()
        self._unanswered: set[int] = set()
        self._of_branches: set[int] = set()

    def saw(self, connection: int, to_server: bool, data: bytes) -> None:
        if not to_server:
            self._unanswered.discard(connection)
            return
        if connection not in self._unanswered:
            self._unanswered.add(connection)
            self._trips[connection] += 1
        if any(word in data for word in _BRANCH_WORDS):
            self._of_branches.add(connection)

    def snapshot(self) -> Counter[int]:
        return self._trips.copy()

    def since(self, earlier: Counter[int]) -> dict[str, int]:
        """On sessions that ran branches, and on the others."""
        grown = self._trips - earlier
        branches = sum(trips for connection, trips in grown.items() if connection in self._of_branches)
        return {"branches": branches, "beside": grown.total() - branches}


class MessageCounter:
    """Framed Thrift messages by link, method and kind, and the turns of direction at the coordinator: with one client at a
    time, how many message delays follow one another."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._halves: dict[tuple[str, int, bool], bytes] = {}
        self._inward: bool | None = None

    def saw(self, link: str, connection: int, to_server: bool, data: bytes) -> None:
        """`link`: `clients` and `directory` lead to the coordinator; any other leads from it to an agent."""
        half = (link, connection, to_server)
        data = self._halves.pop(half, b"") + data
        while len(data) >= LENGTH_BYTES:
            end = LENGTH_BYTES + struct.unpack_from("!I", data)[0]
            if len(data) < end:
                break
            self._saw_message(link, to_server, parse_message(data[LENGTH_BYTES:end]))
            data = data[end:]
        self._halves[half] = data

    def snapshot(self) -> Counter[str]:
        return self._counts.copy()

    def since(self, earlier: Counter[str]) -> dict[str, int]:
        return dict(sorted((self._counts - earlier).items()))

    def _saw_message(self, link: str, to_server: bool, message: Message) -> None:
        group = link if link in ("clients", "directory") else "agents"
        kind = "call" if to_server else "reply"
        self._counts[f"{group}.{message.method or 'unreadable'}.{kind}"] += 1
        if message.method in _OF_A_TRANSFER:
            inward = to_server == (group != "agents")
            if inward != self._inward:
                self._counts["delays"] += 1
            self._inward = inward


def parse_syncs(table: bytes) -> Counter[str]:
    """File to number, as sync_counter left them."""
    slots = (_SLOT.unpack_from(table, at) for at in range(0, len(table) - SLOT_BYTES + 1, SLOT_BYTES))
    return Counter(
        {name.split(b"\0", 1)[0].decode("utf-8", "replace"): count for _, _, count, name in slots if count}
    )


def forced_file(path: str) -> str:
    """What a file is, by its place: `postgres WAL`, `mysql binary log`, `agent journal`..; another keeps its path."""
    if found := re.search(r"/databases/([a-z]+)\d+/data/(.*)", path):
        kind, file = found.groups()
        if file.startswith("pg_wal/"):
            return f"{kind} WAL"
        if re.search(r"ib_redo|ib_logfile", file):
            return f"{kind} redo log"
        if re.match(r"(binlog|mysqld-bin|mariadb-bin|[^/]*-bin)\b", file):
            return f"{kind} binary log"
        return f"{kind} other files"
    if found := re.search(r"/(coordinator|agent)\d*/data(/|$)", path):
        return {"coordinator": "coordinator log", "agent": "agent journal"}[found[1]]
    return path


def group_syncs(by_path: dict[str, int]) -> dict[str, int]:
    groups: Counter[str] = Counter()
    for path, number in by_path.items():
        groups[forced_file(path)] += number
    return dict(sorted(groups.items()))


@dataclasses.dataclass(frozen=True)
class Counts:
    """Of one window of time."""

    seconds: float
    messages: dict[str, int]
    trips: dict[str, dict[str, int]]  # by kind of database: on sessions of branches, and beside
    syncs: dict[str, int]  # by what was forced

    def of(self, *names: str) -> int:
        return sum(self.messages.get(name, 0) for name in names)


@dataclasses.dataclass(frozen=True)
class Side:
    """One side's transfers, and as long a time in which nobody asked for anything."""

    name: str
    transfers: int
    run: Counts
    rest: Counts


# Rows: what stands at the left, how to get the number from Counts, and what theory says for two resource managers.
# 2PC: Gray and Lamport, Consensus on Transaction Commit (2006), section 3.2: one of them begins the commit unasked, and
# nobody acknowledges. PA, presumed abort: Mohan, Lindsay and Obermarck, Transaction Management in the R* Distributed
# Database Management System (1986): all are asked, each forces prepare and commit, and acknowledges.
_Theory = tuple[str, str]
_NONE: _Theory = ("", "")
_Row = tuple[str, Callable[[Counts], int], _Theory]
_FROM_COORDINATOR = ("agents.prepare.call", "agents.commit_branch.call")
_TO_COORDINATOR = ("agents.prepare.reply", "agents.commit_branch.reply")


def _rows(kinds: list[str], files: list[str]) -> list[tuple[str, list[_Row]]]:
    def messages(text: str, theory: _Theory, *names: str) -> _Row:
        return text, lambda counts: counts.of(*names), theory

    def others(counts: Counts) -> int:
        between = {*_FROM_COORDINATOR, *_TO_COORDINATOR, "delays"}
        return sum(
            number
            for name, number in counts.messages.items()
            if name not in between and not name.startswith("clients.")
        )

    def trips(kind: str, which: str) -> Callable[[Counts], int]:
        return lambda counts: counts.trips.get(kind, {}).get(which, 0)

    def syncs(file: str) -> Callable[[Counts], int]:
        return lambda counts: counts.syncs.get(file, 0)

    return [
        (
            "messages",
            [
                messages("client and coordinator", _NONE, "clients.execute.call", "clients.execute.reply"),
                messages("prepare", ("1  n-1", "2  n"), "agents.prepare.call"),
                messages("vote", ("2  n", "2  n"), "agents.prepare.reply"),
                messages("commit", ("2  n", "2  n"), "agents.commit_branch.call"),
                messages("acknowledgement", ("", "2  n"), "agents.commit_branch.reply"),
                messages(
                    "coordinator and agents", ("5  3n-1", "8  4n"), *_FROM_COORDINATOR, *_TO_COORDINATOR
                ),
                ("by the clock: heartbeats", others, _NONE),
                messages("delays, call to answer", ("4", ""), "delays"),
            ],
        ),
        (
            "round trips to a database",
            [
                row
                for kind in kinds
                for row in (
                    (f"{kind}, of branches", trips(kind, "branches"), ("", "2")),
                    (f"{kind}, beside them", trips(kind, "beside"), _NONE),
                )
            ],
        ),
        (
            "forced writes",
            [
                *((file, syncs(file), ("1", "1") if file == "coordinator log" else _NONE) for file in files),
                ("together", lambda counts: sum(counts.syncs.values()), ("3  n+1", "5  2n+1")),
            ],
        ),
    ]


def table(title: str, sides: list[Side]) -> str:
    """Lines with their ends. Numbers are by committed transfer; at rest, by second."""
    kinds = list(dict.fromkeys(kind for side in sides for kind in side.run.trips))
    files = sorted({file for side in sides for file in (*side.run.syncs, *side.rest.syncs)})
    head = "".join(f"{side.name:>12}" for side in sides) + f"   {'2PC n=2':<9}{'PA n=2':<9}"
    head += "".join(f"{side.name + ' at rest':>22}" for side in sides)
    text = f"{title}\n{'':<28}{head}\n"
    for section, rows in _rows(kinds, files):
        text += f"{section}\n"
        for name, number, theory in rows:
            line = f"  {name:<26}"
            line += "".join(f"{figure(number(side.run) / side.transfers):>12}" for side in sides)
            line += f"   {theory[0]:<9}{theory[1]:<9}"
            line += "".join(f"{figure(number(side.rest) / side.rest.seconds, '/s'):>21} " for side in sides)
            text += line.rstrip() + "\n"
    return text


def figure(value: float, unit: str = "") -> str:
    return f"{value:.2f}{unit}" if value else "-"


def json_line(databases: str, agents: int, acknowledge: str, side: Side) -> str:
    """Whole numbers, as they were counted; who wants them by transfer divides."""
    return json.dumps(
        {
            "bench": "count",
            "databases": databases,
            "agents": agents,
            "acknowledge": acknowledge,
            "side": side.name,
            "transfers": side.transfers,
            **_json(side.run),
            "at_rest": _json(side.rest),
        }
    )


def _json(counts: Counts) -> dict:
    return {**dataclasses.asdict(counts), "seconds": round(counts.seconds, 3)}
