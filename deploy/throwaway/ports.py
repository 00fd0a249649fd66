"""Free ports on loopback that stay free over a restart."""

from __future__ import annotations

import random
import socket
import threading
from pathlib import Path

_LOWEST = 15000
_BLOCK = 100


class PortBlocks:
    """Hands out each port at most once. A server that is stopped for a while must find its port free when it starts
    again, so no two processes that use this class may choose from the same ports: each takes a block of them by
    binding an abstract Unix socket of its name, which the kernel keeps until the process has ended, however it ends.
    """

    def __init__(self) -> None:
        self._choosing = threading.Lock()
        self._claims: list[socket.socket] = []
        self._ports: list[int] = []

    def next_port(self) -> int:
        """A port of this process' own nobody listens on. Below the range the kernel hands to clients: a server that is
        killed and started again on it does not find an outgoing connection there. A process that chooses its ports in
        another way may still take it first; the caller tries again with the next one."""
        with self._choosing:
            while True:
                while self._ports:
                    port = self._ports.pop()
                    if _is_free(port):
                        return port
                self._ports = self._claim_block()

    def _claim_block(self) -> list[int]:
        ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
        highest = max(ephemeral, _LOWEST + 1000)
        blocks = list(range(_LOWEST, highest - _BLOCK + 1, _BLOCK))
        random.SystemRandom().shuffle(blocks)
        for first in blocks:
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                claim.bind(f"\0troth-ports-{first}")
            except OSError:
                claim.close()
                continue
            self._claims.append(claim)
            ports = list(range(first, first + _BLOCK))
            random.SystemRandom().shuffle(ports)
            return ports
        raise OSError(f"every block of ports between {_LOWEST} and {highest} belongs to a running process")


_blocks = PortBlocks()


def free_port() -> int:
    """See PortBlocks.next_port."""
    return _blocks.next_port()


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def accepts(port: int, timeout_s: float = 1.0) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s):
            return True
    except OSError:
        return False
