"""A group of coordinators one of whose disks is full, fails, is lost or is an older one; and those that take its place."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness
from harness import Group, Workload, eventually, programs_directory


@pytest.fixture
def group(servers: dict[str, harness.Server], workspace) -> Iterator[Group]:
    with Group(workspace, servers) as started:
        yield started


def _settle(group: Group, work: Workload) -> None:
    work.join()
    group.heal()
    work.check()
    group.bank.check(within_s=60)


def _choose(group: Group, role: str) -> int:
    return group.leader() if role == "leader" else group.followers()[0]


def _standing(group: Group, number: int) -> str:
    with group.administration(number) as asked:
        return asked.group_status().standing


def _all_vote(group: Group, voters: list[int]) -> bool:
    standings = {number: _standing(group, number) for number in voters}
    assert set(standings.values()) == {"votes"}, standings
    return True


def _data_of(group: Group, number: int) -> Path:
    return Path(group.replicas[number].settings["data_directory"])


@pytest.mark.parametrize("role", ["leader", "follower"])
@pytest.mark.parametrize(
    ("how", "says"), [("full", "the disk or the quota is full"), ("failing-sync", "cannot sync")]
)
def test_a_disk_that_fails_stops_one_replica(servers, workspace, role: str, how: str, says: str) -> None:
    """It says what is wrong and ends; the others go on. With its disk mended it comes back, and votes."""
    with Group(workspace, servers) as group:
        victim = _choose(group, role)
        control = workspace / "bad-disk"
        control.touch()
        replica = group.replicas[victim]
        replica.stop(within_s=15)
        replica.environment |= {
            "LD_PRELOAD": str(programs_directory() / "libbad_disk.so"),
            "TROTH_BAD_DISK": str(control),
        }
        replica.start()
        group.await_leader()
        if role == "leader":
            group.transfer(victim)
        group.wait_serving()
        work = Workload(group)
        work.begin()
        time.sleep(0.05)
        control.write_text(how, encoding="ascii")
        since = time.monotonic()
        others = set(group.replicas) - {victim}
        took = group.first_commit(since, "bad-disk", at=others)
        print(f"the disk of the {role} is bad ({how}): the next commit came {took * 1000:.0f} ms later")
        assert took < 10
        code = replica.expect_exit(None)
        assert code > 0, f"ended with {code}: {replica.tail()}"
        assert says in replica.tail(), replica.tail()
        control.write_text("", encoding="ascii")
        _settle(group, work)
        eventually(lambda: _standing(group, victim) == "votes", "it votes again")


@pytest.mark.parametrize("role", ["leader", "follower"])
@pytest.mark.parametrize("how", ["wiped", "set back"])
def test_a_disk_that_forgot_does_not_vote_until_another_takes_its_place(
    group: Group, role: str, how: str
) -> None:
    """Its replica could contradict what it said. The group goes on; a new number replaces it, under load."""
    victim = _choose(group, role)
    rest = sorted(set(group.replicas) - {victim})
    data = _data_of(group, victim)
    copy = data.with_name("older")
    if how == "set back":
        group.replicas[victim].stop(within_s=15)
        shutil.copytree(data, copy)
        group.replicas[victim].start()
        group.await_leader()
    first = Workload(group)
    first.begin()
    time.sleep(0.2)
    group.replicas[victim].kill()
    shutil.rmtree(data)
    if how == "wiped":
        group.replicas[victim].join(group.cluster_id)
    else:
        copy.rename(data)
    group.replicas[victim].start()
    group.await_leader()
    _settle(group, first)
    eventually(
        lambda: _standing(group, victim) == "set back", f"it does not vote: {_standing(group, victim)}"
    )

    # Of no use for a majority.
    group.replicas[rest[0]].kill()
    eventually(lambda: group.leader() is None, "one that votes is no majority")
    group.replicas[rest[0]].start()
    group.await_leader()

    group.list_another(4).join(group.cluster_id)
    group.restart_in_turn()
    group.replicas[4].start()
    second = Workload(group, number=1)
    second.begin()
    group.replace(victim, by=4)
    group.replicas[victim].stop()
    took = group.first_commit(time.monotonic(), "replaced", at={4})
    print(f"replica {victim} is replaced; a commit at its successor took {took * 1000:.0f} ms")
    del group.replicas[victim]
    _settle(group, second)
    # It counts.
    group.replicas[rest[0]].kill()
    group.first_commit(time.monotonic(), "counts", at={rest[1], 4})
    group.bank.check()


def test_one_that_began_the_group_alone_is_found_out_too(servers, workspace) -> None:
    """An image of before the group grew says that it has nobody to ask; and a new directory would begin it anew."""
    with Group(workspace, servers, replicas=1) as group:
        first = group.replicas[1]
        first.stop(within_s=15)
        data = _data_of(group, 1)
        older = data.with_name("older")
        shutil.copytree(data, older)
        first.start()
        _grow(group, [2, 3])
        work = Workload(group)
        work.begin()
        time.sleep(0.2)
        first.kill()
        shutil.rmtree(data)
        older.rename(data)
        first.start()
        eventually(lambda: _standing(group, 1) == "set back", "it does not vote")
        group.await_leader(other_than=1)
        _settle(group, work)

        first.kill()
        shutil.rmtree(data)
        first.join(group.cluster_id)
        first.launch()
        assert first.expect_exit(None) > 0
        assert "was made to join a cluster that there is" in first.tail()
        del group.replicas[1]
        group.bank.check()


def _grow(group: Group, new: list[int]) -> None:
    for number in new:
        group.list_another(number).join(group.cluster_id)
    # Those that run read their files anew; a group of one pauses for it.
    group.restart_in_turn()
    for number in new:
        group.replicas[number].start()
    for number in new:
        voters = sorted(group.voters)
        group.change(voters, [number])
        assert group.change([*voters, number]).voters == [*voters, number]


def test_a_dead_replica_is_replaced(group: Group) -> None:
    """Killed for good, the leader: the two that are left take another one in."""
    victim = group.leader()
    group.replicas[victim].kill()
    group.await_leader(other_than=victim)
    del group.replicas[victim]
    group.list_another(4).join(group.cluster_id)
    group.restart_in_turn()
    group.replicas[4].start()
    work = Workload(group)
    work.begin()
    group.replace(victim, by=4)
    _settle(group, work)
    group.replicas[group.leader()].kill()
    group.first_commit(time.monotonic(), "two-of-three")
    group.bank.check()


def test_one_grows_to_three_and_to_five_under_load(servers, workspace) -> None:
    with Group(workspace, servers, replicas=1) as group:
        for voters in ([1, 2, 3], [1, 2, 3, 4, 5]):
            new = [number for number in voters if number not in group.replicas]
            work = Workload(group, number=len(voters))
            work.begin()
            _grow(group, new)
            _settle(group, work)
            eventually(lambda: _all_vote(group, voters), "all vote")
        # Two of five may go.
        for number in (group.leader(), group.followers()[0]):
            group.replicas[number].kill()
        took = group.first_commit(time.monotonic(), "three-of-five")
        print(f"two of five killed: the next commit came {took * 1000:.0f} ms later")
        group.bank.check()
