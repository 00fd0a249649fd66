"""A test's own network: what passes, what is cut, and that it leaves nothing behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest

from harness import network
from harness.network import Network
from throwaway.ports import free_port

pytestmark = pytest.mark.skipif(network.why_not() is not None, reason=network.why_not() or "")

_PORT = free_port()

# Answers each datagram with it, and each connection with what it says.
_ECHO = """
import socket, sys, threading
host, port = sys.argv[1], int(sys.argv[2])
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind((host, port))
listening = socket.create_server((host, port))
print("ready", flush=True)
def serve():
    while True:
        connection, _ = listening.accept()
        connection.sendall(connection.recv(100))
        connection.close()
threading.Thread(target=serve, daemon=True).start()
while True:
    said, sender = datagrams.recvfrom(100)
    datagrams.sendto(said, sender)
"""
# How many of five datagrams were answered; the first may be lost while the address is looked up.
_ASK = """
import socket, sys
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(0.2)
heard = 0
for number in range(5):
    asking.sendto(b"%d" % number, (sys.argv[1], int(sys.argv[2])))
    try:
        asking.recvfrom(100)
        heard += 1
    except OSError:
        pass
print(heard)
"""


@pytest.fixture
def three():
    with Network(["a", "b", "c"]) as made:
        yield made


@pytest.fixture
def echo(three):
    """Of node b, at _PORT."""
    command = [*three.inside("b"), sys.executable, "-c", _ECHO, three.host("b"), str(_PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def heard(three: Network, node: str) -> int:
    """Of five that the node says to b."""
    command = [*three.inside(node), sys.executable, "-c", _ASK, three.host("b"), str(_PORT)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_nodes_hear_each_other_until_they_are_split(three, echo):
    assert heard(three, "a") >= 4
    three.split({"a"}, {"b"})
    assert heard(three, "a") == 0
    assert heard(three, "c") >= 4, "the others go on"
    three.heal()
    assert heard(three, "a") >= 4


@pytest.mark.parametrize("way", [("a", "b"), ("b", "a")])
def test_a_cut_is_of_one_direction(three, echo, way):
    """A question without its answer is heard nowhere else; what the cut does not name passes."""
    three.cut(*way)
    assert heard(three, "a") == 0
    assert heard(three, "c") >= 4


def test_a_port_of_a_node_is_seen_outside(three, echo):
    three.expose("b", _PORT)
    with socket.create_connection(("127.0.0.1", _PORT), timeout=10) as connection:
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"
        assert connection.recv(100) == b"", "its end is heard"


def test_a_port_of_outside_is_seen_in_a_node(three):
    with socket.create_server(("127.0.0.1", free_port())) as listening:
        port = listening.getsockname()[1]
        three.lend("a", port)
        said = []

        def serve() -> None:
            connection, _ = listening.accept()
            said.append(connection.recv(100))
            connection.close()

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        say = f"import socket; socket.create_connection(('127.0.0.1', {port})).sendall(b'hello')"
        subprocess.run([*three.inside("a"), sys.executable, "-c", say], check=True)
        serving.join(10)
        assert said == [b"hello"]


def test_nothing_is_left():
    with Network(["a"]) as made:
        keeper = made._nodes["a"].pid
    with pytest.raises(ProcessLookupError):
        os.kill(keeper, 0)
