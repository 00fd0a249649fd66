"""Passes streams on: whoever connects to one end reaches the other. An end is tcp:HOST:PORT or unix:PATH, so that a way can
lead out of a network namespace: a socket's file is the same in each.

    with Forwarder() as forwarder:
        forwarder.add("tcp:127.0.0.1:5000", "unix:/tmp/x/way")

As a program it takes such pairs from its input and ends with it; "ready" says that it runs, and after each line that it is
listened:

    printf 'unix:/tmp/x/way tcp:10.9.0.1:5000\\n' | python3 forwarder.py
"""

from __future__ import annotations

import asyncio
import sys
import threading

_CALL_TIMEOUT_S = 30


class Forwarder:
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="forwarder", daemon=True)
        self._thread.start()

    def __enter__(self) -> Forwarder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, listened: str, reached: str) -> None:
        """Listens when it returns."""
        self._run(_listen(listened, reached))

    def close(self) -> None:
        """Its connections end."""
        if not self._loop.is_running():
            return
        self._run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_TIMEOUT_S)


async def _listen(listened: str, reached: str) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await _connect(reached)
        except OSError:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))
        except asyncio.CancelledError:
            pass  # the forwarder ends
        finally:
            writer.transport.abort()
            far_writer.transport.abort()

    kind, _, where = listened.partition(":")
    if kind == "unix":
        await asyncio.start_unix_server(accept, where)
    else:
        host, port = where.rsplit(":", 1)
        await asyncio.start_server(accept, host, int(port))


async def _connect(end: str):
    kind, _, where = end.partition(":")
    if kind == "unix":
        return await asyncio.open_unix_connection(where)
    host, port = where.rsplit(":", 1)
    return await asyncio.open_connection(host, int(port))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the reader's side ends; then the other side hears that."""
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    if not writer.is_closing():
        writer.close()


async def _cancel_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def main() -> None:
    with Forwarder() as forwarder:
        print("ready", flush=True)
        for line in sys.stdin:
            forwarder.add(*line.split())
            print("ready", flush=True)


if __name__ == "__main__":
    main()
