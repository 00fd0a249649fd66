"""examples/python/bank.py against a coordinator that answers what the test tells it to."""

from __future__ import annotations

import threading
import unittest
import uuid

from bank import Account, Answer, Bank, Outcome, new_request_id
from thrift.protocol import TBinaryProtocol
from thrift.server import TServer
from thrift.transport import TSocket, TTransport
from troth.common.ttypes import Effect, ErrorCode, TrothError
from troth.transactions import Transactions
from troth.transactions.ttypes import ExecuteResult


class Coordinator:
    """Gives its answers one by one; the last one for ever. An answer that is no Thrift type breaks the connection."""

    def __init__(self) -> None:
        self.answers: list = []
        self.requests: list = []

    def execute(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def refusal(code: int, effect: int, retryable: bool = False, retry_after_ms: int | None = None) -> TrothError:
    return TrothError(
        code=code, effect=effect, message="why", retryable=retryable, retry_after_ms=retry_after_ms
    )


class BankTest(unittest.TestCase):
    def setUp(self) -> None:
        self.coordinator = Coordinator()
        listening = TSocket.TServerSocket("127.0.0.1", 0)
        listening.listen()
        port = listening.handle.getsockname()[1]
        listening.listen = lambda: None  # it does already
        server = TServer.TThreadedServer(
            Transactions.Processor(self.coordinator),
            listening,
            TTransport.TFramedTransportFactory(),
            TBinaryProtocol.TBinaryProtocolFactory(),
            daemon=True,
        )
        threading.Thread(target=server.serve, daemon=True).start()
        self.addCleanup(listening.close)
        self.bank = Bank("127.0.0.1", port, "shop")
        self.addCleanup(self.bank.close)
        self.request_id = new_request_id()

    def transfer(self, *answers, patience_s: float = 10) -> Answer:
        self.coordinator.answers = list(answers)
        return self.bank.transfer(
            Account("accounts_pg", 1), Account("accounts_my", 2), 25, self.request_id, patience_s
        )

    def expect_attempts(self, count: int) -> None:
        requests = self.coordinator.requests
        self.assertEqual(len(requests), count)
        self.assertTrue(all(request == requests[0] for request in requests))
        self.assertEqual(requests[0].request_id, self.request_id)

    def test_a_transfer_is_two_branches_that_must_each_touch_one_account(self) -> None:
        answer = self.transfer(ExecuteResult(transaction_id="t"))
        self.assertEqual(answer, Answer(Outcome.TRANSFERRED, "t"))
        pg, my = self.coordinator.requests[0].branches
        self.assertIn("$1", pg.statements[0].sql)
        self.assertIn("?", my.statements[0].sql)
        self.assertEqual(pg.statements[0].parameters[0].int64, -25)
        self.assertEqual(my.statements[0].expect_rows.exactly, 1)

    def test_an_unknown_answer_is_asked_for_again_with_the_same_request_id(self) -> None:
        answer = self.transfer(
            OSError("the connection breaks"),
            refusal(ErrorCode.TIMEOUT, Effect.UNKNOWN),
            ExecuteResult(transaction_id="t", already_committed=True),
        )
        self.assertEqual(answer.outcome, Outcome.TRANSFERRED)
        self.expect_attempts(3)

    def test_a_refusal_is_final(self) -> None:
        answer = self.transfer(refusal(ErrorCode.STATEMENT_FAILED, Effect.NONE))
        self.assertEqual(answer, Answer(Outcome.REFUSED, "why"))
        self.expect_attempts(1)

    def test_an_overloaded_coordinator_is_asked_again(self) -> None:
        busy = refusal(ErrorCode.OVERLOADED, Effect.NONE, retryable=True, retry_after_ms=100)
        self.assertEqual(self.transfer(busy, ExecuteResult(transaction_id="t")).outcome, Outcome.TRANSFERRED)
        self.expect_attempts(2)

    def test_patience_ends_in_unknown_never_in_refused(self) -> None:
        answer = self.transfer(refusal(ErrorCode.TIMEOUT, Effect.UNKNOWN), patience_s=0.2)
        self.assertEqual(answer.outcome, Outcome.UNKNOWN)

    def test_request_ids_are_uuids_of_version_seven(self) -> None:
        made = uuid.UUID(new_request_id())
        self.assertEqual((made.version, made.variant), (7, uuid.RFC_4122))


if __name__ == "__main__":
    unittest.main()
