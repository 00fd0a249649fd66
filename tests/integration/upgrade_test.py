"""Troth's tables of an older version: nobody serves on them, and `troth install` brings them to this one's. The texts of
that release stand in tests/unit/participant_agent_runtime/schema_upgrade_test.cc; here tables of today get its key back."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cluster, Conversation, Server, Vault, eventually, new_request_id
from harness.request_ids import as_database_key
from harness.sessions import connected, rows
from harness.thrift_api import api
from harness.tool import troth


@pytest.fixture
def cluster(servers: dict[str, Server], workspace: Path) -> Iterator[Cluster]:
    """One of the test's own: these tests stop its agent and change its tables."""
    with Cluster(workspace, servers) as started:
        yield started


def table(vault: Vault, name: str) -> str:
    return f"troth.{name}" if vault.server.kind == "postgres" else name


def make_version_1(vault: Vault) -> None:
    if vault.server.kind == "postgres":
        key = "DROP CONSTRAINT troth_request, ADD UNIQUE (client, request_id, branch)"
    else:
        key = "DROP INDEX troth_request, ADD UNIQUE KEY troth_request (client, request_id, branch)"
    vault.server.sql(f"ALTER TABLE {table(vault, 'troth_branch')} {key}", vault.database)
    vault.server.sql(f"UPDATE {table(vault, 'troth_schema_version')} SET version = 1", vault.database)


def version(vault: Vault) -> str:
    return vault.server.sql(f"SELECT version FROM {table(vault, 'troth_schema_version')}", vault.database)[0][
        0
    ]


def install(cluster: Cluster, vault: Vault, exit_code: int = 0) -> dict:
    return troth(
        cluster, "install", vault.resource, "--agent-config", str(cluster.agent.configuration),
        "--admin-user", vault.server.admin, "--admin-password-file", str(vault.server.password_file),
        exit_code=exit_code,
    )  # fmt: skip


def all_markers(vault: Vault) -> set:
    with connected(vault.server, vault.database) as session:
        found = rows(session, f"SELECT transaction, branch, state FROM {table(vault, 'troth_branch')}")
    return set(found)


def test_nobody_serves_on_an_older_version_until_it_is_upgraded(cluster):
    singles = {name: new_request_id() for name in cluster.bank.vaults}
    transfer = new_request_id()
    work = {name: cluster.bank.shift(new_request_id(), name, 1, 2, 5) for name in singles}
    both = cluster.bank.transfer(new_request_id(), "pg", 3, "my", 4, amount=5)
    with cluster.client() as client:
        for name, request in singles.items():
            client.run(work[name], request_id=request)
        client.run(both, request_id=transfer)
    before = {vault.resource: all_markers(vault) for vault in cluster.vaults}

    # While an agent serves, the tables under it are not touched.
    make_version_1(cluster.vaults[0])
    refused = install(cluster, cluster.vaults[0], exit_code=1)["error"]
    assert (refused["code"], refused["effect"]) == ("busy", "none")
    assert re.search(r"agent agent-\w+ serves it", refused["message"])
    assert version(cluster.vaults[0]) == "1"

    cluster.agent.stop()
    for vault in cluster.vaults[1:]:
        make_version_1(vault)
    cluster.agent.start()

    def none_serves() -> bool:
        shown = {each["name"]: each for each in troth(cluster, "resources", exit_code=5)["resources"]}
        for name, health in shown.items():
            assert health["state"] == "waiting", shown
            assert f"run `troth install {name}` of this agent's release" in health["detail"], shown
        return True

    eventually(none_serves, "each resource waits for its upgrade", 30)
    with cluster.client() as client, pytest.raises(api("common").TrothError) as caught:
        client.run(
            cluster.bank.transfer(new_request_id(), "pg", 3, "my", 4, amount=5), request_id=new_request_id()
        )
    assert caught.value.effect == api("common").Effect.NONE
    found = troth(cluster, "doctor", "--config", str(cluster.agent.configuration), exit_code=None)["findings"]
    assert sorted(each["where"] for each in found if each["finding"] == "schema-version") == [
        f"resource {name}" for name in sorted(singles)
    ]

    for vault in cluster.vaults:
        upgraded = install(cluster, vault)
        assert upgraded["schema_version"] == 3
    cluster.wait_serving()  # without a restart
    assert {vault.resource: all_markers(vault) for vault in cluster.vaults} == before
    trail = Path(cluster.agent.settings["data_directory"], "audit.log").read_text(encoding="utf-8")
    for vault in cluster.vaults:
        named = f'resource={vault.resource} operator=alice reason=""'
        assert f'action=install {named} before="version 1, installation ' in trail
        assert f'action=install-done {named} after="version 3, installation ' in trail

    # What was committed is known, and the request of a single branch does not commit under another number.
    with cluster.client() as client:
        for name, request in singles.items():
            assert client.run(work[name], request_id=request).already_committed
            talk = Conversation(client, request_id=request)
            with pytest.raises(api("common").TrothError) as caught:
                for resource in (next(other for other in singles if other != name), name):
                    for each in cluster.bank.move(resource, new_request_id(), 5, 0):
                        talk.query(resource, each)
            assert caught.value.code == api("common").ErrorCode.REQUEST_ID_REUSED
        assert client.run(both, request_id=transfer).already_committed
    cluster.bank.check()


def test_a_request_that_had_committed_twice_is_named_and_nothing_is_lost(cluster):
    """The tables of version 1 let it happen; which of the two is to stand, people say."""
    request = new_request_id()
    work = {name: cluster.bank.shift(new_request_id(), name, 1, 2, 5) for name in cluster.bank.vaults}
    done = {}
    with cluster.client() as client:
        for name, each in work.items():
            done[name] = client.run(each, request_id=new_request_id()).transaction_id
    cluster.agent.stop()
    for vault in cluster.vaults:
        make_version_1(vault)
        twin = done[vault.resource].rsplit(".s", 1)[0] + "7"
        created = ("now()",) if vault.server.kind == "postgres" else ("UTC_TIMESTAMP(6)",)
        with connected(vault.server, vault.database) as session:
            for branch, transaction in ((1, done[vault.resource]), (2, twin)):
                key = ("client", as_database_key(request, vault.server.kind))
                if branch == 1:
                    sql = "UPDATE {} SET client = %s, request_id = %s WHERE transaction = %s"
                    rows(session, sql.format(table(vault, "troth_branch")), *key, transaction)
                else:
                    sql = (
                        "INSERT INTO {} (client, request_id, transaction, epoch, sequence, branch, state, leader_epoch, "
                        "created) VALUES (%s, %s, %s, 1, 7, 2, 'committed', 1, {})"
                    )
                    rows(session, sql.format(table(vault, "troth_branch"), *created), *key, transaction)
        stands = all_markers(vault)

        refused = install(cluster, vault, exit_code=1)["error"]
        assert (refused["code"], refused["effect"]) == ("request_id_reused", "none")
        assert f"request_id {request} of client 'client' stands in {done[vault.resource]} (branch 1, committed) and in " \
            f"{twin} (branch 2, committed)" in refused["message"], refused  # fmt: skip
        assert (version(vault), all_markers(vault)) == ("1", stands)

        # The way out that the message names.
        statements = re.findall(r"UPDATE [^;]+;", refused["message"])
        assert len(statements) == 1 and f"'{twin}'" in statements[0], statements
        vault.server.sql(statements[0], vault.database)
        assert install(cluster, vault)["schema_version"] == 3
        assert all_markers(vault) == stands, "each row goes on proving its branch"
    cluster.agent.start()
    cluster.wait_serving()


def test_the_printed_statements_upgrade_as_well(cluster):
    cluster.agent.stop()
    for vault in cluster.vaults:
        make_version_1(vault)
        script = troth(
            cluster, "install", vault.resource, "--agent-config", str(cluster.agent.configuration), "--print"
        )["script"]
        assert "stop the resource's agent before" in script
        for _ in range(2):
            vault.server.sql(script, vault.database)
            assert version(vault) == "3"
    cluster.agent.start()
    cluster.wait_serving()
    with cluster.client() as client:
        client.run(cluster.bank.transfer(new_request_id(), "pg", 1, "ma", 2, amount=10))
