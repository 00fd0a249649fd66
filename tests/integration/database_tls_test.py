"""Sessions with the databases over TLS: what each mode takes and what it refuses, with each kind's own driver."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import CertificateAuthority, Cluster, Fleet, Server, branch, connected, rows
from harness.programs import programs_directory
from harness.toml import to_toml

KINDS = ("postgres", "mariadb", "mysql")


def verifying(server: Server) -> tuple[str, ...]:
    return ("verify_ca", "verify_full") if server.kind == "postgres" else ("verify_full",)


@pytest.fixture(scope="module")
def own_servers() -> Iterator[dict[str, Server]]:
    """Apart from everybody's, because they change."""
    with Fleet.temporary(owner=os.getpid()) as fleet:
        fleet.start({kind: 1 for kind in KINDS})
        yield {server.kind: server for server in fleet.servers}


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(params=KINDS)
def own_server(request, own_servers) -> Server:
    return own_servers[request.param]


def log_in(server: Server, workspace: Path, host: str = "127.0.0.1", **tls: object) -> str:
    """What `troth install` says that cannot log in; empty: it could."""
    resource = {
        "name": "one", "kind": server.kind, "host": host, "port": server.port, "database": server.database,
        "user": "troth_agent", **tls,
    }  # fmt: skip
    configuration = workspace / "agent.toml"
    configuration.write_text(
        to_toml({"data_directory": str(workspace / "none"), "resource": [resource]}), encoding="utf-8"
    )
    server.sql(
        "DO $$ BEGIN CREATE ROLE troth_agent LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        if server.kind == "postgres"
        else "CREATE USER IF NOT EXISTS 'troth_agent'@'%' IDENTIFIED BY 'a secret'"
    )
    done = subprocess.run(
        [
            programs_directory() / "troth", "install", "one", "--agent-config", configuration,
            "--admin-user", server.admin, "--admin-password-file", server.password_file,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert server.password not in done.stdout + done.stderr
    return "" if done.returncode == 0 else done.stderr


def without_tls(server: Server) -> None:
    """MySQL has certificates of its own making unless it is told otherwise."""
    off = {"postgres": {"ssl": "off"}, "mariadb": {"skip-ssl": ""}, "mysql": {"tls-version": ""}}
    server._change_tls(off[server.kind])


def with_tls(server: Server, certificate) -> None:
    for name in ("ssl", "skip-ssl", "tls-version"):
        server.settings.pop(name, None)
    server.use_certificate(certificate.ca, certificate.certificate, certificate.key)


def test_a_plain_server_is_refused_where_tls_is_asked_for(own_server, authority, workspace):
    without_tls(own_server)
    ca = str(authority.of("database", "one").ca)
    assert log_in(own_server, workspace) == ""
    assert log_in(own_server, workspace, tls="prefer") == ""
    assert re.search("SSL|not encrypted", log_in(own_server, workspace, tls="require"))
    for mode in verifying(own_server):
        # Before the password is sent.
        assert "SSL" in log_in(own_server, workspace, tls=mode, tls_ca=ca), mode


def test_a_server_with_the_right_certificate_is_taken_in_every_mode(own_server, authority, workspace):
    certificate = authority.of("database", "one")
    with_tls(own_server, certificate)
    for mode in ("off", "prefer", "require", *verifying(own_server)):
        ca = {"tls_ca": str(certificate.ca)} if mode.startswith("verify") else {}
        for host in ("127.0.0.1", "localhost"):
            assert log_in(own_server, workspace, host, tls=mode, **ca) == "", (mode, host)


def test_the_wrong_ca_is_refused_by_the_verifying_modes(own_server, authority, workspace):
    with_tls(own_server, authority.of("database", "one"))
    stranger = str(CertificateAuthority(workspace / "other").issue("database", "two").ca)
    for mode in verifying(own_server):
        said = log_in(own_server, workspace, tls=mode, tls_ca=stranger)
        assert re.search("certificate verify failed|unable to get|SSL", said), (mode, said)


def test_another_hosts_certificate_is_refused_by_verify_full_only(own_server, authority, workspace):
    elsewhere = authority.issue_for_host("elsewhere.example")
    with_tls(own_server, elsewhere)
    ca = {"tls_ca": str(elsewhere.ca)}
    assert log_in(own_server, workspace, tls="require") == ""
    if own_server.kind == "postgres":
        assert log_in(own_server, workspace, tls="verify_ca", **ca) == ""
    else:
        assert "verify_ca is for Postgres" in log_in(own_server, workspace, tls="verify_ca", **ca)
    for host in ("127.0.0.1", "localhost"):
        said = log_in(own_server, workspace, host, tls="verify_full", **ca)
        assert re.search("does not match|[Vv]alidation|verif|SSL", said), (host, said)


def test_an_agent_works_with_certificates_on_both_sides(own_servers, authority, workspace):
    certificate = authority.of("database", "one")
    for server in own_servers.values():
        with_tls(server, certificate)
    role = authority.of("service", "role")  # what a server checks of it is its own business
    cluster = Cluster(workspace, own_servers)
    for resource in cluster.agent.settings["resource"]:
        resource.update(
            tls="verify_full",
            tls_ca=str(role.ca),
            tls_certificate=str(role.certificate),
            tls_key=str(role.key),
        )
    with cluster:
        for vault in cluster.vaults:
            account = cluster.role(vault.resource)
            if vault.server.kind == "postgres":
                with connected(vault.server, vault.database) as session:
                    sessions = rows(
                        session,
                        "SELECT s.ssl, s.client_dn FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) "
                        "WHERE a.usename = %s AND a.backend_type = 'client backend'",
                        account,
                    )
                assert sessions and all(used and "CN=role" in name for used, name in sessions)
            else:
                # From here on the server itself refuses a session without the certificate.
                vault.server.sql(f"ALTER USER '{account}'@'%' REQUIRE X509")
        cluster.agent.restart()
        cluster.wait_serving()
        with cluster.client() as client:
            for source, target in (("pg", "my"), ("ma", "pg")):
                client.run(cluster.bank.transfer(f"{source}{target}", source, 1, target, 2, amount=5))
            client.run([branch("ma", "SELECT 1", read_only=True)])
        cluster.bank.check()
