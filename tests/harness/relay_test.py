"""The relay, in front of real servers: what a server hears of a client that has gone, and what not."""

import os
import socket

import pytest

import harness
from harness import Relay, backends, create_account, eventually, fresh_database, rows


@pytest.fixture
def relay(server):
    with Relay(server.port) as started:
        yield started


@pytest.fixture
def session(server, relay, workspace):
    """Of an account of its own, through the relay."""
    account, password = "relayed", workspace / "password"
    database = fresh_database(server)
    create_account(server, database, account, password)
    through = _Through(server, relay.port)
    yield harness.connect(through, database, user=account, password=password.read_text().strip())
    dropped = f"'{account}'@'%'" if server.kind != "postgres" else account
    relay.bury()
    eventually(lambda: not backends(server, account), "its sessions have gone")
    if server.kind == "postgres":
        server.sql(f'ALTER DATABASE "{database}" OWNER TO {server.admin}')
    server.sql(f"DROP USER {dropped}")


class _Through:
    """The server at another port."""

    def __init__(self, server, port):
        self._server, self.port = server, port

    def __getattr__(self, name):
        return getattr(self._server, name)


def die(session):
    """As a killed process does it: without the driver's goodbye."""
    descriptor = session.fileno() if hasattr(session, "fileno") else session._sock.fileno()
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.shutdown(socket.SHUT_RDWR)


def test_what_is_said_passes_and_an_end_is_heard(server, session):
    assert rows(session, "SELECT 1") == [(1,)]
    assert len(backends(server, "relayed")) == 1
    session.close()
    eventually(lambda: not backends(server, "relayed"), "the server heard of the end")


def test_a_client_that_dies_leaves_its_session_when_the_server_is_not_to_hear_of_it(server, relay, session):
    relay.keep_server_ends()
    die(session)
    eventually(lambda: relay.orphans() == 1, "the client has gone")
    assert len(backends(server, "relayed")) == 1
    relay.bury()
    eventually(lambda: not backends(server, "relayed"), "the server heard of the end")


def test_a_client_whose_connection_breaks_leaves_its_session(server, relay, session):
    rows(session, "SELECT 1")
    relay.orphan()
    with pytest.raises(Exception):  # noqa: B017 each driver has one of its own
        rows(session, "SELECT 1")
    assert len(backends(server, "relayed")) == 1
