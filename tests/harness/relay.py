"""A TCP relay in front of a database server, for any protocol: one side of a connection may go while the other stays.

    relay = Relay(server.port)          # the agent is told relay.port
    relay.orphan()                      # the agent's ends are reset; the server hears nothing of it
    ...                                 # its sessions live on, as after a host that died or a firewall that forgot
    relay.bury()                        # the server's ends of them are closed

Connections that are made later are passed as ever.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Coroutine

_CALL_TIMEOUT_S = 30


@dataclasses.dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    orphaned: bool = False


class Relay:
    def __init__(self, target_port: int, instead: tuple[bytes, bytes] = (b"", b"")) -> None:
        """`instead`: what clients say, and what of the same length the server hears, as from a proxy that rewrites."""
        assert len(instead[0]) == len(instead[1])
        self.target_port = target_port
        self._instead = instead
        self._connections: set[_Connection] = set()
        self._keeps_server_ends = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def keep_server_ends(self) -> None:
        """From now on, until bury(): when a client goes, its server does not hear of it."""
        self._keeps_server_ends = True

    def orphan(self) -> None:
        """Every client finds its connection reset; the servers do not hear of it."""
        self._run(self._orphan())

    def orphans(self) -> int:
        return sum(connection.orphaned for connection in self._connections)

    def bury(self) -> None:
        """Half-open connections end, and no new ones come about."""
        self._keeps_server_ends = False
        self._run(self._bury(only_orphans=True))

    def close(self) -> None:
        if not self._loop.is_running():
            return
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # Inside; coroutines run on the relay's thread.

    def _run(self, work: Coroutine):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_TIMEOUT_S)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(writer, server_writer)
        self._connections.add(connection)
        try:
            await asyncio.gather(
                self._to_server(connection, reader), self._to_client(connection, server_reader)
            )
        finally:
            connection.client.transport.abort()
            connection.server.transport.abort()
            self._connections.discard(connection)

    async def _to_server(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        await _pass(reader, connection.server, self._instead)
        if self._keeps_server_ends:
            connection.orphaned = True
        if not connection.orphaned and not connection.server.is_closing():
            connection.server.close()

    async def _to_client(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        """What the server still says to a client that has gone is read, so that it does not notice."""
        await _pass(reader, connection.client)
        if not connection.client.is_closing():
            connection.client.close()

    async def _orphan(self) -> None:
        for connection in self._connections:
            connection.orphaned = True
            connection.client.transport.abort()

    async def _bury(self, only_orphans: bool) -> None:
        for connection in list(self._connections):
            if connection.orphaned or not only_orphans:
                connection.client.transport.abort()
                connection.server.transport.abort()

    async def _shut(self) -> None:
        self._server.close()
        await self._bury(only_orphans=False)
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, instead: tuple[bytes, bytes] = (b"", b"")
) -> None:
    """Until the reader's side ends."""
    try:
        while data := await reader.read(1 << 16):
            if writer.is_closing():
                continue
            writer.write(data.replace(*instead) if instead[0] else data)
            try:
                await writer.drain()
            except ConnectionError:
                pass  # that side has gone: its own reader sees it
    except ConnectionError:
        pass
