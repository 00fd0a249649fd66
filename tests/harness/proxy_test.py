"""The proxy, between a stock Thrift client and a stock Thrift server that counts its calls."""

import threading
import time

import pytest
from thrift.protocol import TBinaryProtocol, TCompactProtocol
from thrift.server import TServer
from thrift.transport import TSocket, TTransport

from harness import Proxy, Remote, api, eventually, parse_message
from harness.thrift_api import service

LOST = (TTransport.TTransportException, OSError, EOFError)


class Directory:
    """Answers current_epoch() with the number of the call."""

    def __init__(self, protocol):
        self.calls = []
        self._socket = TSocket.TServerSocket("127.0.0.1", 0)
        self._socket.listen()
        self.port = self._socket.handle.getsockname()[1]
        self._server = TServer.TThreadedServer(
            service("Directory").Processor(self),
            self._socket,
            TTransport.TFramedTransportFactory(),
            protocol,
            daemon=True,
        )
        self._socket.listen = lambda: None  # it listens already
        threading.Thread(target=self._server.serve, daemon=True).start()

    def current_epoch(self):
        self.calls.append("current_epoch")
        return api("common").Epoch(len(self.calls), 0)

    def inquire(self, request):
        self.calls.append(request.transaction_id)
        return api("agents").InquireReply(decision=1)


@pytest.fixture(params=["compact", "binary"])
def protocol(request):
    return request.param


@pytest.fixture
def directory(protocol):
    factories = {
        "compact": TCompactProtocol.TCompactProtocolFactory,
        "binary": TBinaryProtocol.TBinaryProtocolFactory,
    }
    return Directory(factories[protocol]())


@pytest.fixture
def proxy(directory):
    with Proxy(directory.port) as proxy:
        yield proxy


@pytest.fixture
def remote(proxy, protocol):
    with Remote(proxy.port, "Directory", protocol=protocol, timeout_s=5) as remote:
        yield remote


def another(proxy, protocol, timeout_s=5):
    return Remote(proxy.port, "Directory", protocol=protocol, timeout_s=timeout_s)


def inquiry(transaction):
    return api("agents").InquireRequest(transaction_id=transaction)


def test_calls_and_answers_pass_and_are_seen_by_name(proxy, remote):
    assert remote.current_epoch().number == 1
    assert remote.inquire(inquiry("a.1.1")).decision == 1
    assert [m.method for m in proxy.seen()] == ["current_epoch", "inquire"]
    assert [m.method for m in proxy.seen(kind="reply")] == ["current_epoch", "inquire"]


def test_a_dropped_call_never_arrives_and_the_connection_goes_on(proxy, directory, protocol):
    rule = proxy.drop("current_epoch", times=1)
    with another(proxy, protocol, timeout_s=0.2) as remote, pytest.raises(LOST):
        remote.current_epoch()
    rule.wait()
    with another(proxy, protocol) as remote:
        assert remote.current_epoch().number == 1
    assert directory.calls == ["current_epoch"]


def test_a_dropped_answer_leaves_the_call_done(proxy, directory, protocol):
    proxy.drop("current_epoch", kind="reply", times=1)
    with another(proxy, protocol, timeout_s=0.2) as remote, pytest.raises(LOST):
        remote.current_epoch()
    assert directory.calls == ["current_epoch"]


def test_a_rule_for_one_method_leaves_others_alone(proxy, remote):
    proxy.drop("inquire")
    assert remote.current_epoch().number == 1


def test_a_held_call_waits_for_its_release(proxy, directory, remote):
    held = proxy.hold("current_epoch", times=1)
    answers = []
    caller = threading.Thread(target=lambda: answers.append(remote.current_epoch()))
    caller.start()
    held.wait()
    assert directory.calls == [] and answers == []
    held.release()
    caller.join(5)
    assert answers[0].number == 1


def test_a_held_call_arrives_even_after_its_sender_died(proxy, directory, protocol):
    held = proxy.hold("inquire", times=1)
    with another(proxy, protocol, timeout_s=0.2) as remote, pytest.raises(LOST):
        remote.inquire(inquiry("late"))
    eventually(lambda: proxy.connections() == 0, "the sender's connection has gone")
    held.release()
    eventually(lambda: directory.calls == ["late"], "the late call arrived")


def test_a_delayed_call_is_overtaken(proxy, directory, protocol):
    proxy.delay(0.3, "inquire")
    with another(proxy, protocol) as first, another(proxy, protocol) as second:
        slow = threading.Thread(target=lambda: first.inquire(inquiry("slow")))
        slow.start()
        proxy.wait_seen("inquire")
        second.current_epoch()
        slow.join(5)
    assert directory.calls == ["current_epoch", "slow"]


def test_a_doubled_call_arrives_twice_and_is_answered_once(proxy, directory, remote):
    proxy.double("inquire", times=1)
    remote.inquire(inquiry("twice"))
    eventually(lambda: directory.calls == ["twice", "twice"], "the second one arrived")
    assert remote.current_epoch().number == 3


def test_an_old_call_can_be_replayed_and_its_answer_read(proxy, directory, remote):
    remote.inquire(inquiry("old"))
    answer = proxy.replay(proxy.seen("inquire")[0])
    assert (answer.method, answer.kind) == ("inquire", "reply")
    assert directory.calls == ["old", "old"]


def test_cut_before_keeps_the_call_from_arriving(proxy, directory, remote):
    proxy.cut_before("current_epoch")
    with pytest.raises(LOST):
        remote.current_epoch()
    assert directory.calls == []


def test_cut_after_lets_the_call_arrive_and_its_sender_not_know(proxy, directory, remote):
    proxy.cut_after("current_epoch")
    with pytest.raises(LOST):
        remote.current_epoch()
    eventually(lambda: directory.calls == ["current_epoch"], "the call arrived")


def test_cut_resets_what_is_there_and_takes_new_connections(proxy, remote, protocol):
    remote.current_epoch()
    proxy.cut()
    with pytest.raises(LOST):
        remote.current_epoch()
    with another(proxy, protocol) as fresh:
        assert fresh.current_epoch().number == 2


def test_refused_connections_are_taken_again_after_healing(proxy, protocol):
    proxy.refuse()
    with pytest.raises(LOST), another(proxy, protocol) as remote:
        remote.current_epoch()
    proxy.heal()
    with another(proxy, protocol) as remote:
        assert remote.current_epoch().number == 1


def test_silence_is_half_open_nothing_passes_and_nothing_ends(proxy, directory, protocol):
    with another(proxy, protocol, timeout_s=0.2) as remote:
        remote.current_epoch()
        proxy.silence()
        started = time.monotonic()
        with pytest.raises(LOST):
            remote.current_epoch()
        assert time.monotonic() - started >= 0.19, "it ended before its own timeout"
    # The caller has gone; the server's side still stands.
    assert proxy.connections() == 1
    proxy.heal()
    eventually(lambda: proxy.connections() == 0, "healing resets it")
    with another(proxy, protocol) as remote:
        assert remote.current_epoch().number == 2


def test_a_server_that_is_away_ends_the_connection(directory, protocol):
    with Proxy(1) as proxy, pytest.raises(LOST), another(proxy, protocol) as remote:
        remote.current_epoch()


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x80",
        b"\x80\x01\x00\x01\x7f\xff\xff\xff",
        b"\x82\x21\xff",
        b"GET / HTTP/1.1",
        b"\x82\xe1\x00\x00",
    ],
)
def test_what_is_no_message_has_no_method_and_keeps_its_bytes(frame):
    message = parse_message(frame)
    assert (message.method, message.frame) == ("", frame)
