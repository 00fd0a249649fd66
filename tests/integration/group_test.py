"""A group of three coordinators at rest: every one of them takes every call."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

import harness
from harness import Group, api, eventually, new_request_id
from harness.group import METRICS
from harness.monitoring import scrape

TrothError = api("common").TrothError
Code, Effect = api("common").ErrorCode, api("common").Effect
State = api("transactions").TransactionState
Consistency = api("transactions").Consistency
_READS = (Consistency.QUORUM, Consistency.SESSION, Consistency.EVENTUAL)


@pytest.fixture(scope="module")
def group(fleet: harness.Fleet, tmp_path_factory) -> Iterator[Group]:
    servers = {server.kind: server for server in fleet.servers}
    with Group(tmp_path_factory.mktemp("group"), servers) as started:
        yield started
        started.bank.check()


def _status(client, **fields):
    return client.status(api("transactions").StatusRequest(client_name="harness", bar_resources=[], **fields))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_coordinator_takes_every_call(group: Group, number: int) -> None:
    request = new_request_id()
    with group.client_of(number) as client:
        work = group.bank.transfer(f"every-{number}", "pg", 1, "my", 2, amount=1)
        done = client.run(work, request_id=request)
        assert not done.already_committed
        assert client.run(work, request_id=request).transaction_id == done.transaction_id
        status = _status(client, transaction_id=done.transaction_id)
        assert status.state == State.COMMITTED
        with pytest.raises(TrothError) as refused:
            client.run([harness.branch("nobody", "SELECT 1")])
        assert (refused.value.code, refused.value.effect) == (Code.UNKNOWN_RESOURCE, Effect.NONE)
    assert set(group.bank.stands_in(f"every-{number}")) == {"pg", "my"}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_interactive_work_goes_through_any_coordinator(group: Group, number: int) -> None:
    with group.client_of(number) as client:
        talk = harness.Conversation(client)
        talk.query("pg", "SELECT balance FROM account WHERE id = 5")
        talk.query("my", "SELECT balance FROM account WHERE id = 5")
        talk.rollback()


def test_a_commit_is_known_to_its_session_at_every_coordinator(group: Group) -> None:
    with group.client_of(group.leader()) as client:
        for turn in range(20):
            request = new_request_id()
            done = client.run(
                group.bank.transfer(f"session-{turn}", "pg", 3, "ma", 4, amount=1), request_id=request
            )
            assert done.session_token
            for number in group.replicas:
                with group.client_of(number) as elsewhere:
                    for subject in ({"transaction_id": done.transaction_id}, {"request_id": request}):
                        found = _status(
                            elsewhere,
                            consistency=Consistency.SESSION,
                            session_token=done.session_token,
                            **subject,
                        )
                        assert found.state == State.COMMITTED, (number, subject, found)
                        assert found.transaction_id == done.transaction_id


def test_a_quorum_read_sees_every_commit_and_an_eventual_one_sooner_or_later(group: Group) -> None:
    with group.client_of(group.leader()) as client:
        done = client.run(group.bank.transfer("quorum", "ma", 3, "my", 4, amount=1))
    for number in group.replicas:
        with group.client_of(number) as elsewhere:
            found = _status(
                elsewhere,
                transaction_id=done.transaction_id,
                consistency=Consistency.QUORUM,
                timeout_ms=10_000,
            )
            assert found.state == State.COMMITTED, (number, found)
            eventually(
                lambda: _status(
                    elsewhere, transaction_id=done.transaction_id, consistency=Consistency.EVENTUAL
                ).state
                == State.COMMITTED,
                "it has come to everybody",
            )


@pytest.mark.parametrize("consistency", _READS)
def test_what_runs_and_what_was_never_begun_is_told_apart_from_what_failed(group: Group, consistency) -> None:
    token = {"session_token": "0.1"} if consistency == Consistency.SESSION else {}
    with group.client_of(group.followers()[0]) as follower:
        found = _status(follower, request_id=new_request_id(), consistency=consistency, **token)
        assert found.state == State.UNKNOWN


def test_a_session_that_nobody_had_is_refused(group: Group) -> None:
    with group.client_of(group.followers()[0]) as follower:
        for wrong in ("", "nonsense", "1", "1.x", "0.1.2"):
            with pytest.raises(TrothError) as refused:
                _status(
                    follower,
                    request_id=new_request_id(),
                    consistency=Consistency.SESSION,
                    session_token=wrong,
                )
            assert refused.value.code == Code.INVALID_ARGUMENT
        with pytest.raises(TrothError) as late:
            _status(
                follower,
                request_id=new_request_id(),
                consistency=Consistency.SESSION,
                session_token="0.99999999",
                timeout_ms=100,
            )
        assert (late.value.code, late.value.effect) == (Code.UNAVAILABLE, Effect.NONE)


def test_only_the_leader_can_bar(group: Group) -> None:
    with group.client_of(group.followers()[0]) as follower:
        request = new_request_id()
        with pytest.raises(TrothError) as refused:
            _status(follower, request_id=request, bar=True, consistency=Consistency.EVENTUAL)
        assert refused.value.code == Code.INVALID_ARGUMENT
        assert _status(follower, request_id=request, bar=True).state == State.NOT_COMMITTED
        with pytest.raises(TrothError) as barred:
            follower.run(group.bank.transfer("barred", "pg", 1, "my", 1, amount=1), request_id=request)
        assert barred.value.code == Code.BARRED


def test_clients_learn_who_leads(group: Group) -> None:
    leaders = {view.leader for view in group.views().values()}
    assert len(group.views()) == 3
    assert leaders == {group.leader()}


def test_a_group_shows_itself(group: Group) -> None:
    leader = group.leader()
    for number, coordinator in group.replicas.items():
        page = scrape(coordinator)
        assert METRICS <= set(page.types)
        assert page.value("troth_coordinator_leads") == (number == leader)
        assert page.value("troth_coordinator_serves") == (number == leader)
        assert page.value("troth_coordinator_leader") == leader
        for other in set(group.replicas) - {number}:
            assert page.value("troth_coordinator_replica_reached", replica=str(other)) == 1


# ---- what operators do


def _change(voters: list[int], learners: list[int] | None = None, **fields):
    return api("administration").ChangeGroupRequest(
        voters=voters,
        learners=learners or [],
        **{
            "write_quorum": 0,
            "elect_quorum": 0,
            "read_quorum": 0,
            "reason": "a test",
            "operator_name": "alice",
        }
        | fields,
    )


def test_each_coordinator_says_how_the_group_stands(group: Group) -> None:
    leader = group.leader()
    for number in group.replicas:
        with group.administration(number) as asked:
            status = asked.group_status()
        assert status.cluster == group.cluster_id
        assert (status.replica, status.leader) == (number, leader)
        assert status.state == ("leads" if number == leader else "follows")
        assert status.standing == "votes"
        assert status.voters == [1, 2, 3]
        assert (status.write_quorum, status.elect_quorum, status.read_quorum) == (2, 2, 2)
        assert {peer.replica for peer in status.others if peer.reached} == {1, 2, 3} - {number}
        assert status.began == "replicas 1, 2, 3: write 2, elect 2, read 2, lease 150 ms"


def test_the_lead_is_handed_over_without_an_aborted_decision(group: Group) -> None:
    for _ in range(4):
        leader, successor = group.leader(), group.followers()[0]
        with group.administration(group.followers()[1]) as asked:
            status = asked.transfer_lead(
                api("administration").TransferLeadRequest(
                    to=successor, reason="a test", operator_name="alice"
                )
            )
        assert status.leader == successor
        assert group.await_leader(other_than=leader) == successor
        group.wait_serving()  # it calls its agents first: for a few milliseconds work is refused, effect none
        with group.client_of(leader) as client:
            client.run(group.bank.transfer(new_request_id(), "pg", 1, "my", 2, amount=1))
    assert "transfer-lead-done" in "".join(
        (coordinator.directory / "data" / "audit.log").read_text(encoding="utf-8")
        for coordinator in group.coordinators
        if (coordinator.directory / "data" / "audit.log").exists()
    )


def test_a_replica_is_removed_and_added_again(group: Group) -> None:
    leader = group.leader()
    removed = group.followers()[0]
    rest = [number for number in group.replicas if number != removed]
    with group.administration(leader) as asked:
        assert asked.change_group(_change(rest)).voters == rest
        with group.administration(removed) as outside:
            eventually(lambda: outside.group_status().standing == "is no member", "it hears of it")
        assert asked.change_group(_change(rest, [removed])).learners == [removed]
        with group.client_of(removed) as client:
            client.run(group.bank.transfer(new_request_id(), "pg", 1, "my", 2, amount=1))
        status = asked.change_group(_change([1, 2, 3]))
        assert (status.voters, status.learners, status.settled) == ([1, 2, 3], [], True)


def _kill_and_miss(group: Group, number: int, leader) -> None:
    """Its last answer counts for two heartbeats, at most."""
    group.replicas[number].kill()
    eventually(lambda: not all(peer.reached for peer in leader.group_status().others), "it is missed")
    time.sleep(0.2)


def test_nobody_votes_who_cannot(group: Group) -> None:
    """One that does not answer, or is no learner yet, or would be missing for a quorum."""
    leader, (one, other) = group.leader(), group.followers()
    with group.administration(leader) as asked:
        asked.change_group(_change([leader, one]))
        with pytest.raises(TrothError) as refused:
            asked.change_group(_change([1, 2, 3]))
        assert (refused.value.code, refused.value.effect) == (Code.INVALID_ARGUMENT, Effect.NONE)
        assert "as a learner" in refused.value.message
        asked.change_group(_change([leader, one], [other]))
        _kill_and_miss(group, other, asked)
        with pytest.raises(TrothError) as refused:
            asked.change_group(_change([1, 2, 3]))
        assert (refused.value.code, refused.value.effect) == (Code.UNAVAILABLE, Effect.NONE)
        assert f"replica {other} does not answer" in refused.value.message
        group.replicas[other].start()
        asked.change_group(_change([1, 2, 3]))
        # Of three that vote one is gone, and just that one would be half of the next group.
        _kill_and_miss(group, other, asked)
        with pytest.raises(TrothError) as refused:
            asked.change_group(_change([leader, other]))
        assert (refused.value.code, refused.value.effect) == (Code.UNAVAILABLE, Effect.NONE)
        assert "only 1 of the 2" in refused.value.message
        assert asked.group_status().voters == [1, 2, 3]
        group.replicas[other].start()


def test_a_change_from_what_the_group_is_no_more_is_refused(group: Group) -> None:
    """Two operators who look at the same moment do not undo each other."""
    with group.administration(group.leader()) as asked:
        for stale in ({"from_voters": [1, 2]}, {"from_voters": [1, 2, 3], "from_learners": [4]}):
            with pytest.raises(TrothError) as refused:
                asked.change_group(_change([1, 2], **stale))
            assert (refused.value.code, refused.value.effect) == (Code.BUSY, Effect.NONE)
            assert "voters 1, 2, 3; learners ;" in refused.value.message
            assert asked.group_status().voters == [1, 2, 3]
        same = asked.change_group(_change([1, 2, 3], from_voters=[3, 2, 1], from_learners=[]))
        assert same.voters == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "code", "why"),
    [
        (_change([1]), Code.INVALID_ARGUMENT, "must be above"),
        (_change([1, 2, 3], write_quorum=1), Code.INVALID_ARGUMENT, "must be above"),
        (_change([1, 2, 3, 9]), Code.INVALID_ARGUMENT, "does not name replica 9"),
        (_change([]), Code.INVALID_ARGUMENT, ""),
        (_change([1, 2], reason=""), Code.INVALID_ARGUMENT, "reason"),
    ],
)
def test_a_change_that_cannot_be_is_refused(group: Group, change, code, why: str) -> None:
    with group.administration(group.leader()) as asked:
        with pytest.raises(TrothError) as refused:
            asked.change_group(change)
        assert (refused.value.code, refused.value.effect) == (code, Effect.NONE), refused.value.message
        assert why in refused.value.message
        assert asked.group_status().voters == [1, 2, 3]
