"""Every counter of a run, read before and after: doors that see messages and round trips, and a table of syncs."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tap import Tap

from counts import SLOT_BYTES, Counts, MessageCounter, TripCounter, group_syncs, parse_syncs

_SLOTS = 1024


class Counters:
    """
    with Counters(directory, ["postgres", "mysql"], programs) as counters:
        ...                                        # servers that are started now are counted
        port = counters.door("mysql", server.port)
        with counters.window(windows):
            ...
    """

    def __init__(self, directory: Path, kinds: list[str], programs: Path) -> None:
        """`kinds` of databases: their doors' names. `programs`: where libsync_counter.so is."""
        self._built_library = programs / "libsync_counter.so"
        self._messages = MessageCounter()
        self._trips = {kind: TripCounter() for kind in kinds}
        self._table = directory / "syncs"
        self._library = directory / "sync_counter.so"
        self._tap = Tap(self._saw)
        self.door = self._tap.door

    def __enter__(self) -> Counters:
        # Servers run under accounts of their own, and must reach both files.
        shutil.copyfile(self._built_library, self._library)
        self._library.chmod(0o755)
        self._table.write_bytes(bytes(_SLOTS * SLOT_BYTES))
        self._table.chmod(0o666)
        self._table.parent.chmod(0o711)
        os.environ.update(LD_PRELOAD=str(self._library), TROTH_SYNC_COUNTS=str(self._table))
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("LD_PRELOAD", "TROTH_SYNC_COUNTS"):
            os.environ.pop(name, None)
        self._tap.__exit__()

    @contextlib.contextmanager
    def window(self, into: list[Counts]) -> Iterator[None]:
        """Appends what was counted between the two ends."""
        begin, (messages, trips), syncs = time.monotonic(), self._tap.look(self._snapshot), self._syncs()
        yield
        seconds = time.monotonic() - begin
        into.append(
            Counts(
                seconds=seconds,
                messages=self._tap.look(lambda: self._messages.since(messages)),
                trips={
                    kind: self._tap.look(lambda c=counter, k=kind: c.since(trips[k]))
                    for kind, counter in self._trips.items()
                },
                syncs=group_syncs(self._syncs() - syncs),
            )
        )

    def _saw(self, link: str, connection: int, to_server: bool, data: bytes) -> None:
        if link in self._trips:
            self._trips[link].saw(connection, to_server, data)
        else:
            self._messages.saw(link, connection, to_server, data)

    def _snapshot(self) -> tuple[Counter[str], dict[str, Counter[int]]]:
        return self._messages.snapshot(), {kind: each.snapshot() for kind, each in self._trips.items()}

    def _syncs(self) -> Counter[str]:
        return parse_syncs(self._table.read_bytes())
