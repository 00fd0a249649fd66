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


def forget(cluster: Cluster, resource: str, transaction: str, request: str) -> None:
    """The clean-up's two steps [T6]: the floor passes the request, then its marker goes."""
    vault = cluster.bank.vaults[resource]
    postgres = vault.server.kind == "postgres"
    schema = "troth." if postgres else ""
    passed = int(request.replace("-", "")[:12], 16) + 1
    on_conflict = "ON CONFLICT (cluster) DO UPDATE SET" if postgres else "ON DUPLICATE KEY UPDATE"
    vault.server.sql(
        f"INSERT INTO {schema}troth_floor (cluster, epoch, sequence, request_ms) "
        f"VALUES ('{transaction.split('.')[0]}', 0, 0, {passed}) {on_conflict} request_ms = {passed}",
        vault.database,
    )
    vault.server.sql(f"DELETE FROM {schema}troth_branch WHERE transaction = '{transaction}'", vault.database)


_LEVELS = ("READ_COMMITTED", "REPEATABLE_READ", "SERIALIZABLE")


# Under SERIALIZABLE an open branch of the InnoDB servers reads the floor with a lock, so that it does not rise.
@pytest.mark.parametrize(
    ("resource", "isolation"),
    [
        (name, level)
        for name in ("pg", "my", "ma")
        for level in _LEVELS
        if name == "pg" or level != "SERIALIZABLE"
    ],
)
def test_a_snapshot_older_than_the_floor_proves_nothing(
    cluster: Cluster, client: Client, resource: str, isolation: str
):
    """Attack 42: what the clean-up takes away while a transaction is open does not run again in it."""
    request = new_request_id()
    first, second = new_request_id(), new_request_id()
    done = client.run([branch(resource, *cluster.bank.move(resource, first, 64, 0))], request_id=request)
    level = getattr(api("transactions").Isolation, isolation)
    talk = Conversation(client, request_id=request, isolation=level)
    try:
        talk.query(resource, "SELECT count(*) FROM account")
        forget(cluster, resource, done.transaction_id, request)
        for one in cluster.bank.move(resource, second, 65, 0):
            talk.query(resource, one)
        talk.commit()
    except api("common").TrothError:
        pass
    assert cluster.bank.stands_in(second) == [], "two commits of one request_id"


@pytest.mark.parametrize("resource", ["my", "ma"])
def test_rows_of_a_read_that_counts_as_a_write_are_read(cluster: Cluster, client: Client, resource: str):
    reads = ["EXPLAIN UPDATE account SET balance = balance WHERE id = 66"]
    if resource == "ma":
        vault = cluster.bank.vaults[resource]
        vault.server.sql("CREATE SEQUENCE IF NOT EXISTS odd", vault.database)
        reads.append("SELECT NEXTVAL(odd)")
    for sql in reads:
        talk = Conversation(client)
        assert len(talk.query(resource, sql).result.rows) >= 1, sql
        talk.commit()
        result = client.run([branch(resource, sql), branch("pg", touch("pg", 67))])
        assert len(result.branches[0].statements[0].rows) >= 1, sql


def test_a_column_may_be_called_returning(cluster: Cluster, client: Client):
    vault = cluster.bank.vaults["my"]
    vault.server.sql(
        "CREATE TABLE IF NOT EXISTS odd (id int PRIMARY KEY, returning int); REPLACE INTO odd VALUES (1, 1)",
        vault.database,
    )
    sql = "UPDATE odd SET returning = returning + 1 WHERE id = 1"
    talk = Conversation(client)
    assert talk.query("my", sql).result.affected_rows == 1
    talk.commit()
    client.run([branch("my", statement(sql, exactly=1))])


def test_a_serialization_failure_at_the_prepare_is_told_as_one(cluster: Cluster, client: Client):
    """The first to commit wins; the other is to be tried again, and its session is as good as before."""
    serializable = api("transactions").Isolation.SERIALIZABLE
    one, two = (Conversation(client, isolation=serializable) for _ in range(2))
    for talk in (one, two):
        talk.query("pg", "SELECT sum(balance) FROM account WHERE id IN (68, 69)")
    one.query("pg", touch("pg", 68))
    two.query("pg", touch("pg", 69))
    one.commit()
    with pytest.raises(api("common").TrothError) as caught:
        two.commit()
    assert caught.value.code == api("common").ErrorCode.CONFLICT, caught.value
    assert caught.value.effect == api("common").Effect.NONE
    assert caught.value.retryable


def test_answers_kept_for_one_client_do_not_stop_the_others(cluster: Cluster, client: Client):
    hour = {"timeout_ms": 3_600_000, "idle_timeout_ms": 300_000}
    hoard = [Conversation(client, **hour) for _ in range(20)]
    try:
        for talk in hoard:
            try:
                talk.query("pg", "SELECT repeat('x', 1000000) FROM generate_series(1, 15)", page_rows=1)
            except api("common").TrothError as error:
                assert error.code == api("common").ErrorCode.OVERLOADED, error
        with cluster.client(name="another") as other:
            other.run([branch(name, touch(name, 70)) for name in RESOURCES])
    finally:
        for talk in hoard:
            talk.rollback()
