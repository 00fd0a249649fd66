"""A network of a test's own: each node in a network namespace, with a link to one switch. Links fail in one direction or in
both, as links do: what is sent is lost, and nobody hears of it.

    with Network(["a", "b", "agent"]) as network:
        Program(..., within=network.inside("a"))          # listens on network.host("a")
        network.expose("a", 5000)                         # 127.0.0.1:5000 out here reaches a's port 5000
        network.lend("agent", server.port)                # the other way: a port of 127.0.0.1 out here, inside
        network.cut("a", "b")                             # nothing that a sends reaches b; b still reaches a
        network.split({"a"}, {"b", "agent"})              # nor the other way
        network.heal()

Nothing of it is seen outside; it needs no rights but those to make a namespace (root, or an ordinary user where the kernel
lets those have user namespaces, as Debian's does).
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.forwarder import Forwarder
from harness.undertaker import Undertaker

_FORWARDER = Path(__file__).with_name("forwarder.py")
_IS_ROOT = os.geteuid() == 0
_AS_OWNER = [] if _IS_ROOT else ["--user", "--map-root-user"]
_AS_MEMBER = [] if _IS_ROOT else ["--user", "--preserve-credentials"]
# A station that is not there: the switch delivers what is sent to it to nobody.
_NOBODY = "02:00:00:00:00:01"


def why_not() -> str | None:
    """What is missing here for a Network, and how to get it."""
    if shutil.which("ip") is None:
        return "no ip command: apt-get install iproute2"
    made = subprocess.run(
        ["unshare", *_AS_OWNER, "--net", "true"], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        return f"no network namespaces: {made.stderr.strip()} (run as root, or allow user namespaces)"
    return None


class Network:
    def __init__(self, nodes: list[str]) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="troth-net-"))
        Undertaker.of_this_run().watch_directory(self._directory)
        self._hosts = {node: f"10.9.0.{number}" for number, node in enumerate(nodes, start=1)}
        self._ways = itertools.count()
        self._cuts: set[tuple[str, str]] = set()
        self._outside = Forwarder()
        self._switch = _Namespace([*_unshare(*_AS_OWNER)])
        self._switch.ip("link", "add", "switch", "type", "bridge")
        self._switch.ip("link", "set", "switch", "up")
        self._nodes = {}
        for number, node in enumerate(nodes, start=1):
            self._nodes[node] = inside = _Namespace([*self._switch.prefix, *_unshare()])
            link = f"link{number}"
            self._switch.ip(
                "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(inside.pid)
            )
            self._switch.ip("link", "set", link, "master", "switch", "up")
            inside.ip("address", "add", f"{self._hosts[node]}/24", "dev", "eth0")
            inside.ip("link", "set", "eth0", "up")

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def host(self, node: str) -> str:
        return self._hosts[node]

    def inside(self, node: str) -> list[str]:
        """In front of a command: it runs in the node. The process keeps its id."""
        return self._nodes[node].prefix

    def expose(self, node: str, port: int) -> None:
        way = self._way()
        self._nodes[node].forward(f"unix:{way}", f"tcp:{self._hosts[node]}:{port}")
        self._outside.add(f"tcp:127.0.0.1:{port}", f"unix:{way}")

    def lend(self, node: str, port: int) -> None:
        way = self._way()
        self._outside.add(f"unix:{way}", f"tcp:127.0.0.1:{port}")
        self._nodes[node].forward(f"tcp:127.0.0.1:{port}", f"unix:{way}")

    def cut(self, sender: str, receiver: str) -> None:
        """Nothing from `sender` reaches `receiver` any more, on old connections and new ones."""
        if (sender, receiver) in self._cuts:
            return
        self._neighbour(sender, "replace", self._hosts[receiver], "lladdr", _NOBODY, "nud", "permanent")
        self._cuts.add((sender, receiver))

    def split(self, some: set[str], others: set[str]) -> None:
        """Between these and those, in both directions."""
        for one, other in itertools.product(some, others):
            self.cut(one, other)
            self.cut(other, one)

    def isolate(self, node: str) -> None:
        self.split({node}, set(self._hosts) - {node})

    def heal(self) -> None:
        for sender, receiver in self._cuts:
            self._neighbour(sender, "del", self._hosts[receiver])
        self._cuts.clear()

    def close(self) -> None:
        self._outside.close()
        for namespace in (*self._nodes.values(), self._switch):
            namespace.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _neighbour(self, node: str, verb: str, *what: str) -> None:
        self._nodes[node].ip("neighbour", verb, *what, "dev", "eth0")

    def _way(self) -> Path:
        return self._directory / f"way{next(self._ways)}"


def _unshare(*options: str) -> list[str]:
    return ["unshare", *options, "--net", sys.executable, str(_FORWARDER)]


class _Namespace:
    """Kept by a forwarder that runs in it."""

    def __init__(self, command: list[str]) -> None:
        self._keeper = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.pid = self._keeper.pid
        Undertaker.of_this_run().watch(self.pid)
        self.prefix = ["nsenter", "--target", str(self.pid), *_AS_MEMBER, "--net"]
        assert self._keeper.stdout.readline() == "ready\n", f"no namespace: {' '.join(command)}"
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments: str) -> None:
        done = subprocess.run([*self.prefix, "ip", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"

    def forward(self, listened: str, reached: str) -> None:
        self._keeper.stdin.write(f"{listened} {reached}\n")
        self._keeper.stdin.flush()
        answer = self._keeper.stdout.readline()
        assert answer == "ready\n", f"{listened} cannot be forwarded to {reached}"

    def close(self) -> None:
        self._keeper.stdin.close()
        self._keeper.wait(30)
        self._keeper.stdout.close()
