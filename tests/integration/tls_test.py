"""TLS and who may do what, over whole processes: a service's stock client, the tool, SIGHUP, and what strangers send."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import (
    ROOT,
    CertificateAuthority,
    Cluster,
    Program,
    Remote,
    Server,
    api,
    branch,
    connected,
    eventually,
    new_request_id,
    rows,
    troth,
)
from harness.programs import programs_directory
from thrift.transport.TTransport import TTransportException


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(directory: Path) -> CertificateAuthority:
    return CertificateAuthority(directory / "ca")


@pytest.fixture(scope="module")
def cluster(fleet, directory: Path, authority: CertificateAuthority) -> Iterator[Cluster]:
    """Two resources, TLS everywhere; `payments` may use one of them."""
    servers = {server.kind: server for server in fleet.servers}
    made = Cluster(directory, servers, resources=("pg", "my"), authority=authority)
    made.coordinator.settings["services"] += [
        {"name": "payments", "resources": ["pg"]},
        {"name": "bank-example", "resources": ["pg", "my"]},
    ]
    with made as started:
        yield started


def audit(program: Program) -> str:
    return Path(program.settings["data_directory"], "audit.log").read_text(encoding="utf-8")


def hang_up(program: Program) -> None:
    os.kill(program.pid, signal.SIGHUP)


def rereads(program: Program) -> list[str]:
    return re.findall(r"action=reread .*", audit(program))


def after_hang_up(program: Program, expected: str) -> None:
    """SIGHUP, and what the audit trail says of it then."""
    before = len(rereads(program))
    hang_up(program)

    def is_told() -> bool:
        told = rereads(program)[before:]
        assert any(expected in line for line in told), told
        return True

    eventually(is_told, expected, 10)


def expect_denied(raised, words: str, effect: str = "NONE") -> None:
    common = api("common")
    error = raised.value
    assert error.code == common.ErrorCode.PERMISSION_DENIED, error
    assert error.effect == getattr(common.Effect, effect), error
    assert words in error.message and not error.retryable


# ---- services


def test_a_transfer_with_the_stock_client(cluster):
    for protocol in ("binary", "compact"):
        with cluster.client(protocol=protocol) as client:
            client.run(cluster.bank.transfer(f"tls-{protocol}", "pg", 1, "my", 2, amount=10))
    cluster.bank.check()


def test_the_python_example(cluster, authority):
    service = authority.of("service", "bank-example")
    command = [sys.executable, ROOT / "examples" / "python" / "bank_transfer.py"]
    words = [f"127.0.0.1:{cluster.coordinator_port}", "pg:31", "my:31", "25"]

    def transfer(environment: dict[str, str], *more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*command, *words, *more],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    done = transfer(service.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    # The same request once more: an answer that came twice is one transfer.
    request_id = done.stdout.splitlines()[0].removeprefix("request_id ")
    assert transfer(service.environment, request_id).returncode == 0
    back = subprocess.run(
        [*command, words[0], "my:31", "pg:31", "25"],
        env={**os.environ, **service.environment},
        capture_output=True,
        check=False,
    )
    assert back.returncode == 0
    # An agent's certificate is of the same CA, and for the same host; but it is no coordinator's.
    impostor = subprocess.run(
        [*command, cluster.agent.settings["listen"], *words[1:]],
        env={**os.environ, **service.environment, "PYTHONPATH": str(ROOT / "examples" / "python")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert impostor.returncode == 3 and "no coordinator's certificate" in impostor.stdout


def test_a_service_uses_what_it_is_granted(cluster):
    denied = api("common").TrothError
    with cluster.client("payments") as client:
        assert client.run([branch("pg", "SELECT 1", read_only=True)]).transaction_id
        with pytest.raises(denied) as raised:
            client.run([branch("my", "SELECT 1", read_only=True)])
        expect_denied(raised, "service/payments may not use resource 'my'")
        with pytest.raises(denied) as raised:
            client.run([branch("my", "SELECT 1", read_only=True)], request_id=new_request_id())
        expect_denied(raised, "may not use resource 'my'", "UNKNOWN")
        client.name = "harness"
        with pytest.raises(denied) as raised:
            client.run([branch("pg", "SELECT 1", read_only=True)])
        expect_denied(raised, "the call's client_name is 'harness': it must be 'payments'")
    with cluster.client("nobody-knows") as client, pytest.raises(denied) as raised:
        client.run([branch("pg", "SELECT 1", read_only=True)])
    expect_denied(raised, "service/nobody-knows may not use resource 'pg'")
    assert "action=denied method=execute caller=service/payments" in audit(cluster.coordinator)


def test_a_service_administers_nothing(cluster, authority):
    with Remote(
        cluster.coordinator_port, "Administration", certificate=authority.of("service", "payments")
    ) as administration, pytest.raises(api("common").TrothError) as raised:
        administration.in_doubt()
    expect_denied(raised, "service/payments may not call 'in_doubt'")
    with Remote(
        int(cluster.agent.settings["listen"].rsplit(":", 1)[1]),
        "Agent",
        certificate=authority.of("service", "payments"),
    ) as agent, pytest.raises(api("common").TrothError) as raised:
        agent.heartbeat(api("agents").HeartbeatRequest())
    expect_denied(raised, "with the role coordinator")


# ---- the tool


def test_the_tool_shows_its_certificate_and_is_written_down(cluster):
    resources = troth(cluster, "resources")
    assert [r["state"] for r in resources["resources"]] == ["serving", "serving"]
    assert troth(cluster, "in-doubt")
    trail = audit(cluster.coordinator)
    assert "action=called method=cluster_status caller=operator/alice peer=127.0.0.1:" in trail
    assert "action=called method=in_doubt caller=operator/alice" in trail
    refused = troth(
        cluster, "execute", "--on", "pg", "SELECT 1", "--read-only", exit_code=None
    )  # nothing is granted to operators here
    assert "operator_resources" in refused["error"]["message"]


def run_tool(cluster, *words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    command = [
        programs_directory() / "troth",
        "--coordinator",
        f"127.0.0.1:{cluster.coordinator_port}",
        *words,
    ]
    clean = {name: text for name, text in os.environ.items() if not name.startswith("TROTH_TLS")}
    return subprocess.run(
        command, env={**clean, **(environment or {})}, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_tool_says_what_is_wrong_with_its_certificates(cluster, authority, workspace):
    alice = authority.of("operator", "alice")
    flags = [
        "--tls-ca",
        str(alice.ca),
        "--tls-certificate",
        str(alice.certificate),
        "--tls-key",
        str(alice.key),
    ]
    done = run_tool(cluster, *flags, "resources")
    assert done.returncode == 0, done.stderr
    plain = run_tool(cluster, "resources")
    assert plain.returncode == 4 and "speaks TLS, and this side has none" in plain.stderr, plain.stderr
    half = run_tool(cluster, *flags[:2], "resources")
    assert half.returncode == 2 and "tls.certificate" in half.stderr
    stranger = CertificateAuthority(workspace / "other").issue("operator", "alice")
    other = run_tool(cluster, "resources", environment=stranger.environment)
    assert other.returncode == 4 and "is not signed by the configured CA" in other.stderr, other.stderr
    service = run_tool(cluster, "resources", environment=authority.of("service", "payments").environment)
    assert service.returncode == 1 and "may not call 'cluster_status'" in service.stderr
    abroad = subprocess.run(
        [programs_directory() / "troth", "--coordinator", "192.0.2.1:7710", "resources"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert abroad.returncode != 0 and "--tls-certificate" in abroad.stderr
    # An agent is no coordinator, whatever its certificate is worth.
    agent = subprocess.run(
        [
            programs_directory() / "troth",
            "--coordinator",
            cluster.agent.settings["listen"],
            *flags,
            "resources",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "agent/agent's, and a coordinator was expected" in agent.stderr


# ---- what is read again


def test_a_renewed_certificate_is_used_after_sighup_and_a_broken_one_is_not(cluster, authority):
    alice = authority.of("operator", "alice")

    def shown(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port)) as plain:
            with alice.context().wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                return secure.getpeercert(binary_form=True)

    agent_port = int(cluster.agent.settings["listen"].rsplit(":", 1)[1])
    for program, role, name, port in (
        (cluster.coordinator, "coordinator", "bank", cluster.coordinator_port),
        (cluster.agent, "agent", "agent", agent_port),
    ):
        before = shown(port)
        with cluster.client() as living:
            renewed = authority.issue(role, name)
            assert shown(port) == before
            after_hang_up(program, "what=certificate outcome=taken")
            assert shown(port) != before
            assert living.run([branch("pg", "SELECT 1", read_only=True)]).transaction_id
        good = renewed.certificate.read_bytes()
        renewed.certificate.write_bytes(good[: len(good) // 2])
        after_hang_up(program, 'what=certificate outcome="kept the old one: tls.certificate')
        assert "not read again: the old one stays in use" in program.output()
        renewed.certificate.write_bytes(good)
        cluster.wait_serving()
    cluster.bank.check()


def reads_in_a_row(client, resource: str, count: int) -> bool:
    """Each session that was ended is found out by the work that gets it, and that may be tried again."""
    for _ in range(count):
        try:
            client.run([branch(resource, "SELECT 1", read_only=True)])
        except api("common").TrothError as error:
            assert error.retryable, error
            return False
    return True


def test_a_changed_password_is_used_after_sighup_and_an_empty_one_is_not(cluster):
    vault = cluster.bank.vaults["pg"]
    role, file = cluster.role("pg"), cluster.password_file(vault)
    old = file.read_text(encoding="ascii")
    try:
        file.write_text("", encoding="ascii")
        after_hang_up(cluster.agent, 'what="password of pg" outcome="kept the old one')
        vault.server.sql(f"ALTER ROLE {role} PASSWORD 'another secret'")
        file.write_text("another secret\n", encoding="ascii")
        after_hang_up(cluster.agent, 'what="password of pg" outcome=taken')
        # Sessions that were open before are ended: what serves now has logged in with the new one.
        with connected(vault.server, vault.database) as admin:
            rows(admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", role)
        cluster.wait_serving()
        with cluster.client() as client:
            eventually(lambda: reads_in_a_row(client, "pg", 20), "only new sessions are left", 30)
        log = cluster.agent.output() + audit(cluster.agent)
        assert "another secret" not in log and old.strip() not in log
    finally:
        vault.server.sql(f"ALTER ROLE {role} PASSWORD '{old.strip()}'")
        file.write_text(old, encoding="ascii")
        hang_up(cluster.agent)


# ---- strangers


def test_strangers_harm_nobody(cluster):
    """Thousands of silent connections, half a handshake, garbage: the next client is served as ever."""
    strangers = []
    try:
        for number in range(2000):
            stranger = socket.create_connection(("127.0.0.1", cluster.coordinator_port))
            strangers.append(stranger)
            if number % 3 == 1:
                stranger.sendall(b"\x16\x03\x01\x02\x00\x01")
            if number % 3 == 2:
                stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with cluster.client() as client:
            client.run(cluster.bank.transfer("after-strangers", "pg", 3, "my", 4, amount=1))
        first = strangers[0]
        first.settimeout(20)
        assert first.recv(1) == b""
    finally:
        for stranger in strangers:
            stranger.close()
    # What they wrote into the log has an end, too.
    assert cluster.coordinator.output().count("client trouble") < 500
    cluster.bank.check()


def test_garbage_behind_the_handshake(cluster, authority):
    context = authority.of("service", "payments").context()
    for garbage in (b"\xff" * 100, b"\x00\x00\x00\x05hello", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", cluster.coordinator_port), timeout=20) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                secure.sendall(garbage)
                assert secure.recv(100) == b""
    with cluster.client() as client:
        assert client.run([branch("pg", "SELECT 1", read_only=True)]).transaction_id


def test_a_stock_client_without_certificate_or_without_tls_gets_nothing(cluster, authority):
    bare = ssl.create_default_context(cafile=str(authority.directory / "ca.pem"))
    with socket.create_connection(("127.0.0.1", cluster.coordinator_port), timeout=20) as plain:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with bare.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                secure.sendall(b"\x00\x00\x00\x01x")
                secure.recv(1)
    with pytest.raises((TTransportException, OSError, EOFError)):
        with Remote(cluster.coordinator_port, "Transactions", timeout_s=20) as client:
            client.status(api("transactions").StatusRequest(transaction_id="x"))


# ---- closed by default


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:7710"])
def test_without_tls_only_loopback_is_listened_on(workspace, address):
    coordinator = Program("troth-coordinator", workspace / "c", {"listen": address})
    said = None
    coordinator.configure()
    said = coordinator.run("--check-config", exit_code=2)
    assert "'listen': is not on this machine's loopback" in said
    assert "set tls.ca, tls.certificate and tls.key" in said


def test_without_tls_an_agent_neither_calls_nor_is_called_from_elsewhere(workspace):
    resource = {"name": "pg", "kind": "postgres", "port": 1, "database": "bank", "user": "agent"}
    for key, value in (("coordinators", ["192.0.2.1:7710"]), ("advertise", "192.0.2.1:7720")):
        settings = {"listen": "127.0.0.1:0", "resource": [resource], key: value}
        agent = Program("troth-agent", workspace / key, settings)
        agent.configure()
        said = agent.run("--check-config", exit_code=2)
        assert f"'{key}': is not on this machine's loopback" in said


def test_a_database_elsewhere_needs_a_word_about_tls(workspace):
    resource = {"name": "pg", "kind": "postgres", "host": "db7", "database": "bank", "user": "agent"}
    agent = Program("troth-agent", workspace / "a", {"listen": "127.0.0.1:0", "resource": [resource]})
    agent.configure()
    said = agent.run("--check-config", exit_code=2)
    assert "'resource.tls': is off, and the database is not on this machine's loopback" in said
    resource["tls"] = "require"
    agent.configure()
    agent.run("--check-config")


def test_grants_without_tls_are_refused(workspace):
    settings = {"listen": "127.0.0.1:0", "services": [{"name": "payments", "resources": ["pg"]}]}
    coordinator = Program("troth-coordinator", workspace / "c", settings)
    coordinator.configure()
    assert "without TLS no service can prove its name" in coordinator.run("--check-config", exit_code=2)


def test_certificates_that_cannot_work_stop_the_start(workspace):
    authority = CertificateAuthority(workspace / "ca")
    coordinator = Program(
        "troth-coordinator",
        workspace / "c",
        {"listen": "127.0.0.1:0", "tls": authority.issue("agent", "bank").settings},
    )
    coordinator.init("bank")
    said = coordinator.run(exit_code=1)
    assert "it is agent/bank's, and this process needs one with OU=troth-coordinator" in said
    coordinator.settings["tls"]["key"] = str(workspace / "nowhere.key")
    coordinator.configure()
    assert f"tls.key {workspace}/nowhere.key: No such file" in coordinator.run(exit_code=1)
    del coordinator.settings["tls"]["key"]
    coordinator.configure()
    assert "give tls.ca, tls.certificate and tls.key, or none of them" in coordinator.run(exit_code=2)
