"""Interactive transactions of services that mean no good, on real databases."""

import pytest

from harness import Client, Cluster, Conversation, branch, new_request_id, statement
from harness.thrift_api import api

RESOURCES = ("pg", "my", "ma")
HALF_A_MEGABYTE = "x" * (1 << 19)


@pytest.fixture(params=RESOURCES)
def resource(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def client(cluster: Cluster):
    with cluster.client(name="stranger") as made:
        yield made


def mark(cluster: Cluster, resource: str, number: int = 1) -> str:
    return "$%d" % number if cluster.bank.vaults[resource].server.kind == "postgres" else "?"


def codes():
    return api("common").ErrorCode


def effects():
    return api("common").Effect


def refused(call, *arguments, **options):
    with pytest.raises(api("common").TrothError) as caught:
        call(*arguments, **options)
    return caught.value


def touch(resource: str, account: int) -> str:
    return f"UPDATE account SET balance = balance WHERE id = {account}"


def others_are_served(cluster: Cluster) -> None:
    with cluster.client(name="another") as other:
        try:
            other.run([branch(name, touch(name, 99)) for name in RESOURCES])
            return
        except api("common").TrothError as error:
            why = error
    cluster.agent.restart()
    cluster.wait_serving()
    raise AssertionError(f"one client's transaction ended the agent of all: {why.message}")


def test_a_redo_larger_than_the_journal_takes_ends_no_agent(cluster: Cluster, client: Client, resource: str):
    sql = f"UPDATE account SET balance = balance + length({mark(cluster, resource)}) * 0 WHERE id = 60"
    talk = Conversation(client)
    try:
        for _ in range(4):
            talk.query(resource, sql, HALF_A_MEGABYTE)
        talk.commit()
    except api("common").TrothError:
        pass  # refused or not, it is this transaction's business alone
    others_are_served(cluster)


def test_a_one_shot_redo_larger_than_the_journal_takes_ends_no_agent(cluster: Cluster, client: Client):
    sql = "UPDATE account SET balance = balance + length($1) * 0 WHERE id = 60"
    try:
        client.run(
            [
                branch("pg", *[statement(sql, HALF_A_MEGABYTE) for _ in range(4)]),
                branch("my", touch("my", 61)),
            ]
        )
    except api("common").TrothError:
        pass
    others_are_served(cluster)


@pytest.mark.parametrize("isolation", ["READ_COMMITTED", "REPEATABLE_READ", "SERIALIZABLE"])
def test_the_floor_is_read_behind_the_marker(cluster: Cluster, client: Client, resource: str, isolation: str):
    """Attack 42: what the clean-up has taken away meanwhile does not run again."""
    vault = cluster.bank.vaults[resource]
    request = new_request_id()
    talk = Conversation(
        client, request_id=request, isolation=getattr(api("transactions").Isolation, isolation)
    )
    talk.query(resource, "SELECT 1")
    schema = "troth." if vault.server.kind == "postgres" else ""
    name = talk.id.split(".")[0]
    moment = int(request.replace("-", "")[:12], 16) + 1
    if isolation == "SERIALIZABLE" and vault.server.kind != "postgres":
        talk.rollback()
        pytest.skip("the open branch reads the floor with a lock, so that it does not rise")
    insert = f"INSERT INTO {schema}troth_floor (cluster, epoch, sequence, request_ms) VALUES ('{name}', 0, 0, {moment}) "
    if vault.server.kind == "postgres":
        insert += f"ON CONFLICT (cluster) DO UPDATE SET request_ms = {moment}"
    else:
        insert += f"ON DUPLICATE KEY UPDATE request_ms = {moment}"
    vault.server.sql(insert, vault.database)
    try:
        error = refused(talk.query, resource, touch(resource, 64))
        assert error.code == codes().REQUEST_ID_TOO_OLD, error
    finally:
        talk.rollback()
