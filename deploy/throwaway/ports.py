"""Free ports on loopback that stay free over a restart."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_LOWEST = 15000


def free_port() -> int:
    """A port nobody listens on, below the range the kernel hands to clients: a server that is killed and started
    again on it does not find an outgoing connection there. Another process may still take it first; the caller tries
    again with the next one."""
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    highest = max(ephemeral - 1, _LOWEST + 1000)
    for _ in range(200):
        port = random.SystemRandom().randint(_LOWEST, highest)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port found between {_LOWEST} and {highest} in 200 tries")


def accepts(port: int, timeout_s: float = 1.0) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s):
            return True
    except OSError:
        return False
