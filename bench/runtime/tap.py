"""Doors to servers that see everything that goes through, in the order in which it comes.

    with Tap(lambda link, connection, to_server, data: ...) as tap:
        port = tap.door("postgres", server.port)      # clients are told this port instead

One thread for all doors, so that what is seen at one of them stands in order with what is seen at another.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import TypeVar

T = TypeVar("T")
Watcher = Callable[[str, int, bool, bytes], None]

_CALL_TIMEOUT_S = 30


class Tap:
    def __init__(self, watcher: Watcher) -> None:
        """`watcher` runs on the tap's thread."""
        self._watcher = watcher
        self._connections = 0
        self._doors: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tap", daemon=True)
        self._thread.start()

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def door(self, link: str, target_port: int) -> int:
        """The port that leads there. The server need not listen yet."""
        return self._run(self._open(link, target_port))

    def look(self, at: Callable[[], T]) -> T:
        """Calls it on the tap's thread, between two pieces of data."""

        async def call() -> T:
            return at()

        return self._run(call())

    # Inside; coroutines run on the tap's thread.

    def _run(self, work: Coroutine):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_TIMEOUT_S)

    async def _open(self, link: str, target_port: int) -> int:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._carry(link, target_port, reader, writer)

        door = await asyncio.start_server(accept, "127.0.0.1", 0)
        self._doors.append(door)
        return door.sockets[0].getsockname()[1]

    async def _carry(
        self, link: str, target_port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", target_port)
        except OSError:
            writer.transport.abort()
            return
        self._connections += 1
        number = self._connections

        async def pass_on(
            source: asyncio.StreamReader, target: asyncio.StreamWriter, to_server: bool
        ) -> None:
            while data := await source.read(1 << 16):
                self._watcher(link, number, to_server, data)
                target.write(data)
                await target.drain()
            target.close()

        try:
            await asyncio.gather(pass_on(reader, server_writer, True), pass_on(server_reader, writer, False))
        except ConnectionError:
            pass  # whoever is left hears of it by the abort
        finally:
            writer.transport.abort()
            server_writer.transport.abort()

    async def _shut(self) -> None:
        for door in self._doors:
            door.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
