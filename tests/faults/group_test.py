"""A group of coordinators loses its leader, by every kind of loss, while transfers run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from thrift.Thrift import TException

import harness
from harness import Group, Workload, api, eventually, new_request_id

TrothError = api("common").TrothError
Code, Effect = api("common").ErrorCode, api("common").Effect


@pytest.fixture
def group(servers: dict[str, harness.Server], workspace) -> Iterator[Group]:
    with Group(workspace, servers) as started:
        yield started


def _settle(group: Group, work: Workload) -> None:
    work.join()
    group.heal()
    work.check()
    group.bank.check(within_s=60)


class _Tellers(threading.Thread):
    """Transfers without end, each by a request_id of its own, at any coordinator; what was told is kept."""

    def __init__(self, group: Group, count: int = 4) -> None:
        super().__init__(daemon=True)
        self.enough = threading.Event()
        self.failures: list[str] = []
        self.committed: list[float] = []  # when
        self._group, self._count = group, count

    def run(self) -> None:
        threads = [threading.Thread(target=self._serve, args=(n,), daemon=True) for n in range(self._count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def __enter__(self) -> _Tellers:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        self.join(60)
        assert not self.is_alive()

    def longest_pause(self) -> float:
        """Seconds between two commits, of whichever tellers."""
        return max(later - earlier for earlier, later in zip(self.committed, self.committed[1:]))

    def _serve(self, number: int) -> None:
        names = list(self._group.bank.vaults)
        turn = 0
        while not self.enough.is_set():
            turn += 1
            transfer = f"teller-{number}-{turn}-{id(self)}"
            work = self._group.bank.transfer(transfer, names[0], 10 + number, names[1], 20 + number, amount=1)
            request = new_request_id()
            told = self._ask(work, request)
            if told is None:
                self.committed.append(time.monotonic())
            else:
                self.failures.append(f"{transfer}: {told}")

    def _ask(self, work: list, request: str) -> list[str] | None:
        """Nothing, or why it did not commit, attempt by attempt."""
        refusals: list[str] = []
        while len(refusals) < 6:
            try:
                with self._group.client(timeout_s=20) as client:
                    client.run(work, request_id=request, timeout_ms=5000)
                return None
            except TrothError as refused:
                refusals.append(f"{refused.code} {refused.effect}: {refused.message}")
                if refused.code != Code.UNAVAILABLE or not refused.retryable:
                    break
            except (TException, OSError, EOFError) as gone:
                refusals.append(repr(gone))
            # Its coordinator stops, or is gone: the same request goes to another one.
            time.sleep(0.02)
        return refusals


@pytest.mark.parametrize(("lose", "give_back"), [("kill", "start"), ("pause", "resume")])
def test_a_lost_leader_costs_a_moment(group: Group, lose: str, give_back: str) -> None:
    """Killed, or silent for longer than its lease: another one leads, and the first comes back as a follower."""
    for round_ in range(4):
        leader = group.await_leader()
        work = Workload(group, number=round_)
        work.begin()
        time.sleep(0.05)
        getattr(group.replicas[leader], lose)()
        took = group.first_commit(time.monotonic(), f"after-{lose}-{round_}")
        print(f"{lose} of replica {leader}: the next commit came {took * 1000:.0f} ms later")
        assert took < 10
        group.await_leader(other_than=leader)
        getattr(group.replicas[leader], give_back)()
        _settle(group, work)


def test_a_rolling_restart_refuses_nobody(group: Group) -> None:
    """SIGTERM to each in turn, the leader last: it finishes what runs, hands over, and ends with 0. What begins meanwhile
    waits for the next leader."""
    with _Tellers(group) as tellers:
        eventually(lambda: len(tellers.committed) > 20, "transfers run")
        for number in [*group.followers(), group.leader()]:
            group.replicas[number].stop(within_s=15)
            group.replicas[number].start()
            group.await_leader()
            enough = len(tellers.committed) + 20
            eventually(lambda: len(tellers.committed) > enough, "transfers go on")
    print(f"{len(tellers.committed)} commits, the longest pause {tellers.longest_pause() * 1000:.0f} ms")
    assert tellers.failures == []
    assert tellers.longest_pause() < 5
    group.bank.check()


def test_an_open_conversation_does_not_hold_up_a_restart(group: Group) -> None:
    leader = group.leader()
    with group.client_of(leader) as client:
        talk = harness.Conversation(client)
        talk.query("pg", "SELECT 1")
        with _Tellers(group, count=1) as tellers:
            eventually(lambda: len(tellers.committed) > 3, "transfers run")
            group.replicas[leader].terminate()
            group.await_leader(other_than=leader)
            eventually(lambda: time.monotonic() - tellers.committed[-1] < 0.2, "transfers go on")
    assert tellers.longest_pause() < 4, "the calls that begin are refused when their patience is over"
    group.replicas[leader].expect_exit(0)
    group.bank.check()


def test_a_whole_group_stops_and_starts(group: Group) -> None:
    for number in group.replicas:
        group.replicas[number].terminate()
    for number in group.replicas:
        group.replicas[number].expect_exit(0, within_s=10)
    for number in group.replicas:
        group.replicas[number].launch()
    for number in group.replicas:
        group.replicas[number].wait_ready()
    group.await_leader()
    group.wait_serving()
    with group.client() as client:
        client.run(group.bank.transfer("again", "pg", 1, "my", 1, amount=1))
    group.bank.check()


def test_without_a_majority_nothing_commits_and_nothing_is_lost(group: Group) -> None:
    leader = group.leader()
    work = Workload(group)
    work.begin()
    time.sleep(0.05)
    for number in group.followers():
        group.replicas[number].kill()
    with group.client_of(leader, timeout_s=20) as client:
        asked = time.monotonic()
        with pytest.raises(TrothError) as refused:
            # The first may still find the leader in its office: then its fate is unknown.
            client.run(group.bank.transfer("alone", "pg", 1, "my", 1, amount=1), timeout_ms=2000)
            raise AssertionError("a minority committed")
        print(f"refused after {time.monotonic() - asked:.1f} s: {refused.value.message}")
        eventually(lambda: group.leader() is None, "it leads no longer")
        with pytest.raises(TrothError) as waited:
            client.run(group.bank.transfer("alone", "pg", 1, "my", 1, amount=1), timeout_ms=2000)
        assert (waited.value.code, waited.value.effect) == (Code.UNAVAILABLE, Effect.NONE)
        assert waited.value.retryable
    _settle(group, work)
