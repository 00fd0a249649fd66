"""A TCP proxy for framed Thrift that loses, delays, doubles, holds and cuts, by name of the method.

    proxy = Proxy(agent.port)                      # the coordinator is told proxy.port
    rule = proxy.drop("commit_branch", times=1)    # the next call of it never arrives
    ...
    rule.wait()                                    # it did happen

Rules are asked in the order of their making; the first that fits decides. Messages that no rule fits pass unchanged.
A held or delayed message lets later ones overtake it, on the same connection too, and a call among them arrives even
when its sender has died meanwhile.
"""

from __future__ import annotations

import asyncio
import dataclasses
import struct
import threading
from collections.abc import Callable, Coroutine

from harness.frames import LENGTH_BYTES, LONGEST_FRAME, Message, parse_message
from harness.waiting import eventually

# A replayed call stands on a connection of its own, behind the greeting that its old connection began with.
_GREETINGS = ("hello", "agent_hello")
_CALL_TIMEOUT_S = 30


@dataclasses.dataclass(eq=False)
class _Connection:
    number: int
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    greeting: Message | None = None

    def toward(self, message_to_server: bool) -> asyncio.StreamWriter:
        return self.server if message_to_server else self.client

    def reset(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


class Rule:
    """One thing done to the messages it fits: `method` (None: any), `kind` call or reply, the first `times` of them."""

    def __init__(self, proxy: Proxy, act: Callable, method: str | None, kind: str, times: int | None) -> None:
        if kind not in ("call", "reply"):
            raise ValueError(f"kind is call or reply, not {kind!r}")
        self.messages: list[Message] = []
        self._proxy = proxy
        self._act = act
        self._method = method
        self._kind = kind
        self._left = times
        self._held: list[tuple[_Connection, Message]] = []

    def wait(self, count: int = 1, within_s: float = 20) -> list[Message]:
        """Returns once it was used `count` times."""
        what = (
            f"{count} {self._method or 'message'} {self._kind}s at proxy rule {self._act.__name__.strip('_')}"
        )
        eventually(lambda: len(self.messages) >= count, what, within_s)
        return list(self.messages)

    def end(self) -> None:
        """Fits nothing any more. What it holds stays held."""
        self._left = 0

    def release(self) -> None:
        """Ends the rule and sends what it holds, in the order of arrival."""
        self.end()
        self._proxy._run(self._release_held())

    async def _release_held(self) -> None:
        held, self._held = self._held, []
        for connection, message in held:
            await self._proxy._deliver_late(connection, message)

    def _fits(self, message: Message) -> bool:
        kind_fits = message.to_server if self._kind == "call" else message.kind in ("reply", "exception")
        return (self._left is None or self._left > 0) and kind_fits and self._method in (None, message.method)

    async def _apply(self, connection: _Connection, message: Message) -> None:
        if self._left is not None:
            self._left -= 1
        await self._act(self, connection, message)
        # Last, so that who waits for it finds it done.
        self.messages.append(message)


class Proxy:
    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self._rules: list[Rule] = []
        self._seen: list[Message] = []
        self._connections: set[_Connection] = set()
        self._count = 0
        self._silent = False
        self._refusing = False
        self._tasks: set[asyncio.Task] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._run(self._listen())

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What is done to messages. times=None: to all of them, until rule.end() or heal().

    def drop(self, method: str | None = None, kind: str = "call", times: int | None = None) -> Rule:
        """Lost without a trace; the connection goes on."""

        async def drop(_rule: Rule, _connection: _Connection, _message: Message) -> None:
            pass

        return self._add(drop, method, kind, times)

    def delay(
        self, seconds: float, method: str | None = None, kind: str = "call", times: int | None = None
    ) -> Rule:
        async def delay(_rule: Rule, connection: _Connection, message: Message) -> None:
            self._later(seconds, self._deliver_late(connection, message))

        return self._add(delay, method, kind, times)

    def hold(self, method: str | None = None, kind: str = "call", times: int | None = None) -> Rule:
        """Kept until rule.release()."""

        async def hold(rule: Rule, connection: _Connection, message: Message) -> None:
            rule._held.append((connection, message))

        return self._add(hold, method, kind, times)

    def double(self, method: str | None = None, times: int | None = None, after_s: float = 0.0) -> Rule:
        """The call arrives, and once more on a connection of its own, `after_s` later; that answer goes nowhere."""

        async def double(_rule: Rule, connection: _Connection, message: Message) -> None:
            await self._forward(connection, message)
            self._later(after_s, self._replay_unheard(message, connection.greeting))

        return self._add(double, method, "call", times)

    def cut_before(self, method: str | None = None, kind: str = "call", times: int | None = 1) -> Rule:
        """The connection is reset instead of delivering the message."""

        async def cut_before(_rule: Rule, connection: _Connection, _message: Message) -> None:
            connection.reset()

        return self._add(cut_before, method, kind, times)

    def cut_after(self, method: str | None = None, kind: str = "call", times: int | None = 1) -> Rule:
        """The message is delivered, then the connection is reset: who sent it cannot know."""

        async def cut_after(_rule: Rule, connection: _Connection, message: Message) -> None:
            await self._forward(connection, message)
            # Read by the kernel on the other side, or a reset could overtake it.
            writer = connection.toward(message.to_server)
            await writer.drain()
            connection.toward(not message.to_server).transport.abort()
            writer.close()

        return self._add(cut_after, method, kind, times)

    # What is done to connections.

    def cut(self) -> None:
        """Resets every connection; new ones are taken."""
        self._run(self._cut())

    def refuse(self) -> None:
        """Resets every connection, and every new one at once, until heal()."""
        self._refusing = True
        self.cut()

    def silence(self) -> None:
        """Half-open: connections stand, new ones too, and nothing passes or ends, until heal(). What was sent meanwhile
        is lost."""
        self._silent = True

    def heal(self) -> None:
        """Ends every rule, silence and refusal. Connections that lived through a silence are reset: bytes are missing."""
        for rule in self._rules:
            rule.end()
        was_silent, self._silent, self._refusing = self._silent, False, False
        if was_silent:
            self.cut()

    # What went by.

    def seen(self, method: str | None = None, kind: str = "call") -> list[Message]:
        """Every message that reached the proxy, whatever was done to it, in order."""
        wanted = ("call", "oneway") if kind == "call" else ("reply", "exception")
        return [m for m in list(self._seen) if m.kind in wanted and method in (None, m.method)]

    def wait_seen(
        self, method: str, kind: str = "call", count: int = 1, within_s: float = 20
    ) -> list[Message]:
        eventually(
            lambda: len(self.seen(method, kind)) >= count, f"{count} {method} {kind}s at the proxy", within_s
        )
        return self.seen(method, kind)

    def connections(self) -> int:
        return len(self._connections)

    def replay(self, message: Message) -> Message:
        """Sends an old call again, on a connection of its own behind its connection's greeting; returns the answer."""
        greeting = next(
            (m for m in self._seen if m.connection == message.connection and m.method in _GREETINGS), None
        )
        return self._run(self._replay(message, greeting))

    def close(self) -> None:
        if not self._loop.is_running():
            return
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # Inside; coroutines run on the proxy's thread.

    def _run(self, work: Coroutine):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_TIMEOUT_S)

    def _add(self, act: Callable, method: str | None, kind: str, times: int | None) -> Rule:
        rule = Rule(self, act, method, kind, times)
        self._rules.append(rule)
        return rule

    def _later(self, seconds: float, work: Coroutine) -> None:
        async def wait_and_do() -> None:
            await asyncio.sleep(seconds)
            await work

        self._keep(wait_and_do())

    def _keep(self, work: Coroutine) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        self._count += 1
        connection = _Connection(self._count, writer, server_writer)
        self._connections.add(connection)
        try:
            await asyncio.gather(
                self._pump(connection, reader, True), self._pump(connection, server_reader, False)
            )
        finally:
            connection.reset()
            self._connections.discard(connection)

    async def _pump(self, connection: _Connection, reader: asyncio.StreamReader, from_client: bool) -> None:
        """One direction, until it ends; then the other side hears that this one has ended."""
        try:
            while True:
                (length,) = struct.unpack("!I", await reader.readexactly(LENGTH_BYTES))
                if length > LONGEST_FRAME:
                    raise ConnectionError(f"a frame of {length} bytes")
                message = parse_message(await reader.readexactly(length), connection.number)
                await self._pass(connection, message, from_client)
        except (ConnectionError, asyncio.IncompleteReadError):
            if self._silent:
                return
            for writer in (connection.client, connection.server):
                if not writer.is_closing():
                    writer.close()

    async def _pass(self, connection: _Connection, message: Message, from_client: bool) -> None:
        if not message.method:
            message = dataclasses.replace(message, kind="call" if from_client else "reply")
        self._seen.append(message)
        if from_client and connection.greeting is None and message.method in _GREETINGS:
            connection.greeting = message
        if self._silent:
            return
        for rule in list(self._rules):
            if rule._fits(message):
                await rule._apply(connection, message)
                return
        await self._forward(connection, message)

    async def _forward(self, connection: _Connection, message: Message) -> None:
        writer = connection.toward(message.to_server)
        if writer.is_closing():
            return
        writer.write(message.on_the_wire)
        try:
            await writer.drain()
        except ConnectionError:
            pass  # the pump of that side sees the end itself

    async def _deliver_late(self, connection: _Connection, message: Message) -> None:
        """A call arrives even after its sender has gone, as packets do; an answer needs its connection."""
        if message.to_server and connection.server.is_closing():
            self._keep(self._replay_unheard(message, connection.greeting))
        else:
            await self._forward(connection, message)

    async def _replay_unheard(self, message: Message, greeting: Message | None) -> None:
        try:
            await self._replay(message, greeting)
        except (OSError, asyncio.IncompleteReadError):
            pass  # nobody there, or the connection was closed on us: then the message is lost

    async def _replay(self, message: Message, greeting: Message | None) -> Message:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        try:
            answer = None
            for call in [greeting, message] if greeting is not None else [message]:
                writer.write(call.on_the_wire)
                (length,) = struct.unpack("!I", await reader.readexactly(LENGTH_BYTES))
                answer = parse_message(await reader.readexactly(length))
            return answer
        finally:
            writer.transport.abort()

    async def _cut(self) -> None:
        for connection in list(self._connections):
            connection.reset()

    async def _shut(self) -> None:
        self._server.close()
        await self._cut()
        for task in list(self._tasks):
            task.cancel()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
