"""Troth's contract as a stock Thrift client sees it: generated at run time, framed transport, either protocol."""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys
import tempfile
import types
from pathlib import Path

from thrift.protocol import TBinaryProtocol, TCompactProtocol
from thrift.transport import TSocket, TTransport

from harness import ROOT
from harness.certificates import Certificate
from harness.undertaker import Undertaker

_PROTOCOLS = {
    "binary": TBinaryProtocol.TBinaryProtocolFactory,
    "compact": TCompactProtocol.TCompactProtocolFactory,
}


@functools.cache
def _generated() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="troth-thrift-"))
    Undertaker.of_this_run().watch_directory(directory)
    for idl in sorted((ROOT / "thrift").glob("*.thrift")):
        subprocess.run(["thrift", "--gen", "py", "-out", str(directory), str(idl)], check=True)
    sys.path.insert(0, str(directory))
    return directory


def api(file: str) -> types.ModuleType:
    """The types of thrift/FILE.thrift: api("transactions").ExecuteRequest(...)"""
    _generated()
    return importlib.import_module(f"troth.{file}.ttypes")


def service(name: str) -> types.ModuleType:
    """The generated module of a service, wherever it is declared: service("Agent").Client"""
    found = list(_generated().glob(f"troth/*/{name}.py"))
    if len(found) != 1:
        raise LookupError(f"thrift/*.thrift declares service {name} {len(found)} times")
    return importlib.import_module(f"troth.{found[0].parent.name}.{name}")


class Remote:
    """A connection on which the methods of a service are called.

    with Remote(port, "Agent") as agent:
        agent.agent_status()
    """

    def __init__(
        self,
        port: int,
        service_name: str,
        protocol: str = "compact",
        timeout_s: float = 30,
        certificate: Certificate | None = None,
    ) -> None:
        socket = TSocket.TSocket("127.0.0.1", port) if certificate is None else certificate.socket(port)
        socket.setTimeout(timeout_s * 1000)
        self._transport = TTransport.TFramedTransport(socket)
        self._client = service(service_name).Client(_PROTOCOLS[protocol]().getProtocol(self._transport))
        self._transport.open()

    def __getattr__(self, method: str):
        return getattr(self._client, method)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Client(Remote):
    """A service's view of a coordinator."""

    def __init__(
        self,
        port: int,
        name: str = "harness",
        protocol: str = "compact",
        timeout_s: float = 30,
        certificate: Certificate | None = None,
    ) -> None:
        super().__init__(port, "Transactions", protocol, timeout_s, certificate)
        self.name = name

    def run(self, branches: list, request_id: str | None = None, label: str | None = None, **options):
        """execute(); `options` are the fields of ExecuteOptions. Raises TrothError, or a transport's exception where
        nothing is known."""
        return self._client.execute(self._request(branches, request_id, label, options))

    def send(self, branches: list, request_id: str | None = None, **options) -> None:
        """execute() by a service that never reads its answer."""
        self._client.send_execute(self._request(branches, request_id, None, options))

    def _request(self, branches: list, request_id: str | None, label: str | None, options: dict):
        types_ = api("transactions")
        return types_.ExecuteRequest(
            branches=branches,
            options=types_.ExecuteOptions(**options),
            client_name=self.name,
            request_id=request_id,
            label=label,
        )


def branch(resource: str, *statements, read_only: bool = False):
    """Work for one resource; a statement is SQL, or what statement() made."""
    made = [one if not isinstance(one, str) else statement(one) for one in statements]
    return api("transactions").BranchWork(resource=resource, statements=made, read_only=read_only)


def statement(sql: str, *parameters, exactly: int | None = None, at_least: int | None = None):
    types_ = api("transactions")
    expect = None
    if exactly is not None or at_least is not None:
        expect = types_.ExpectRows(exactly=exactly, at_least=at_least)
    return types_.Statement(sql=sql, parameters=[value(each) for each in parameters], expect_rows=expect)


def value(python: object):
    """A parameter from the Python type that stands for it; anything else is made with api("common").Value(...)."""
    common = api("common")
    if isinstance(python, common.Value):
        return python
    if python is None:
        return common.Value(is_null=True)
    if isinstance(python, bool):
        return common.Value(boolean=python)
    if isinstance(python, int):
        return common.Value(int64=python)
    if isinstance(python, float):
        return common.Value(float64=python)
    if isinstance(python, str):
        return common.Value(text=python)
    if isinstance(python, bytes):
        return common.Value(bytes=python)
    raise TypeError(f"no Troth value for {type(python).__name__}: {python!r}")
