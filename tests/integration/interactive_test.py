"""Interactive transactions on real databases: begin, statement by statement, commit or rollback."""

import threading
import time

import pytest

from harness import Client, Cluster, Conversation, branch, eventually, new_request_id, statement
from harness.thrift_api import api

PAIRS = [("pg", "my"), ("pg", "ma"), ("my", "ma")]
RESOURCES = ("pg", "my", "ma")
INNODB = ("my", "ma")


@pytest.fixture(params=PAIRS, ids="+".join)
def pair(request) -> tuple[str, str]:
    return request.param


@pytest.fixture(params=RESOURCES)
def resource(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def client(cluster: Cluster):
    with cluster.client(name="talker") as made:
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


def balance(cluster: Cluster, talk: Conversation, resource: str, account: int) -> int:
    sql = f"SELECT balance FROM account WHERE id = {mark(cluster, resource)}"
    return talk.value(resource, sql, account)


def pay(cluster: Cluster, talk: Conversation, resource: str, account: int, amount: int) -> None:
    one, two = mark(cluster, resource, 1), mark(cluster, resource, 2)
    talk.query(
        resource,
        statement(
            f"UPDATE account SET balance = balance + {one} WHERE id = {two}", amount, account, exactly=1
        ),
    )


def nobody_waits(cluster: Cluster, resource: str, account: int, within_s: float = 10) -> None:
    """The row can be locked by somebody else."""
    with cluster.client(name="another") as other:

        def locked() -> bool:
            talk = Conversation(other, timeout_ms=5000, statement_timeout_ms=1000)
            try:
                talk.query(resource, f"SELECT balance FROM account WHERE id = {account} FOR UPDATE")
                return True
            except api("common").TrothError:
                return False
            finally:
                try:
                    talk.rollback()
                except api("common").TrothError:
                    pass

        eventually(locked, f"account {account} of {resource} is free", within_s)


def test_both_sides_of_a_transfer_commit(cluster, client, pair):
    transfer = new_request_id()
    talk = Conversation(client, label="rent")
    for resource, account, amount in ((pair[0], 1, -10), (pair[1], 2, 10)):
        for each in cluster.bank.move(resource, transfer, account, amount):
            assert talk.query(resource, each).result.affected_rows == 1
    status = talk.status()
    assert status.state == api("transactions").TransactionState.ACTIVE
    assert status.label == "rent"
    assert [b.state for b in status.branches] == ["2 statements answered"] * 2
    result = talk.commit()
    assert (result.transaction_id, result.already_committed, result.pending_resources) == (talk.id, False, [])
    assert cluster.bank.stands_in(transfer) == [name for name in cluster.bank.vaults if name in pair]
    assert talk.commit().already_committed
    assert talk.status().state == api("transactions").TransactionState.COMMITTED


def test_it_reads_what_it_wrote_and_nobody_else_does(cluster, client, resource):
    talk = Conversation(client)
    before = balance(cluster, talk, resource, 11)
    pay(cluster, talk, resource, 11, 7)
    assert balance(cluster, talk, resource, 11) == before + 7
    with cluster.client(name="another") as other:
        look = Conversation(other)
        assert balance(cluster, look, resource, 11) == before
        look.rollback()
    talk.rollback()
    with cluster.client(name="another") as other:
        look = Conversation(other)
        assert balance(cluster, look, resource, 11) == before
        look.commit()


def test_a_rollback_leaves_nothing_and_frees_its_locks(cluster, client, pair):
    transfer = new_request_id()
    talk = Conversation(client)
    for each in cluster.bank.move(pair[0], transfer, 12, -10) + cluster.bank.move(pair[0], transfer, 13, 10):
        talk.query(pair[0], each)
    talk.query(pair[1], "SELECT balance FROM account WHERE id = 12 FOR UPDATE")
    talk.rollback()
    for resource in pair:
        nobody_waits(cluster, resource, 12)
    assert cluster.bank.stands_in(transfer) == []
    talk.rollback()  # said again, it is still so
    error = refused(talk.commit)
    assert (error.code, error.effect) == (codes().UNKNOWN_TRANSACTION, effects().NONE)
    assert "the client rolled it back" in error.message


@pytest.mark.parametrize("how", ["a constraint", "an expectation", "a syntax error"])
def test_a_failed_statement_ends_all_of_it(cluster, client, pair, how):
    transfer = new_request_id()
    talk = Conversation(client)
    for each in cluster.bank.move(pair[0], transfer, 14, -10):
        talk.query(pair[0], each)
    failing, code = {
        "a constraint": ("UPDATE account SET balance = -1 WHERE id = 14", codes().STATEMENT_FAILED),
        "an expectation": (
            statement("UPDATE account SET balance = balance WHERE id = 999999", exactly=1),
            codes().EXPECTATION_MISSED,
        ),
        "a syntax error": ("SELECT FROM WHERE", codes().STATEMENT_FAILED),
    }[how]
    error = refused(talk.query, pair[1], failing)
    assert (error.code, error.effect, error.resource) == (code, effects().NONE, pair[1])
    assert (error.transaction_id, error.statement) == (talk.id, 1), "it says that the transaction has ended"
    nobody_waits(cluster, pair[0], 14)
    assert cluster.bank.stands_in(transfer) == []
    again = refused(talk.query, pair[0], "SELECT 1")
    assert (again.code, again.effect) == (codes().UNKNOWN_TRANSACTION, effects().NONE)


def test_what_is_refused_before_it_runs_ends_nothing(cluster, client, resource):
    talk = Conversation(client)
    pay(cluster, talk, resource, 15, 3)
    for sql in ("COMMIT", "XA END 'x'", "SELECT 1; SELECT 2", "DELETE FROM troth_owner"):
        error = refused(talk.query, resource, sql)
        assert (error.code, error.effect) == (codes().FORBIDDEN_STATEMENT, effects().NONE), sql
        assert error.transaction_id is None
    for number in (1, 3, 9):
        error = refused(talk.ask, resource, number, "SELECT 17")
        assert (error.code, error.effect) == (codes().INVALID_ARGUMENT, effects().NONE)
    error = refused(talk.ask, resource, 0, "SELECT 17")
    assert error.code == codes().INVALID_ARGUMENT
    error = refused(talk.query, "nowhere", "SELECT 1")
    assert (error.code, error.transaction_id) == (codes().UNKNOWN_RESOURCE, None)
    pay(cluster, talk, resource, 15, -3)
    talk.commit()


def test_the_same_number_again_is_the_same_statement(cluster, client, resource):
    """Attack 9: a doubled query does not pay twice."""
    talk = Conversation(client)
    before = balance(cluster, talk, resource, 16)
    one = mark(cluster, resource)
    sql = f"UPDATE account SET balance = balance + {one} WHERE id = 16"
    for _ in range(3):
        assert talk.ask(resource, 2, sql, 5).result.affected_rows == 1
    assert (
        talk.ask(resource, 3, "SELECT balance FROM account WHERE id = 16").result.rows[0].values[0].int64
        == before + 5
    )
    for _ in range(2):
        repeated = talk.ask(resource, 3, "SELECT balance FROM account WHERE id = 16")
        assert repeated.result.rows[0].values[0].int64 == before + 5
    talk.rollback()


def test_statements_of_several_resources_run_beside_each_other(cluster, pair):
    """One connection each, as a service with threads has them."""
    with cluster.client(name="threads") as first, cluster.client(name="threads") as second:
        talk = Conversation(first)
        other = Conversation.joined(second, talk.id)
        failures: list[BaseException] = []

        def run(who: Conversation, resource: str) -> None:
            try:
                for _ in range(20):
                    pay(cluster, who, resource, 17, 1)
                    pay(cluster, who, resource, 17, -1)
            except BaseException as error:  # noqa: BLE001 - told below
                failures.append(error)

        threads = [threading.Thread(target=run, args=args) for args in ((talk, pair[0]), (other, pair[1]))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures
        assert {b.state for b in talk.status().branches} == {"40 statements answered"}
        talk.commit()


def test_rows_come_in_pages(cluster, client, resource):
    talk = Conversation(client)
    sql = "SELECT id, balance FROM account ORDER BY id"
    whole = talk.query(resource, sql)
    accounts = cluster.bank.accounts
    assert len(whole.result.rows) == accounts == whole.result.affected_rows and not whole.more
    page = talk.query(resource, sql, page_rows=30)
    seen = [row.values[0].int64 for row in page.result.rows]
    assert seen == list(range(1, 31)) and page.more and page.result.affected_rows == accounts
    while page.more:
        page = talk.fetch(resource, 2, len(seen), 30)
        assert [column.name for column in page.result.columns] == ["id", "balance"]
        seen += [row.values[0].int64 for row in page.result.rows]
    assert seen == list(range(1, accounts + 1))
    again = talk.fetch(resource, 2, 10, 2)
    assert [row.values[0].int64 for row in again.result.rows] == [11, 12] and again.more
    assert not talk.fetch(resource, 2, 5 * accounts).result.rows
    assert len(talk.fetch(resource, 2, 150).result.rows) == accounts - 150
    for wrong in (1, 3):
        error = refused(talk.fetch, resource, wrong, 0)
        assert (error.code, error.transaction_id) == (codes().INVALID_ARGUMENT, None)
    assert refused(talk.fetch, resource, 2, -1).code == codes().INVALID_ARGUMENT
    talk.commit()


def test_too_many_rows_are_an_error_and_no_cut(cluster, client, resource):
    talk = Conversation(client, max_rows=10)
    error = refused(talk.query, resource, "SELECT id FROM account")
    assert (error.code, error.effect) == (codes().INVALID_ARGUMENT, effects().NONE)
    assert "10 rows" in error.message and error.transaction_id == talk.id


@pytest.mark.parametrize("resource", INNODB)
def test_generated_keys_come_with_their_statement(cluster, client, resource):
    vault = cluster.bank.vaults[resource]
    vault.server.sql(
        "CREATE TABLE IF NOT EXISTS numbered (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, t VARCHAR(9))",
        vault.database,
    )
    talk = Conversation(client)
    first = talk.query(resource, "INSERT INTO numbered (t) VALUES ('a')").result.generated_key
    second = talk.query(resource, "INSERT INTO numbered (t) VALUES ('b')").result.generated_key
    assert first is not None and second == first + 1
    assert talk.query(resource, "SELECT 1").result.generated_key is None
    talk.commit()


@pytest.mark.parametrize("resource", ["pg", "ma"])
def test_returning_rows_come_with_their_statement(cluster, client, resource):
    transfer = new_request_id()
    talk = Conversation(client)
    result = talk.query(
        resource,
        f"INSERT INTO transfer_line (transfer, account, amount) VALUES ('{transfer}', 1, 0) RETURNING account, amount",
    ).result
    assert [value.int64 for value in result.rows[0].values] == [1, 0]
    talk.rollback()
    sql = (
        f"INSERT INTO transfer_line (transfer, account, amount) VALUES ('{transfer}', 2, 0) RETURNING account"
    )
    one_shot = client.run(
        [branch(resource, sql, "DELETE FROM transfer_line WHERE amount = 0 AND account = 2")]
    )
    assert one_shot.branches[0].statements[0].rows[0].values[0].int64 == 2
    assert one_shot.branches[0].statements[1].affected_rows == 1


def test_a_transaction_that_reads_leaves_no_trace(cluster, client, resource):
    """Attack 63. Postgres tells whether something was written; on MySQL and MariaDB it must be declared."""
    request = new_request_id()
    talk = Conversation(client, request_id=request, read_only=resource in INNODB)
    assert balance(cluster, talk, resource, 18) > 0
    assert talk.value(resource, "SELECT count(*) FROM account") == cluster.bank.accounts
    talk.commit()
    assert cluster.markers(resource, request) == []
    assert not [b for b in cluster.bank.in_doubt() if talk.id in b.name]


@pytest.mark.parametrize("resource", INNODB)
def test_undeclared_reads_are_proved_where_the_database_cannot_tell(cluster, client, resource):
    request = new_request_id()
    talk = Conversation(client, request_id=request)
    balance(cluster, talk, resource, 18)
    talk.commit()
    assert [marker.state for marker in cluster.markers(resource, request)] == ["committed"]


def test_a_declared_reader_may_not_write(cluster, client, resource):
    talk = Conversation(client, read_only=True)
    balance(cluster, talk, resource, 19)
    error = refused(talk.query, resource, "UPDATE account SET balance = 0 WHERE id = 19")
    assert (error.code, error.transaction_id) == (codes().FORBIDDEN_STATEMENT, None)
    error = refused(talk.query, resource, "SELECT balance FROM account WHERE id = 19 FOR UPDATE")
    assert error.code == codes().FORBIDDEN_STATEMENT
    talk.commit()


def test_a_read_with_a_function_that_writes_is_prepared_and_proved(cluster, client):
    vault = cluster.bank.vaults["pg"]
    vault.server.sql(
        "CREATE OR REPLACE FUNCTION sly(who int) RETURNS bigint SECURITY DEFINER LANGUAGE sql AS"
        " 'UPDATE account SET balance = balance WHERE id = who RETURNING balance'",
        vault.database,
    )
    request = new_request_id()
    talk = Conversation(client, request_id=request)
    talk.value("pg", "SELECT sly(20)")
    talk.commit()
    assert [marker.state for marker in cluster.markers("pg", request)] == ["committed"]
    # Declared, the database keeps it from writing.
    talk = Conversation(client, read_only=True)
    error = refused(talk.query, "pg", "SELECT sly(20)")
    assert (error.effect, error.transaction_id) == (effects().NONE, talk.id)


def test_repeatable_reads_see_one_moment(cluster, client, resource):
    isolation = api("transactions").Isolation
    with cluster.client(name="another") as other:
        steady = Conversation(client, isolation=isolation.REPEATABLE_READ)
        moving = Conversation(other, isolation=isolation.READ_COMMITTED)
        before = balance(cluster, steady, resource, 21)
        assert balance(cluster, moving, resource, 21) == before
        with cluster.client(name="third") as third:
            one = mark(cluster, resource)
            third.run(
                [
                    branch(
                        resource, statement(f"UPDATE account SET balance = balance + {one} WHERE id = 21", 1)
                    )
                ]
            )
            assert balance(cluster, steady, resource, 21) == before
            assert balance(cluster, moving, resource, 21) == before + 1
            third.run(
                [
                    branch(
                        resource, statement(f"UPDATE account SET balance = balance - {one} WHERE id = 21", 1)
                    )
                ]
            )
        steady.commit()
        moving.commit()


def test_a_client_that_goes_away_holds_its_locks_for_the_idle_time_only(cluster, client, resource):
    talk = Conversation(client, idle_timeout_ms=500)
    pay(cluster, talk, resource, 22, 1)
    began = time.monotonic()
    nobody_waits(cluster, resource, 22)
    assert time.monotonic() - began < 10
    error = refused(talk.query, resource, "SELECT 1")
    assert (error.code, error.effect) == (codes().UNKNOWN_TRANSACTION, effects().NONE)
    assert "no call came for 500 ms" in error.message


def test_the_whole_time_ends_it_under_a_running_statement(cluster, client, resource):
    sleep = "SELECT pg_sleep(20)" if resource == "pg" else "SELECT SLEEP(20)"
    talk = Conversation(client, timeout_ms=700)
    pay(cluster, talk, resource, 23, 1)
    began = time.monotonic()
    error = refused(talk.query, resource, sleep)
    assert time.monotonic() - began < 10
    assert (error.code, error.effect, error.transaction_id) == (codes().TIMEOUT, effects().NONE, talk.id)
    nobody_waits(cluster, resource, 23)


def test_a_statement_has_its_own_time(cluster, client, resource):
    sleep = "SELECT pg_sleep(20)" if resource == "pg" else "SELECT SLEEP(20)"
    talk = Conversation(client, statement_timeout_ms=300)
    error = refused(talk.query, resource, sleep)
    assert (error.code, error.effect, error.transaction_id) == (codes().TIMEOUT, effects().NONE, talk.id)


def test_a_deadlock_ends_one_of_two(cluster, client, resource):
    with cluster.client(name="another") as other:
        mine = Conversation(client, statement_timeout_ms=8000)
        theirs = Conversation(other, statement_timeout_ms=8000)
        pay(cluster, mine, resource, 24, 1)
        pay(cluster, theirs, resource, 25, 1)
        told: dict[str, object] = {}

        def cross(who: str, talk: Conversation, account: int) -> None:
            try:
                pay(cluster, talk, resource, account, -1)
                told[who] = None
            except api("common").TrothError as error:
                told[who] = error

        threads = [
            threading.Thread(target=cross, args=("mine", mine, 25)),
            threading.Thread(target=cross, args=("theirs", theirs, 24)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lost = [error for error in told.values() if error is not None]
        assert lost, "one of them must give way"
        for error in lost:
            assert (error.code, error.effect, error.retryable) == (codes().CONFLICT, effects().NONE, True)
        for talk in (mine, theirs):
            try:
                talk.rollback()
            except api("common").TrothError:
                pass


def test_only_its_client_works_in_it(cluster, client, resource):
    talk = Conversation(client)
    pay(cluster, talk, resource, 26, 1)
    with cluster.client(name="thief") as thief:
        other = Conversation.joined(thief, talk.id)
        for call in (lambda: other.ask(resource, 2, "SELECT 1"), other.commit, other.rollback):
            error = refused(call)
            assert (error.code, error.effect) == (codes().UNKNOWN_TRANSACTION, effects().NONE)
    talk.rollback()


def test_one_request_id_commits_once(cluster, client, pair):
    """Attack 58: `begin` learns what the request came to, before any statement."""
    request, transfer = new_request_id(), new_request_id()
    talk = Conversation(client, request_id=request)
    busy = refused(Conversation, client, request_id=request)
    assert (busy.code, busy.effect) == (codes().BUSY, effects().UNKNOWN)
    for resource, amount in ((pair[0], -1), (pair[1], 1)):
        for each in cluster.bank.move(resource, transfer, 27, amount):
            talk.query(resource, each)
    talk.commit()
    again = Conversation(client, request_id=request)
    assert again.already_committed and again.id == talk.id
    error = refused(
        client.run, cluster.bank.transfer(new_request_id(), pair[0], 27, pair[1], 27, 1), request_id=request
    )
    assert (error.code, error.effect) == (codes().REQUEST_ID_REUSED, effects().NONE)


def test_a_request_that_ran_in_one_phase_is_not_run_again(cluster, client, resource):
    """Attack 6: only the resource knows of it, and its marker is met."""
    request = new_request_id()
    transfer = new_request_id()
    client.run(cluster.bank.shift(transfer, resource, 28, 29, 1), request_id=request)
    talk = Conversation(client, request_id=request)
    error = refused(talk.query, resource, "UPDATE account SET balance = balance + 1 WHERE id = 28")
    assert error.code == codes().REQUEST_ID_REUSED and error.transaction_id == talk.id


@pytest.mark.parametrize(
    ("other", "single"), [*PAIRS, *(pair[::-1] for pair in PAIRS)], ids=lambda name: str(name)
)
def test_a_request_that_committed_in_one_phase_does_not_commit_again(cluster, client, other, single):
    """Attack 69: also where its marker is met by the second branch: all of the transaction ends, with effect none."""
    request, transfer = new_request_id(), new_request_id()
    done = client.run(cluster.bank.shift(new_request_id(), single, 28, 29, 1), request_id=request)
    talk = Conversation(client, request_id=request)
    for each in cluster.bank.move(other, transfer, 28, -5):
        talk.query(other, each)
    error = refused(talk.query, single, cluster.bank.move(single, transfer, 28, 5)[0])
    assert (error.code, error.effect) == (codes().REQUEST_ID_REUSED, effects().NONE)
    assert (error.resource, error.branch, error.transaction_id) == (single, 2, talk.id)
    assert done.transaction_id in error.message
    error = refused(talk.commit)
    assert (error.code, error.effect) == (codes().UNKNOWN_TRANSACTION, effects().NONE)
    nobody_waits(cluster, other, 28)
    assert cluster.bank.stands_in(transfer) == []
    assert cluster.markers(other, request) == []
    assert [m.transaction for m in cluster.markers(single, request)] == [done.transaction_id]


def test_an_interactive_request_does_not_commit_again_in_one_phase(cluster, client, pair):
    request, transfer = new_request_id(), new_request_id()
    talk = Conversation(client, request_id=request)
    for resource, amount in ((pair[0], -1), (pair[1], 1)):
        for each in cluster.bank.move(resource, transfer, 27, amount):
            talk.query(resource, each)
    talk.commit()
    for resource in pair:
        error = refused(
            client.run, cluster.bank.shift(new_request_id(), resource, 27, 29, 1), request_id=request
        )
        assert (error.code, error.effect) == (codes().REQUEST_ID_REUSED, effects().NONE)
        assert len(cluster.markers(resource, request)) == 1


def test_a_barred_request_never_commits(cluster, client, pair):
    request = new_request_id()
    talk = Conversation(client, request_id=request)
    pay(cluster, talk, pair[0], 30, 1)
    status = client.status(
        api("transactions").StatusRequest(
            request_id=request, client_name=client.name, bar=True, bar_resources=[]
        )
    )
    assert status.state == api("transactions").TransactionState.NOT_COMMITTED
    error = refused(talk.commit)
    assert (error.code, error.effect) == (codes().BARRED, effects().NONE)
    nobody_waits(cluster, pair[0], 30)


def test_a_commit_waits_for_no_statement(cluster, client, resource):
    """It says busy, and the transaction goes on."""
    sleep = "SELECT pg_sleep(1)" if resource == "pg" else "SELECT SLEEP(1)"
    with cluster.client(name=client.name) as second:
        talk = Conversation(client)
        other = Conversation.joined(second, talk.id)
        running = threading.Thread(target=lambda: talk.query(resource, sleep))
        running.start()
        running_state = "running statement 1"
        eventually(lambda: [b.state for b in other.status().branches] == [running_state], "it runs")
        error = refused(other.commit)
        assert (error.code, error.effect) == (codes().BUSY, effects().NONE)
        running.join()
        talk.commit()


def test_an_empty_transaction_commits(client):
    talk = Conversation(client)
    result = talk.commit()
    assert (result.transaction_id, result.already_committed) == (talk.id, False)


def test_a_service_of_many_branches_fills_no_session_for_ever(cluster, resource):
    """More open transactions than the resource has sessions: one-shot work still gets through."""
    clients = [cluster.client(name=f"many-{n}") for n in range(20)]
    try:
        talks = [Conversation(each) for each in clients]
        for n, talk in enumerate(talks):
            pay(cluster, talk, resource, 40 + n, 1)
        with cluster.client(name="one-shot") as one_shot:
            one_shot.run(cluster.bank.shift(new_request_id(), resource, 70, 71, 1), timeout_ms=5000)
        for talk in talks:
            talk.rollback()
    finally:
        for each in clients:
            each.close()


def test_bad_input_is_named(client: Client):
    error = refused(Conversation, client, timeout_ms=-1)
    assert error.code == codes().INVALID_ARGUMENT and "timeout_ms" in error.message
    error = refused(Conversation, client, idle_timeout_ms=0)
    assert error.code == codes().INVALID_ARGUMENT and "idle_timeout_ms" in error.message
    error = refused(Conversation, client, isolation=77)
    assert error.code == codes().INVALID_ARGUMENT and "isolation 77" in error.message
    error = refused(Conversation, client, request_id="not-a-uuid")
    assert error.code == codes().INVALID_ARGUMENT
    talk = Conversation(client)
    talk.id = "nonsense"
    assert refused(talk.commit).code == codes().INVALID_ARGUMENT
    talk.id = "bank-aaaaaa.1.7"
    error = refused(talk.commit)
    assert error.effect == effects().UNKNOWN or error.code == codes().UNKNOWN_TRANSACTION
    assert refused(talk.query, "pg", "SELECT 1").code == codes().UNKNOWN_TRANSACTION
