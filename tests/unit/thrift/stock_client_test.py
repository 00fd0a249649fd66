"""Debian's stock Thrift client for Python, framed, in both protocols, against the event-loop server.

usage: stock_client_test.py BANK_SERVER GENERATED_PYTHON_FOLDER
"""
import subprocess
import sys
import unittest

SERVER, GENERATED = sys.argv[1:3]
sys.path.insert(0, GENERATED)

from bank import Bank, Clerk  # noqa: E402
from bank.ttypes import BankError, Item, Text, Ticket  # noqa: E402
from thrift import Thrift  # noqa: E402
from thrift.protocol import TBinaryProtocol, TCompactProtocol  # noqa: E402
from thrift.transport import TSocket, TTransport  # noqa: E402


class Server:
    """The test server with its limits, from construction to stop()."""

    def __init__(self, max_connections, max_calls):
        self.process = subprocess.Popen(
            [SERVER, str(max_connections), str(max_calls)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(timeout=20) == 0


class StockClient:
    """Runs once for each protocol; see the classes at the end."""

    protocol = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server(max_connections=100, max_calls=4)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        self.bank, self.transport = self.connect()

    def connect(self, service=Bank, server=None):
        socket = TSocket.TSocket("127.0.0.1", (server or self.server).port)
        socket.setTimeout(20000)
        transport = TTransport.TFramedTransport(socket)
        transport.open()
        self.addCleanup(transport.close)
        return service.Client(self.protocol(transport)), transport

    def test_every_type_comes_back(self):
        child = Item(
            id=1, name="child", children=[], amounts={}, numbers=set(), flag=False, ratio=0.0, blob=b""
        )
        item = Item(
            id=-(2**63),
            name="Zoë",
            children=[child, child],
            amounts={"a": 2**63 - 1},
            numbers={1, -2},
            flag=True,
            ratio=-0.5,
            blob=b"\x00\xff",
            bits=[True, False],
        )
        self.assertEqual(self.bank.echo(item), item)

    def test_a_declared_exception_is_raised(self):
        with self.assertRaises(BankError) as raised:
            self.bank.fail(Text(text="declared"))
        self.assertEqual(raised.exception.message, "declared")
        self.bank.ping()

    def test_a_service_that_throws_is_an_application_exception(self):
        with self.assertRaises(Thrift.TApplicationException) as raised:
            self.bank.fail(Text(text="standard"))
        self.assertEqual(raised.exception.type, Thrift.TApplicationException.INTERNAL_ERROR)
        self.bank.ping()

    def test_an_unknown_method_is_named(self):
        client, transport = self.connect()
        client._oprot.writeMessageBegin("transmogrify", Thrift.TMessageType.CALL, 0)
        Bank.ping_args().write(client._oprot)
        client._oprot.writeMessageEnd()
        transport.flush()
        with self.assertRaises(Thrift.TApplicationException) as raised:
            client.recv_ping()
        self.assertEqual(raised.exception.type, Thrift.TApplicationException.UNKNOWN_METHOD)
        self.assertIn("transmogrify", raised.exception.message)

    def test_pipelined_calls_are_answered_in_call_order(self):
        self.bank.send_hold(Ticket(number=1))
        self.bank.send_ping()
        self.bank.send_release(Ticket(number=1))
        self.assertEqual(self.bank.recv_hold(), 1)
        self.bank.recv_ping()
        self.assertTrue(self.bank.recv_release())

    def test_a_oneway_call_gets_no_answer(self):
        clerk, _ = self.connect(Clerk)
        before = clerk.notes_taken()
        self.bank.note(Text(text="x"))
        self.bank.ping()
        self.assertEqual(clerk.notes_taken(), before + 1)

    def test_too_many_calls_raise_the_declared_exception(self):
        for ticket in range(4):
            self.bank.send_hold(Ticket(number=ticket))
        self.bank.send_ping()
        other, _ = self.connect()
        for ticket in range(4):
            other.release(Ticket(number=ticket))
        for ticket in range(4):
            self.assertEqual(self.bank.recv_hold(), ticket)
        with self.assertRaises(BankError) as raised:
            self.bank.recv_ping()
        self.assertEqual(raised.exception.code_name, "overloaded")
        self.assertEqual(raised.exception.retry_after_ms, 100)

    def test_too_many_connections_raise_the_declared_exception(self):
        server = Server(max_connections=2, max_calls=4)
        self.addCleanup(server.stop)
        for _ in range(2):
            self.connect(server=server)[0].ping()
        last, _ = self.connect(server=server)
        # The first call of the connection too many is answered; then the server closes it.
        with self.assertRaises(BankError) as raised:
            last.ping()
        self.assertEqual(raised.exception.code_name, "overloaded")
        self.assertIn("max_connections", raised.exception.message)
        with self.assertRaises(TTransport.TTransportException):
            last.ping()

    def test_a_large_answer_comes_whole(self):
        self.assertEqual(len(self.bank.produce(Ticket(number=5_000_000))), 5_000_000)


class BinaryClient(StockClient, unittest.TestCase):
    protocol = TBinaryProtocol.TBinaryProtocol


class AcceleratedBinaryClient(StockClient, unittest.TestCase):
    protocol = TBinaryProtocol.TBinaryProtocolAccelerated


class CompactClient(StockClient, unittest.TestCase):
    protocol = TCompactProtocol.TCompactProtocol


class AcceleratedCompactClient(StockClient, unittest.TestCase):
    protocol = TCompactProtocol.TCompactProtocolAccelerated


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
