"""Interactive transactions while backends, agents and coordinators die between any two calls, and messages are lost, late
and doubled.

Before `commit` was called, whatever happens ends all of it: effect none, nothing stands, no lock stays. After it the client
asks again, and both sides agree. Attacks 6, 9, 58, 64.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from thrift.Thrift import TException

from harness import Cluster, Conversation, end_backends, eventually, new_request_id, writing_backends
from harness.proxy import Rule
from harness.thrift_api import Client, api

RESOURCES = ("pg", "my", "ma")
_BESIDE = {"pg": "my", "my": "pg", "ma": "pg"}
_accounts = itertools.cycle(range(1, 91))


@pytest.fixture(scope="module")
def shared(fleet, tmp_path_factory) -> Iterator[Cluster]:
    servers = {server.kind: server for server in fleet.servers}
    with Cluster(tmp_path_factory.mktemp("interactive"), servers) as cluster:
        yield cluster
        cluster.bank.check()


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    yield shared
    shared.heal()
    shared.bank.check()


class Transfer:
    """Two statements in `resource`, two in another, a commit: five calls."""

    STATEMENTS = 4

    def __init__(self, cluster: Cluster, resource: str, client: Client, **options) -> None:
        self.cluster = cluster
        self.name = new_request_id()
        self.request_id = new_request_id()
        self.account = next(_accounts)
        moves = cluster.bank.move
        beside = _BESIDE[resource]
        self.statements = [
            *((resource, each) for each in moves(resource, self.name, self.account, -1)),
            *((beside, each) for each in moves(beside, self.name, self.account, 1)),
        ]
        self.client = client
        self.talk = Conversation(client, request_id=self.request_id, **{"timeout_ms": 8000} | options)

    def say(self, first: int, last: int) -> None:
        """The statements from the first to before the last, counted from 0."""
        for resource, statement in self.statements[first:last]:
            self.talk.query(resource, statement)

    def stands(self) -> bool:
        where = self.cluster.bank.stands_in(self.name)
        assert len(where) in (0, 2), f"half of it stands: {where}"
        return len(where) == 2

    def expect_ended(self, call: Callable) -> None:
        """With effect none, and it says that the transaction is over."""
        with pytest.raises(api("common").TrothError) as caught:
            call()
        error = caught.value
        assert error.effect == api("common").Effect.NONE, error
        assert error.transaction_id == self.talk.id, error

    def expect_nothing_left(self) -> None:
        assert not self.stands()
        self.expect_free_rows()

    def expect_free_rows(self) -> None:
        """Somebody else can change what it had locked."""
        for resource in {resource for resource, _ in self.statements}:

            def free(resource: str = resource) -> bool:
                with self.cluster.client(name="another") as other:
                    talk = Conversation(other, statement_timeout_ms=1000)
                    try:
                        sql = f"SELECT balance FROM account WHERE id = {self.account} FOR UPDATE"
                        talk.query(resource, sql)
                        talk.rollback()
                        return True
                    except (api("common").TrothError, TException):
                        return False

            eventually(free, f"account {self.account} of {resource} is free")

    def insist(self) -> None:
        """All of it anew with the same request_id, until it is committed; once."""

        def committed() -> bool:
            with self.cluster.client(name=self.client.name) as client:
                try:
                    talk = Conversation(client, request_id=self.request_id)
                    if talk.already_committed:
                        return True
                    for resource, statement in self.statements:
                        talk.query(resource, statement)
                    talk.commit()
                    return True
                except (api("common").TrothError, TException, OSError, EOFError):
                    return False

        eventually(committed, f"{self.name} commits at last")
        eventually(self.stands, f"{self.name} stands")
        for resource in {resource for resource, _ in self.statements}:
            assert len(self.cluster.markers(resource, self.request_id)) == 1
        self.cluster.bank.check()


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    with cluster.client(name="talker") as made:
        yield made


@pytest.fixture(params=RESOURCES)
def resource(request) -> str:
    return request.param


# Attack 9: the driver must not go on with a new session, and nothing of the old one may be prepared.
@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_backend_that_is_killed_between_two_statements_ends_all(
    cluster: Cluster, client: Client, resource: str, after: int
) -> None:
    transfer = Transfer(cluster, resource, client)
    transfer.say(0, after)
    server, role = cluster.bank.vaults[resource].server, cluster.role(resource)
    mine = writing_backends(server, role)
    assert mine, "its session is seen to have written"
    end_backends(server, role, mine)
    if after == Transfer.STATEMENTS:
        transfer.expect_ended(transfer.talk.commit)
    elif transfer.statements[after][0] == resource:
        transfer.expect_ended(lambda: transfer.say(after, after + 1))
    else:
        # The other side's statements do not meet it; the commit does.
        transfer.say(after, Transfer.STATEMENTS)
        transfer.expect_ended(transfer.talk.commit)
    transfer.expect_nothing_left()
    transfer.insist()


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_an_agent_that_is_killed_between_two_calls_ends_all(
    cluster: Cluster, client: Client, resource: str, after: int
) -> None:
    transfer = Transfer(cluster, resource, client)
    transfer.say(0, after)
    cluster.agent.kill()
    cluster.agent.restart()
    cluster.wait_serving()
    with pytest.raises(api("common").TrothError) as caught:
        transfer.say(after, Transfer.STATEMENTS)
        transfer.talk.commit()
    assert caught.value.effect == api("common").Effect.NONE
    transfer.expect_nothing_left()
    transfer.insist()


@pytest.mark.parametrize("after", [0, 1, 3, 4])
def test_a_coordinator_that_is_killed_before_the_commit_ends_all(
    cluster: Cluster, client: Client, resource: str, after: int
) -> None:
    transfer = Transfer(cluster, resource, client)
    transfer.say(0, after)
    cluster.coordinator.kill()
    cluster.coordinator.restart()
    cluster.wait_serving()
    with cluster.client(name=client.name) as again:
        talk = Conversation.joined(again, transfer.talk.id)
        with pytest.raises(api("common").TrothError) as caught:
            talk.ask(resource, 3, "SELECT 1")
        assert caught.value.code == api("common").ErrorCode.UNKNOWN_TRANSACTION
        assert caught.value.effect == api("common").Effect.NONE
        with pytest.raises(api("common").TrothError) as caught:
            talk.commit()
        assert caught.value.effect == api("common").Effect.NONE
        assert talk.status().state == api("transactions").TransactionState.NOT_COMMITTED
        talk.rollback()
    # Its branches go when the new reign is heard, not only after their idle time.
    transfer.expect_nothing_left()
    transfer.insist()


# Attack 64: a coordinator that is lost after `commit` was called leaves "unknown", and asking again tells.
@pytest.mark.parametrize(
    ("point", "commits"),
    [
        ("coordinator.after_first_prepare_sent", False),
        ("coordinator.before_choose", False),
        ("coordinator.after_choose_durable", True),
        ("coordinator.after_first_commit_sent", True),
    ],
)
def test_a_coordinator_that_is_killed_in_the_commit_leaves_one_outcome(
    cluster: Cluster, resource: str, point: str, commits: bool
) -> None:
    # A commit of the test before, sent again at the start, would come to the point first.
    cluster.wait_ended()
    cluster.coordinator.arm(point)
    cluster.coordinator.restart()
    cluster.wait_serving()
    with cluster.client(name="talker") as client:
        transfer = Transfer(cluster, resource, client)
        transfer.say(0, Transfer.STATEMENTS)
        with pytest.raises((TException, OSError, EOFError)):
            transfer.talk.commit()
    assert cluster.coordinator.expect_exit(-9) == -9
    cluster.heal()
    with cluster.client(name=client.name) as asking:
        talk = Conversation.joined(asking, transfer.talk.id)
        if commits:
            assert talk.commit().already_committed
            eventually(transfer.stands, "it stands")
        else:
            with pytest.raises(api("common").TrothError) as caught:
                talk.commit()
            assert caught.value.effect == api("common").Effect.NONE
    cluster.bank.check()
    if not commits:
        transfer.expect_nothing_left()
    transfer.insist()


def _ask_through(cluster: Cluster, client: Client, resource: str, *rules: Rule) -> Transfer:
    transfer = Transfer(cluster, resource, client)
    transfer.say(0, Transfer.STATEMENTS)
    transfer.talk.commit()
    for rule in rules:
        rule.wait()
    cluster.proxy.heal()
    assert transfer.stands()
    return transfer


# Attack 9: what comes twice runs once.
@pytest.mark.parametrize("after_s", [0.0, 0.05])
@pytest.mark.parametrize("method", ["run_statement", "prepare", "commit_branch"])
def test_a_doubled_message_does_nothing_twice(
    cluster: Cluster, client: Client, resource: str, method: str, after_s: float
) -> None:
    transfer = _ask_through(cluster, client, resource, cluster.proxy.double(method, after_s=after_s))
    transfer.insist()


def test_a_statement_that_comes_after_the_end_does_nothing(
    cluster: Cluster, client: Client, resource: str
) -> None:
    """Attack 9: a late copy of the first statement, after the commit, and after the watermark has passed it."""
    transfer = _ask_through(cluster, client, resource)
    first, *_ = cluster.proxy.seen("run_statement")[-Transfer.STATEMENTS :]
    for _ in range(2):
        reply = cluster.proxy.replay(first)
        assert reply is not None
        cluster.bank.check_money()
    rolled_back = Transfer(cluster, resource, client)
    rolled_back.say(0, 2)
    rolled_back.talk.rollback()
    for late in cluster.proxy.seen("run_statement")[-2:]:
        cluster.proxy.replay(late)
    rolled_back.expect_nothing_left()


@pytest.mark.parametrize(
    ("cut", "kind"), [("cut_before", "call"), ("cut_after", "call"), ("cut_before", "reply")]
)
def test_a_lost_statement_ends_all(
    cluster: Cluster, client: Client, resource: str, cut: str, kind: str
) -> None:
    transfer = Transfer(cluster, resource, client, timeout_ms=3000)
    transfer.say(0, 1)
    lost = getattr(cluster.proxy, cut)("run_statement", kind=kind, times=1)
    transfer.expect_ended(lambda: transfer.say(1, 2))
    lost.wait()
    cluster.proxy.heal()
    transfer.expect_nothing_left()
    transfer.insist()


def test_a_silent_agent_ends_it_by_its_time(cluster: Cluster, client: Client, resource: str) -> None:
    transfer = Transfer(cluster, resource, client, timeout_ms=1500)
    transfer.say(0, 1)
    lost = cluster.proxy.drop("run_statement", times=1)
    transfer.expect_ended(lambda: transfer.say(1, 2))
    lost.wait()
    transfer.expect_nothing_left()


def test_statements_that_overtake_each_other_run_in_their_order(
    cluster: Cluster, client: Client, resource: str
) -> None:
    """The first is held on its way; another connection asks the second, and the first again."""
    transfer = Transfer(cluster, resource, client)
    held = cluster.proxy.hold("run_statement", times=1)
    with cluster.client(name=client.name) as impatient:
        client.send_query(
            api("transactions").QueryRequest(
                transaction_id=transfer.talk.id,
                client_name=client.name,
                resource=resource,
                number=1,
                statement=transfer.statements[0][1],
            )
        )
        held.wait()
        talk = Conversation.joined(impatient, transfer.talk.id)
        with pytest.raises(api("common").TrothError) as caught:
            talk.ask(resource, 2, transfer.statements[1][1])
        assert caught.value.code == api("common").ErrorCode.BUSY
        held.release()
        assert client.recv_query().result.affected_rows == 1
        assert talk.ask(resource, 1, transfer.statements[0][1]).result.affected_rows == 1
        assert talk.ask(resource, 2, transfer.statements[1][1]).result.affected_rows == 1
        for number, (beside, statement) in enumerate(transfer.statements[2:], start=1):
            talk.ask(beside, number, statement)
        talk.commit()
    assert transfer.stands()
    cluster.bank.check()


def test_a_client_that_vanishes_between_statements_leaves_nothing(cluster: Cluster, resource: str) -> None:
    vanishing = cluster.client(name="vanishing")
    transfer = Transfer(cluster, resource, vanishing, idle_timeout_ms=700)
    transfer.say(0, 3)
    vanishing.close()
    transfer.expect_nothing_left()


def test_a_database_server_that_is_killed_in_the_middle_ends_all(
    cluster: Cluster, client: Client, resource: str
) -> None:
    transfer = Transfer(cluster, resource, client)
    transfer.say(0, 3)
    server = cluster.bank.vaults[resource].server
    server.kill()
    server.restart()
    with pytest.raises(api("common").TrothError) as caught:
        transfer.say(3, Transfer.STATEMENTS)
        transfer.talk.commit()
    assert caught.value.effect == api("common").Effect.NONE
    cluster.heal()
    transfer.expect_nothing_left()
    transfer.insist()
