"""A transfer between accounts in two databases, as a service would write it: with the stock Thrift client."""

from __future__ import annotations

import dataclasses
import enum
import secrets
import ssl
import time
import uuid

from thrift.protocol import TBinaryProtocol
from thrift.Thrift import TException
from thrift.transport import TSocket, TSSLSocket, TTransport
from troth.common.ttypes import Effect, TrothError, Value
from troth.transactions import Transactions
from troth.transactions.ttypes import BranchWork, ExecuteOptions, ExecuteRequest, ExpectRows, Statement

TRANSACTION_TIMEOUT_MS = 10_000
# Longer than the transaction's own timeout: the coordinator's answer comes first.
ANSWER_TIMEOUT_MS = TRANSACTION_TIMEOUT_MS + 5_000
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0


@dataclasses.dataclass(frozen=True)
class Account:
    resource: str  # the database, by the name that Troth knows it under
    id: int


class Outcome(enum.Enum):
    TRANSFERRED = "transferred"
    REFUSED = "refused"  # nothing changed, and nothing will: overdrawn, no such account, ...
    UNKNOWN = "unknown"  # no answer in time: call transfer() again with the same request_id


@dataclasses.dataclass(frozen=True)
class Answer:
    outcome: Outcome
    detail: str  # the transaction's id, or why not


@dataclasses.dataclass(frozen=True)
class Tls:
    """Files, PEM: the cluster's CA, and this service's certificate (OU=troth-service, CN=its client_name) and key."""

    ca: str
    certificate: str
    key: str

    def socket(self, host: str, port: int) -> TSSLSocket.TSSLSocket:
        # Checks that the server's certificate is of the CA, and for the host that is called ...
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.certificate, self.key)
        return TSSLSocket.TSSLSocket(
            host, port, ssl_context=context, server_hostname=host, validate_callback=_check_coordinator
        )


def _check_coordinator(certificate: dict, _host: str) -> None:
    """... and that it is a coordinator's: an agent on the same host has a certificate, too."""
    subject = [entry for entries in certificate["subject"] for entry in entries]
    if ("organizationalUnitName", "troth-coordinator") not in subject:
        raise ssl.SSLError(f"no coordinator's certificate: {subject}")


def new_request_id() -> str:
    """A UUID of version 7 (RFC 9562). Make it once per transfer and keep it with the business fact."""
    bits = (time.time_ns() // 1_000_000) << 80 | 7 << 76 | secrets.randbits(12) << 64
    return str(uuid.UUID(int=bits | 2 << 62 | secrets.randbits(62)))


class Bank:
    def __init__(self, host: str, port: int, client_name: str, tls: Tls | None = None) -> None:
        """`client_name` is part of the request's key: one name per service, with TLS the one in its certificate."""
        self._host = host
        self._port = port
        self._client_name = client_name
        self._tls = tls
        self._transport: TTransport.TFramedTransport | None = None

    def transfer(
        self, source: Account, target: Account, amount: int, request_id: str, patience_s: float = 30
    ) -> Answer:
        """Tries until there is a certain answer, or the patience is over."""
        request = ExecuteRequest(
            branches=[_move(source, -amount), _move(target, amount)],
            options=ExecuteOptions(timeout_ms=TRANSACTION_TIMEOUT_MS),
            client_name=self._client_name,
            request_id=request_id,
            label="bank transfer",
        )
        deadline = time.monotonic() + patience_s
        back_off = FIRST_PAUSE_S
        while True:
            pause = back_off
            try:
                result = self._connected().execute(request)
                # `already_committed`: an earlier attempt did it, and its answer was lost. The same success.
                return Answer(Outcome.TRANSFERRED, result.transaction_id)
            except TrothError as error:
                if error.effect == Effect.APPLIED:
                    return Answer(Outcome.TRANSFERRED, error.message)
                if error.effect == Effect.NONE and not error.retryable:
                    return Answer(Outcome.REFUSED, error.message)
                # Nothing happened but may later (a deadlock, overload), or nobody knows: the same request_id again.
                detail = error.message
                pause = max(back_off, (error.retry_after_ms or 0) / 1000)
            except (TException, OSError) as broken:
                # The connection broke, or the answer did not come in time. Whether the request was carried out is not
                # known, and this connection cannot be used again: a late answer would be taken for the next one's.
                detail = str(broken) or type(broken).__name__
                self.close()
            if time.monotonic() + pause >= deadline:
                return Answer(Outcome.UNKNOWN, detail)
            time.sleep(pause)
            back_off = min(back_off * 2, LONGEST_PAUSE_S)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _connected(self) -> Transactions.Client:
        if self._transport is None:
            if self._tls is not None:
                socket = self._tls.socket(self._host, self._port)
            else:
                socket = TSocket.TSocket(self._host, self._port)
            socket.setTimeout(ANSWER_TIMEOUT_MS)
            transport = TTransport.TFramedTransport(socket)
            transport.open()
            self._transport = transport
        return Transactions.Client(TBinaryProtocol.TBinaryProtocol(self._transport))


def _move(account: Account, amount: int) -> BranchWork:
    """Adds `amount` to one account. Placeholders are the database's own; here the resource's name tells which."""
    sql = (
        "UPDATE account SET balance = balance + $1 WHERE id = $2"
        if account.resource.endswith("pg")
        else "UPDATE account SET balance = balance + ? WHERE id = ?"
    )
    exactly_one = ExpectRows(exactly=1)  # no such account: the whole transfer is refused
    parameters = [Value(int64=amount), Value(int64=account.id)]
    return BranchWork(
        resource=account.resource,
        statements=[Statement(sql=sql, parameters=parameters, expect_rows=exactly_one)],
        read_only=False,
    )
