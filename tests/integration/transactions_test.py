"""The main job on real databases: two resources change together, or neither does."""

import threading

import pytest
from harness import Cluster, Conversation, branch, eventually, new_request_id, statement
from harness.thrift_api import api

PAIRS = [("pg", "my"), ("pg", "ma"), ("my", "ma")]


@pytest.fixture(params=PAIRS, ids="+".join)
def pair(request) -> tuple[str, str]:
    return request.param


@pytest.fixture(scope="module")
def client(cluster: Cluster):
    with cluster.client(name="integration") as made:
        yield made


def mark(cluster: Cluster, resource: str, number: int) -> str:
    return "$%d" % number if cluster.bank.vaults[resource].server.kind == "postgres" else "?"


def refused(client, branches: list, **options):
    with pytest.raises(api("common").TrothError) as caught:
        client.run(branches, **options)
    return caught.value


def effects():
    return api("common").Effect


def codes():
    return api("common").ErrorCode


def test_both_sides_of_a_transfer_commit(cluster, client, pair):
    transfer = new_request_id()
    result = client.run(cluster.bank.transfer(transfer, pair[0], 1, pair[1], 2, amount=10))
    assert not result.already_committed and result.pending_resources == []
    assert [one.resource for one in result.branches] == list(pair)
    assert [[s.affected_rows for s in one.statements] for one in result.branches] == [[1, 1], [1, 1]]
    assert cluster.bank.stands_in(transfer) == [name for name in cluster.bank.vaults if name in pair]


def test_a_refused_side_leaves_both_untouched(cluster, client, pair):
    transfer = new_request_id()
    error = refused(client, cluster.bank.transfer(transfer, pair[0], 3, pair[1], 4, amount=1_000_000))
    assert (error.code, error.effect) == (codes().STATEMENT_FAILED, effects().NONE)
    assert (error.resource, error.branch, error.statement) == (pair[0], 1, 1)
    assert error.constraint == "no_overdraft"
    assert error.sqlstate
    assert cluster.bank.stands_in(transfer) == []
    cluster.bank.check()


def test_a_missed_expectation_is_a_no(cluster, client, pair):
    transfer = new_request_id()
    branches = cluster.bank.transfer(transfer, pair[0], 5, pair[1], 999_999, amount=10)
    error = refused(client, branches)
    assert (error.code, error.effect) == (codes().EXPECTATION_MISSED, effects().NONE)
    assert (error.resource, error.statement) == (pair[1], 1)
    assert cluster.bank.stands_in(transfer) == []
    cluster.bank.check()


def test_a_reading_branch_beside_a_writing_one(cluster, client, pair):
    """Attack 63: plain SELECTs write no marker, prepare nothing, and do not make the transaction two-phase there."""
    transfer = new_request_id()
    request = new_request_id()
    moves = cluster.bank.move(pair[0], transfer, 6, 0)
    result = client.run(
        [branch(pair[0], *moves), branch(pair[1], "SELECT count(*) FROM account")], request_id=request
    )
    assert result.branches[1].statements[0].rows[0].values[0].int64 == cluster.bank.accounts
    assert len(cluster.markers(pair[0], request)) == 1
    assert cluster.markers(pair[1], request) == []


def test_a_declared_read_only_branch_may_not_write(cluster, client, pair):
    transfer = new_request_id()
    moves = cluster.bank.move(pair[0], transfer, 6, 0)
    error = refused(client, [branch(pair[0], *moves, read_only=True)])
    assert error.effect == effects().NONE
    assert cluster.bank.stands_in(transfer) == []


@pytest.mark.parametrize("resource", ["pg", "my", "ma"])
def test_a_single_branch_commits_in_one_phase(cluster, client, resource):
    """Attack 65: the id itself says that only that resource knows the outcome."""
    transfer = new_request_id()
    request = new_request_id()
    result = client.run([branch(resource, *cluster.bank.move(resource, transfer, 7, 0))], request_id=request)
    assert ".s" in result.transaction_id
    assert [(m.transaction, m.state) for m in cluster.markers(resource, request)] == [
        (result.transaction_id, "committed")
    ]
    again = client.run([branch(resource, *cluster.bank.move(resource, transfer, 7, 0))], request_id=request)
    assert again.already_committed and again.transaction_id == result.transaction_id


def test_a_refused_single_branch_is_barred(cluster, client):
    """Attack 51: the no of a one-phase branch is told after its barrier is committed [T7]."""
    transfer = new_request_id()
    error = refused(client, [branch("pg", *cluster.bank.move("pg", transfer, 7, -1_000_000))])
    assert error.effect == effects().NONE
    assert cluster.bank.stands_in(transfer) == []


def test_the_same_request_again_commits_once(cluster, client, pair):
    """Attack 6: at most one commit for a request key; the retry learns of it, without rows."""
    transfer, request = new_request_id(), new_request_id()
    work = cluster.bank.transfer(transfer, pair[0], 8, pair[1], 9, amount=5)
    first = client.run(work, request_id=request)
    second = client.run(work, request_id=request)
    assert second.already_committed and second.transaction_id == first.transaction_id
    assert second.branches == []


MARKER_IN_THE_WAY = """
    CREATE FUNCTION in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF NEW.request_id IS NOT NULL THEN RAISE 'in the way'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER in_the_way BEFORE INSERT ON troth.troth_branch FOR EACH ROW EXECUTE FUNCTION in_the_way()"""


@pytest.mark.parametrize(
    ("break_it", "mend_it"),
    [
        (MARKER_IN_THE_WAY, "DROP FUNCTION in_the_way CASCADE"),
        ("REVOKE INSERT ON troth.troth_branch FROM {role}", "GRANT INSERT ON troth.troth_branch TO {role}"),
    ],
    ids=["marker", "marker and barrier"],
)
def test_a_retry_that_cannot_write_its_marker_says_nothing_of_the_request(cluster, client, break_it, mend_it):
    """Attack 40: the request was committed in one phase, and its resource alone knows. A retry that fails before it comes
    to the marker must not say that nothing stands [T3]."""
    transfer, request = new_request_id(), new_request_id()
    work = [branch("pg", *cluster.bank.move("pg", transfer, 7, 0))]
    client.run(work, request_id=request)
    vault = cluster.bank.vaults["pg"]
    losses = cluster.agent.output().count("a connection to it was lost")
    vault.server.sql(break_it.format(role=cluster.role("pg")), vault.database)
    try:
        error = refused(client, work, request_id=request, timeout_ms=2000)
    finally:
        vault.server.sql(mend_it.format(role=cluster.role("pg")), vault.database)
    assert error.effect == effects().UNKNOWN
    # A missing right is not a lost connection, which would stop the whole resource each time.
    assert cluster.agent.output().count("a connection to it was lost") == losses

    def run_again():
        try:
            return client.run(work, request_id=request)
        except api("common").TrothError as joined:  # the refused attempt, which is being settled
            assert joined.effect == effects().UNKNOWN, joined
            return None

    assert eventually(run_again, "the request's outcome is told", 20).already_committed


def test_the_same_request_at_the_same_time_commits_once(cluster, pair):
    """Attack 50: a retry joins the running attempt; no marker waits for another."""
    transfer, request = new_request_id(), new_request_id()
    work = cluster.bank.transfer(transfer, pair[0], 10, pair[1], 11, amount=5)
    answers, errors = [], []

    def attempt():
        with cluster.client(name="integration") as own:
            try:
                answers.append(own.run(work, request_id=request).transaction_id)
            except Exception as problem:  # told below
                errors.append(problem)

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and len(answers) == 4 and len(set(answers)) == 1


def test_a_request_id_with_other_content_is_refused(cluster, client, pair):
    transfer, request = new_request_id(), new_request_id()
    client.run(cluster.bank.transfer(transfer, pair[0], 12, pair[1], 13, amount=1), request_id=request)
    other = cluster.bank.transfer(new_request_id(), pair[0], 12, pair[1], 13, amount=2)
    error = refused(client, other, request_id=request)
    assert (error.code, error.effect) == (codes().REQUEST_ID_REUSED, effects().NONE)


@pytest.fixture(params=[*PAIRS, *(pair[::-1] for pair in PAIRS)], ids="+".join)
def ordered_pair(request) -> tuple[str, str]:
    return request.param


def test_a_request_that_committed_in_one_phase_does_not_commit_again(cluster, client, ordered_pair):
    """Attack 69: of a single branch there is no record. Other work of its request_id meets its marker in the resource, also
    where its own branch there is the second one."""
    other, single = ordered_pair
    first, second, request = new_request_id(), new_request_id(), new_request_id()
    done = client.run(cluster.bank.shift(first, single, 31, 32, 1), request_id=request)
    assert ".s" in done.transaction_id
    error = refused(client, cluster.bank.transfer(second, other, 31, single, 32, 5), request_id=request)
    assert (error.code, error.effect) == (codes().REQUEST_ID_REUSED, effects().NONE)
    assert (error.resource, error.branch) == (single, 2)
    assert done.transaction_id in error.message
    assert cluster.bank.stands_in(second) == []
    assert cluster.bank.stands_in(first) == [single]
    assert cluster.markers(other, request) == []
    assert [m.transaction for m in cluster.markers(single, request)] == [done.transaction_id]
    cluster.bank.check()
    # The work itself is told as before.
    again = client.run(cluster.bank.shift(first, single, 31, 32, 1), request_id=request)
    assert again.already_committed and again.transaction_id == done.transaction_id


def test_a_request_that_committed_in_two_phases_does_not_commit_again_in_one(cluster, client, ordered_pair):
    other, single = ordered_pair
    first, second, request = new_request_id(), new_request_id(), new_request_id()
    client.run(cluster.bank.transfer(first, other, 33, single, 34, 5), request_id=request)
    for resource in ordered_pair:
        error = refused(client, cluster.bank.shift(second, resource, 33, 34, 1), request_id=request)
        assert (error.code, error.effect) == (codes().REQUEST_ID_REUSED, effects().NONE)
        assert len(cluster.markers(resource, request)) == 1
    assert cluster.bank.stands_in(second) == []
    cluster.bank.check()


def test_a_bar_meets_a_branch_of_any_number(cluster, client, ordered_pair):
    """Attack 40: while an interactive branch of the request is open nothing is proved in its resource, and when it is over
    nothing is in the way of the bar."""
    other, single = ordered_pair
    types_ = api("transactions")
    request = new_request_id()
    talk = Conversation(client, request_id=request)
    for resource in (other, single):
        for each in cluster.bank.move(resource, new_request_id(), 35, 0):
            talk.query(resource, each)
    asked = types_.StatusRequest(
        request_id=request, client_name=client.name, bar=True, bar_resources=[single], timeout_ms=500
    )
    assert client.status(asked).state == types_.TransactionState.UNKNOWN
    talk.rollback()
    asked.timeout_ms = 10_000
    assert client.status(asked).state == types_.TransactionState.NOT_COMMITTED
    assert [m.state for m in cluster.markers(single, request)] == ["barred"]


def test_a_retry_after_an_abort_runs_anew(cluster, client, pair):
    """Attack 48: neither barrier nor abort uses the request_id up."""
    request = new_request_id()
    refused(
        client,
        cluster.bank.transfer(new_request_id(), pair[0], 14, pair[1], 999_999, amount=1),
        request_id=request,
    )
    work = cluster.bank.transfer(new_request_id(), pair[0], 14, pair[1], 15, amount=1)

    def run_again():
        """While the aborted branch is still being rolled back its key is busy: a reason to retry, never to wait."""
        try:
            return client.run(work, request_id=request)
        except api("common").TrothError as error:
            assert (error.code, error.effect, error.retryable) == (codes().BUSY, effects().NONE, True), error
            return None

    assert not eventually(run_again, "the retry runs", 10).already_committed


def test_a_request_from_the_future_or_the_past_is_refused(client, cluster):
    """Attack 43: ids are remembered by their own timestamp. Of one in one phase only its resource could tell whether it
    was committed when the coordinator's clock was another."""
    for resources, effect in ((("pg",), effects().UNKNOWN), (("pg", "my"), effects().NONE)):
        work = [branch(resource, "SELECT 1") for resource in resources]
        error = refused(client, work, request_id=new_request_id(at_ms=4_102_444_800_000))
        assert (error.code, error.effect) == (codes().REQUEST_ID_FROM_FUTURE, effect)


def test_decided_answers_before_everything_is_applied(cluster, client, pair):
    transfer = new_request_id()
    decided = api("transactions").Acknowledgement.DECIDED
    result = client.run(
        cluster.bank.transfer(transfer, pair[0], 16, pair[1], 17, amount=1), acknowledgement=decided
    )
    assert result.acknowledged == decided
    eventually(lambda: len(cluster.bank.stands_in(transfer)) == 2, "both sides are applied", 10)


def test_two_transfers_in_opposite_order_do_not_hang(cluster):
    """A deadlock over two databases is no database's: the lock timeout ends it, as a conflict that may be retried."""
    outcomes = []

    def move(source, target):
        with cluster.client(name="integration") as own:
            try:
                own.run(cluster.bank.transfer(new_request_id(), source, 20, target, 20, amount=1))
                outcomes.append("committed")
            except api("common").TrothError as error:
                assert error.effect == effects().NONE, error
                outcomes.append("refused")

    for _ in range(3):
        threads = [threading.Thread(target=move, args=pair) for pair in (("pg", "my"), ("my", "pg"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(outcomes) == 6


def test_a_client_that_vanishes_leaves_nothing_in_doubt(cluster, client, pair):
    transfer, request = new_request_id(), new_request_id()
    work = cluster.bank.transfer(transfer, pair[0], 21, pair[1], 22, amount=1)
    with cluster.client(name="integration") as hasty:
        hasty.send(work, request_id=request)
    # Whichever of the two comes first does it, and the other hears of it, or nobody does.
    client.run(work, request_id=request)
    assert cluster.bank.stands_in(transfer) == [name for name in cluster.bank.vaults if name in pair]
    cluster.bank.check()


def test_status_tells_what_became_of_it(cluster, client, pair):
    """Attack 31: an id that nobody ever heard of is "not committed", and that is all that is claimed."""
    types_ = api("transactions")
    result = client.run(
        cluster.bank.transfer(new_request_id(), pair[0], 23, pair[1], 24, amount=1), label="rent"
    )
    status = client.status(types_.StatusRequest(transaction_id=result.transaction_id, bar_resources=[]))
    assert status.state == types_.TransactionState.COMMITTED
    aborted = refused(
        client, cluster.bank.transfer(new_request_id(), pair[0], 23, pair[1], 999_999, amount=1)
    )
    status = client.status(types_.StatusRequest(transaction_id=aborted.transaction_id, bar_resources=[]))
    assert status.state == types_.TransactionState.NOT_COMMITTED
    # One that may still be begun is not spoken of.
    cluster_name, epoch, sequence = result.transaction_id.split(".")
    not_yet = f"{cluster_name}.{epoch}.{int(sequence) + 500_000}"
    status = client.status(types_.StatusRequest(transaction_id=not_yet, bar_resources=[]))
    assert status.state == types_.TransactionState.UNKNOWN


def test_a_barred_request_never_commits(cluster, client, pair):
    """Attack 40: only a bar lets status say "not committed" of a request_id."""
    types_ = api("transactions")
    request = new_request_id()
    asked = types_.StatusRequest(request_id=request, client_name="integration", bar_resources=[])
    assert client.status(asked).state == types_.TransactionState.UNKNOWN
    asked.bar, asked.bar_resources = True, list(pair)
    assert client.status(asked).state == types_.TransactionState.NOT_COMMITTED
    work = cluster.bank.transfer(new_request_id(), pair[0], 25, pair[1], 26, amount=1)
    error = refused(client, work, request_id=request)
    assert (error.code, error.effect) == (codes().BARRED, effects().NONE)
    single = [branch(pair[0], *cluster.bank.move(pair[0], new_request_id(), 25, 0))]
    assert refused(client, single, request_id=request).effect == effects().NONE


FORBIDDEN = ["COMMIT", "ROLLBACK", "BEGIN", "START TRANSACTION", "SAVEPOINT a", "/* hidden */ COMMIT"]
FORBIDDEN_BY_KIND = {
    "pg": [
        "PREPARE TRANSACTION 'x'",
        "COMMIT PREPARED 'x'",
        "SELECT 1; SELECT 2",
        "COPY account TO '/tmp/x'",
        "LISTEN a",
    ],
    "my": [
        "XA END 'x'",
        "XA COMMIT 'x'",
        "SET autocommit = 1",
        "SELECT 1; SELECT 2",
        "LOCK TABLES account READ",
    ],
    "ma": ["XA END 'x'", "XA COMMIT 'x'", "SET autocommit = 1", "SELECT 1; SELECT 2", "/*! COMMIT */"],
}


@pytest.mark.parametrize("resource", ["pg", "my", "ma"])
def test_transaction_control_and_several_statements_are_refused(cluster, client, resource):
    for sql in FORBIDDEN + FORBIDDEN_BY_KIND[resource]:
        transfer = new_request_id()
        error = refused(client, [branch(resource, *cluster.bank.move(resource, transfer, 30, 0), sql)])
        assert error.effect == effects().NONE, f"{sql}: {error}"
        assert error.statement == 3, f"{sql}: {error}"
        assert cluster.bank.stands_in(transfer) == [], sql


def test_wrong_requests_are_refused_by_name(cluster, client):
    for work, word in [
        ([], "branch"),
        ([branch("nowhere", "SELECT 1")], "nowhere"),
        ([branch("no such name!", "SELECT 1")], "resource name"),
        ([branch("pg")], "statements"),
        ([branch("pg", "SELECT 1"), branch("pg", "SELECT 2")], "pg"),
        ([branch("pg", statement("SELECT $1::int", 1, 2))], "parameter"),
        ([branch("my", statement("SELECT ?"))], "parameter"),
    ]:
        error = refused(client, work)
        assert error.effect == effects().NONE and word in error.message, error
    error = refused(client, [branch("pg", "SELECT 1")], request_id="not-a-uuid")
    assert (error.code, error.effect) == (codes().INVALID_ARGUMENT, effects().NONE)


def test_two_resources_of_one_kind_on_one_server_take_part_in_one_transaction(servers, tmp_path):
    """Attack 49: each resource has tables of its own, and one request_id stands in both."""
    with Cluster(tmp_path, servers, resources=("pg", "my", "ma"), twins=True) as cluster:
        with cluster.client(name="integration") as client:
            for one, two in (("pg", "pg2"), ("my", "my2"), ("ma", "ma2")):
                transfer = new_request_id()
                client.run(
                    cluster.bank.transfer(transfer, one, 1, two, 2, amount=3), request_id=new_request_id()
                )
                assert sorted(cluster.bank.stands_in(transfer)) == [one, two]
        cluster.bank.check()


ECHO = {"pg": "SELECT $1::bytea", "my": "SELECT CAST(? AS BINARY)", "ma": "SELECT CAST(? AS BINARY)"}


@pytest.mark.parametrize("resource", ["pg", "my"])
def test_the_largest_value_goes_there_and_back_and_a_larger_one_is_refused(cluster, client, resource):
    largest = bytes(range(256)) * (16 * 4096)
    echoed = client.run([branch(resource, statement(ECHO[resource], largest), read_only=True)])
    assert echoed.branches[0].statements[0].rows[0].values[0].bytes == largest
    error = refused(client, [branch(resource, statement(ECHO[resource], largest + b"x"), read_only=True)])
    assert (error.code, error.effect) == (codes().INVALID_ARGUMENT, effects().NONE)
    assert (error.resource, error.branch, error.statement) == (resource, 1, 1)
    assert "parameter 1: a value has more than 16 MiB" in error.message
    assert client.run([branch(resource, statement("SELECT 1"), read_only=True)])


# As shipped MariaDB takes packets of 16 MiB: that is less than a value of 16 MiB and what is beside it.
def test_a_value_past_the_servers_own_limit_is_refused_by_name(cluster, client):
    largest = bytes(16 << 20)
    error = refused(client, [branch("ma", statement(ECHO["ma"], largest), read_only=True)])
    assert (error.code, error.effect) == (codes().INVALID_ARGUMENT, effects().NONE)
    assert (error.resource, error.branch, error.statement) == ("ma", 1, 1)
    assert "max_allowed_packet" in error.message


# A frame carries 32 MiB; what is larger is refused by its name, and the connection goes on.
def test_a_call_past_the_frames_limit_is_refused_by_name(cluster, client):
    values = [bytes(11 << 20)] * 3
    error = refused(
        client, [branch("my", statement("SELECT LENGTH(?), LENGTH(?), LENGTH(?)", *values), read_only=True)]
    )
    assert error.effect == effects().NONE
    assert "max_frame_bytes" in error.message
    assert client.run([branch("my", statement("SELECT 1"), read_only=True)])
