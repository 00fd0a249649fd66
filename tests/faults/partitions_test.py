"""A group of coordinators whose links fail, while transfers run: whole and one-way partitions, bridges, links that come and go.

What is sent over a link that was cut is lost, and nobody is told: connections stand, and say nothing any more.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest
from thrift.Thrift import TException

import harness
from harness import AGENT, NetworkedGroup, Workload, api, eventually, network, node_of

TrothError = api("common").TrothError
Code, Effect = api("common").ErrorCode, api("common").Effect

pytestmark = pytest.mark.skipif(network.why_not() is not None, reason=network.why_not() or "")


@pytest.fixture
def group(servers: dict[str, harness.Server], workspace) -> Iterator[NetworkedGroup]:
    with NetworkedGroup(workspace, servers) as started:
        yield started


def nodes(replicas) -> set[str]:
    return {node_of(each) for each in replicas}


def _settle(group: NetworkedGroup, work: Workload) -> None:
    group.network.heal()
    work.join()
    group.heal()
    work.check()
    group.bank.check(within_s=60)


def test_a_leader_cut_off_from_its_followers_but_not_from_agents_decides_nothing(group) -> None:
    """They go on without it; what it is still asked ends with an effect that is true."""
    leader, followers = group.leader(), set(group.followers())
    work = Workload(group)
    work.begin()
    time.sleep(0.05)
    since = time.monotonic()
    group.network.split({node_of(leader)}, nodes(followers))
    told: list[object] = []

    def ask_the_old_one() -> None:
        try:
            with group.client_of(leader, timeout_s=20) as client:
                told.append(
                    client.run(group.bank.transfer("old", "pg", 150, "my", 151, amount=1), timeout_ms=2000)
                )
        except (TException, OSError, EOFError) as refused:
            told.append(refused)

    asking = threading.Thread(target=ask_the_old_one, daemon=True)
    asking.start()
    took = group.first_commit(since, "cut", at=followers)
    print(f"the others' next commit came {took * 1000:.0f} ms after the cut")
    assert took < 10
    group.await_leader(other_than=leader, of=followers)
    asking.join(30)
    (answer,) = told
    print(f"the old leader said: {answer}")
    assert isinstance(answer, TrothError) and answer.code in (Code.UNAVAILABLE, Code.TIMEOUT), answer
    if answer.effect == Effect.NONE:
        assert answer.retryable
    # Asked what came of anything, it does not claim to know.
    with group.client_of(leader, timeout_s=20) as client, pytest.raises(TrothError) as refused:
        client.run(group.bank.transfer("old", "pg", 150, "my", 151, amount=1), timeout_ms=1000)
    assert (refused.value.code, refused.value.effect) == (Code.UNAVAILABLE, Effect.NONE)
    _settle(group, work)


@pytest.mark.parametrize("lost", ["what the leader says", "what the leader hears", "all of it"])
def test_a_leader_that_the_network_loses_is_replaced(group, lost: str) -> None:
    """Cut off from everybody, the agent too, or in one direction only."""
    leader, followers = group.leader(), set(group.followers())
    work = Workload(group)
    work.begin()
    time.sleep(0.05)
    since = time.monotonic()
    for other in {*nodes(followers), AGENT}:
        if lost != "what the leader hears":
            group.network.cut(node_of(leader), other)
        if lost != "what the leader says":
            group.network.cut(other, node_of(leader))
    took = group.first_commit(since, "lost", at=followers)
    print(f"{lost} is lost: the others' next commit came {took * 1000:.0f} ms later")
    assert took < 10
    group.await_leader(other_than=leader, of=followers)
    _settle(group, work)
    group.await_leader()


def test_a_link_between_two_followers_is_not_missed(group) -> None:
    _goes_on_under_one_leader(group, *group.followers(), hear_of_it=set(group.replicas))


def test_a_follower_that_only_the_other_one_reaches_deposes_nobody(group) -> None:
    """The bridge: it hears nothing of its leader, but the one that it could win does."""
    leader, (alone, between) = group.leader(), group.followers()
    _goes_on_under_one_leader(group, leader, alone, hear_of_it={leader, between})


def _goes_on_under_one_leader(group: NetworkedGroup, one: int, other: int, hear_of_it: set[int]) -> None:
    leader = group.leader()
    group.network.split({node_of(one)}, {node_of(other)})
    # Longer than several elections take.
    began = time.monotonic()
    longest = 0.0
    for turn in range(40):
        asked = time.monotonic()
        with group.client_of(leader, timeout_s=20) as client:
            client.run(group.bank.transfer(f"on-{turn}", "pg", 10, "my", 20, amount=1), timeout_ms=5000)
        longest = max(longest, time.monotonic() - asked)
        time.sleep(0.1)
    print(f"40 commits in {time.monotonic() - began:.1f} s, the longest took {longest * 1000:.0f} ms")
    assert longest < 2
    assert group.leader(of=hear_of_it) == leader
    group.network.heal()
    assert group.await_leader() == leader
    group.bank.check()


def test_a_leader_that_reaches_no_agent_comes_back_to_them(group) -> None:
    leader = group.leader()
    work = Workload(group)
    work.begin()
    time.sleep(0.05)
    group.network.split({node_of(leader)}, {AGENT})
    with group.client_of(leader, timeout_s=20) as client, pytest.raises(TrothError) as refused:
        client.run(group.bank.transfer("far", "pg", 150, "my", 151, amount=1), timeout_ms=2000)
    print(f"refused: {refused.value.code} {refused.value.effect} {refused.value.message}")
    assert refused.value.effect == Effect.NONE, "nobody can have prepared and committed"
    _settle(group, work)


def test_links_that_come_and_go_lose_nothing(group) -> None:
    """Every quarter of a second another partition, also one-way ones, also around the agent; printed: the seed."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    everybody = [*nodes(group.replicas), AGENT]
    for round_ in range(3):
        work = Workload(group, number=round_)
        work.begin()
        for _ in range(8):
            some = {each for each in everybody if chance.random() < 0.5}
            for one in some:
                for other in set(everybody) - some:
                    if chance.random() < 0.8:
                        group.network.cut(one, other)
                    if chance.random() < 0.8:
                        group.network.cut(other, one)
            time.sleep(0.25)
            if chance.random() < 0.7:
                group.network.heal()
        _settle(group, work)
    eventually(lambda: group.leader() is not None, "one leads")


def test_five_go_on_without_two_that_are_cut_off(servers, workspace) -> None:
    with NetworkedGroup(workspace, servers, replicas=5) as group:
        leader = group.leader()
        others = group.followers()
        few, many = {leader, others[0]}, set(others[1:])
        work = Workload(group)
        work.begin()
        time.sleep(0.05)
        since = time.monotonic()
        group.network.split(nodes(few), nodes(many))
        took = group.first_commit(since, "five", at=many)
        print(f"the three's next commit came {took * 1000:.0f} ms after the cut")
        assert took < 10
        group.await_leader(other_than=leader, of=many)
        _settle(group, work)
        assert group.await_leader() in many
