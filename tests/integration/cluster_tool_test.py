"""`troth cluster`: what an operator sees of a group of coordinators, and does to it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

import harness
from harness import Group, api, eventually, new_request_id, programs_directory


@pytest.fixture
def group(servers: dict[str, harness.Server], workspace) -> Iterator[Group]:
    with Group(workspace, servers) as started:
        yield started
        started.bank.check()


def _cluster(group: Group, *words: str, exit_code: int = 0, at: list[int] | None = None) -> str:
    """`troth cluster ...` at any of these; what it printed."""
    addresses = [f"127.0.0.1:{group.port_of(n)}" for n in at or group.replicas]
    done = subprocess.run(
        [programs_directory() / "troth", "--coordinator", ",".join(addresses), "--operator", "alice", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    print("$ troth", *words, f"[exit {done.returncode}]\n{done.stdout}{done.stderr}")
    assert done.returncode == exit_code, f"exit {done.returncode}, expected {exit_code}"
    return done.stdout if exit_code == 0 else done.stdout + done.stderr


def _look(group: Group, exit_code: int = 0, **options) -> dict:
    return json.loads(_cluster(group, "--json", "cluster", "status", exit_code=exit_code, **options))


def _transfer(group: Group) -> None:
    with group.client() as client:
        client.run(group.bank.transfer(new_request_id(), "pg", 1, "my", 2, amount=1), timeout_ms=5000)


REASON = ("--reason", "a test")


def test_a_group_is_shown(group: Group) -> None:
    leader = group.leader()
    group.wait_serving()
    seen = _look(group)
    assert (seen["cluster"], seen["leader"], seen["well"]) == (group.cluster_id, leader, True)
    assert (seen["voters"], seen["learners"], seen["settled"]) == ([1, 2, 3], [], True)
    assert [(each["replica"], each["role"], each["standing"]) for each in seen["replicas"]] == [
        (number, "voter", "votes") for number in (1, 2, 3)
    ]
    assert [each["replica"] for each in seen["replicas"] if each["state"] == "leads"] == [leader]
    text = _cluster(group, "cluster", "status")
    assert f"group {group.cluster_id}: replica {leader} leads" in text
    assert "3 votes of [1, 2, 3]: write 2, elect 2, read 2; lease 150 ms" in text


def test_who_does_not_answer_is_named_and_nobody_claims_to_lead(group: Group) -> None:
    gone = group.followers()[0]
    group.replicas[gone].kill()
    text = _cluster(group, "cluster", "status", exit_code=5)
    assert "does not answer" in text
    assert f"replica {gone}: " in text
    last = next(number for number in group.replicas if number != gone)
    for number in group.replicas:
        if number != last:
            group.replicas[number].kill()
    eventually(lambda: _look(group, exit_code=5)["leader"] is None, "it does not lead any more")
    group.replicas[last].kill()
    told = _cluster(group, "cluster", "status", exit_code=4)
    assert "none of the coordinators answers" in told
    for replica in group.replicas.values():
        replica.launch()
    for replica in group.replicas.values():
        replica.wait_ready()
    group.await_leader()
    group.wait_serving()


def test_it_is_watched(group: Group) -> None:
    lines = _cluster(
        group, "--json", "cluster", "status", "--watch", "--count", "3", "--interval-ms", "100"
    ).splitlines()
    assert [json.loads(line)["voters"] for line in lines] == [[1, 2, 3]] * 3
    text = _cluster(group, "cluster", "status", "--watch", "--count", "2", "--interval-ms", "100")
    assert text.count(f"group {group.cluster_id}") == 2
    assert "\033" not in text, "it is no terminal"
    # Until it is interrupted.
    address = f"127.0.0.1:{group.port_of(1)}"
    command = [programs_directory() / "troth", "--coordinator", address, "cluster", "status", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout.readline().endswith("UTC\n")
        watching.terminate()
        assert watching.wait(10) == 0
    # Or until nobody reads it.
    with subprocess.Popen([*command, "--interval-ms", "100"], stdout=subprocess.PIPE, text=True) as watching:
        watching.stdout.readline()
        watching.stdout.close()
        assert watching.wait(10) == 0


def test_the_lead_is_transferred(group: Group) -> None:
    successor = group.followers()[0]
    assert _cluster(group, "cluster", "transfer", str(successor), *REASON) == f"replica {successor} leads\n"
    assert group.await_leader() == successor
    told = _cluster(group, "cluster", "transfer", "7", *REASON, exit_code=1)
    assert "replica 7 does not vote, so it cannot lead" in told
    group.wait_serving()
    _transfer(group)


def test_one_is_added_and_another_removed(group: Group) -> None:
    group.list_another(4).join(group.cluster_id)
    group.restart_in_turn()
    # It is not there yet: the command waits, says why, and gives up in time.
    told = _cluster(group, "cluster", "add", "4", "--timeout", "1", *REASON, exit_code=3, at=[1, 2, 3])
    assert "replica 4 learns what is chosen" in told
    assert "replica 4 does not answer the leader" in told
    assert "The same command goes on from there" in told
    group.replicas[4].start()
    done = json.loads(_cluster(group, "--json", "cluster", "add", "4", *REASON))
    assert done["steps"] == ["replica 4 votes"]
    assert done["group"]["voters"] == [1, 2, 3, 4]
    assert "already; nothing was changed" in _cluster(group, "cluster", "add", "4", *REASON)
    _cluster(group, "cluster", "remove", "2", *REASON)
    assert _look(group)["voters"] == [1, 3, 4]
    assert "already" in _cluster(group, "cluster", "remove", "2", *REASON)
    group.voters = {1, 3, 4}
    _transfer(group)


def test_a_dead_one_is_replaced(group: Group) -> None:
    dead = group.leader()
    group.replicas[dead].kill()
    group.await_leader(other_than=dead)
    group.list_another(4).join(group.cluster_id)
    rest = [number for number in (1, 2, 3) if number != dead]
    group.restart_in_turn()
    group.replicas[4].start()
    done = _cluster(group, "cluster", "replace", str(dead), "4", *REASON)
    assert f"replica 4 votes in the place of replica {dead}" in done
    group.voters = {*rest, 4}
    assert _look(group)["voters"] == [*rest, 4]
    told = _cluster(group, "cluster", "replace", "9", "8", *REASON, exit_code=1)
    assert "replica 9 does not vote" in told
    group.wait_serving()
    _transfer(group)
    del group.replicas[dead]


def test_changes_that_cannot_be_are_refused(group: Group) -> None:
    told = _cluster(group, "cluster", "add", "9", *REASON, exit_code=1)
    assert "does not name replica 9" in told
    assert "--reason" in _cluster(group, "cluster", "add", "4", exit_code=2)


# ---- from one that was alone


def _configuration(group: Group, number: int) -> list[str]:
    return ["--config", str(group.replicas[number].configuration)]


class _Alone:
    """A cluster whose coordinator is alone, and what became of it."""

    def __init__(self, group: Group) -> None:
        self.group = group
        replica = group.replicas[1]
        self.as_replica = dict(replica.settings)
        for key in ("group", "replicas"):
            del replica.settings[key]
        group.cluster_id = replica.init("bank")
        replica.start()

    def becomes_a_replica(self, **changes) -> None:
        replica = self.group.replicas[1]
        replica.stop(within_s=15)
        replica.settings = {**self.as_replica, **changes}
        replica.configure()


class _FromLocal(Group):
    def start_coordinators(self) -> None:
        self.alone = _Alone(self)


def test_one_that_was_alone_grows_to_three_and_to_five(servers, workspace) -> None:
    """Without losing a decision: neither one that has ended, nor one that has not."""
    with _FromLocal(workspace, servers, replicas=1) as group:
        with group.client() as client:
            ended = client.run(group.bank.transfer("ended", "pg", 1, "my", 2, amount=5)).transaction_id
            lost = group.proxy.drop("commit_branch")
            request = new_request_id()
            opened = client.run(
                group.bank.transfer("open", "pg", 3, "my", 4, amount=7),
                request_id=request,
                acknowledgement=api("transactions").Acknowledgement.DECIDED,
            ).transaction_id
            lost.wait()
        told = _cluster(group, "cluster", "init", *_configuration(group, 1), "--from-local", exit_code=1)
        assert "has no [group]" in told
        group.alone.becomes_a_replica()
        printed = _cluster(group, "cluster", "init", *_configuration(group, 1), "--from-local")
        assert f"cluster {group.cluster_id}, replica 1 in " in printed
        told = _cluster(group, "cluster", "init", *_configuration(group, 1), "--from-local", exit_code=1)
        assert "belongs to a group already" in told
        group.replicas[1].start()
        group.proxy.heal()
        group.await_leader()
        group.wait_serving()
        for new in ([2, 3], [4, 5]):
            for number in new:
                added = group.list_another(number)
                added.configure()
                cluster = ("--cluster", group.cluster_id)
                _cluster(group, "cluster", "init", *_configuration(group, number), *cluster)
            group.restart_in_turn()
            for number in new:
                group.replicas[number].start()
            for number in new:
                _cluster(group, "cluster", "add", str(number), *REASON)
                group.voters.add(number)
            _transfer(group)
        assert _look(group)["voters"] == [1, 2, 3, 4, 5]
        group.replicas[1].kill()
        group.await_leader(other_than=1)
        for transaction in (ended, opened):
            for number in (2, 3, 4, 5):
                assert "committed" in _cluster(group, "status", transaction, at=[number])
        assert opened in _cluster(
            group, "status", "--request-id", request, "--client-name", "harness", at=[5]
        )
        group.wait_ended()
        group.bank.check()


def test_a_coordinator_that_runs_or_that_would_not_begin_alone_is_not_imported(servers, workspace) -> None:
    with _FromLocal(workspace, servers, replicas=1) as group:
        settings = dict(group.replicas[1].settings)
        group.replicas[1].settings = group.alone.as_replica
        group.replicas[1].configure()
        told = _cluster(group, "cluster", "init", *_configuration(group, 1), "--from-local", exit_code=1)
        assert "in use" in told
        group.replicas[1].settings = settings
        group.listed.append(group._listed(2))
        group.alone.becomes_a_replica(replicas=group.listed)
        told = _cluster(group, "cluster", "init", *_configuration(group, 1), "--from-local", exit_code=1)
        assert 'set group.founders = "1"' in told
        # Nothing was changed: it goes on alone.
        group.replicas[1].settings = settings
        group.replicas[1].start()
        group.wait_serving()
        with group.client_of(1) as client:
            client.run(group.bank.transfer("alone", "pg", 1, "my", 2, amount=5))


def test_an_import_that_is_killed_anywhere_is_done_by_the_next(servers, workspace) -> None:
    with _FromLocal(workspace, servers, replicas=1) as group:
        with group.client() as client:
            transaction = client.run(group.bank.transfer("kept", "pg", 1, "my", 2, amount=5)).transaction_id
        group.alone.becomes_a_replica()
        command = [
            *(programs_directory() / "troth", "--operator", "alice"),
            *("cluster", "init", *_configuration(group, 1), "--from-local"),
        ]
        killed = 0
        for microseconds in range(0, 40_000, 1_500):
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
                time.sleep(microseconds / 1e6)
                running.kill()
                killed += running.wait() == -9
        print(f"killed {killed} times")
        assert killed > 3
        # By now it may be done.
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or "belongs to a group already" in done.stderr, done
        group.replicas[1].start()
        group.await_leader()
        group.wait_serving()
        assert "committed" in _cluster(group, "status", transaction)
        _transfer(group)
