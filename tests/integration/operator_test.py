"""What an operator does with `troth`: install, look, and the ways out of each stop."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cluster, Server, api, eventually, new_request_id, prepared_branches, troth
from thrift.Thrift import TException


@pytest.fixture
def cluster(servers: dict[str, Server], workspace: Path) -> Iterator[Cluster]:
    """One of the test's own: these tests stop it, and set it back."""
    with Cluster(workspace, servers, resources=("pg", "my")) as started:
        yield started


def agent_address(cluster: Cluster) -> str:
    return cluster.agent.settings["listen"]


def transfer_that_kills_the_coordinator(cluster: Cluster, point: str, request_id: str | None = None) -> None:
    """Leaves both branches prepared, and the coordinator dead."""
    cluster.coordinator.arm(point)
    cluster.coordinator.restart()
    cluster.wait_serving()
    with cluster.client() as client, pytest.raises((TException, EOFError, OSError)):
        client.run(cluster.bank.transfer("t1", "pg", 1, "my", 2, amount=10), request_id=request_id)
    cluster.coordinator.expect_exit(None)
    cluster.coordinator.disarm()


def resolves(cluster: Cluster, words: tuple[str, ...]) -> bool:
    troth(cluster, *words, exit_code=None)
    return not cluster.agent.runs()


def held(cluster: Cluster) -> int:
    return sum(len(prepared_branches(vault.server)) for vault in cluster.vaults)


def test_what_is_installed_can_be_printed_repeated_and_taken_out(cluster):
    configuration = ("--agent-config", str(cluster.agent.configuration))
    for vault in cluster.vaults:
        admin = (
            "--admin-user", vault.server.admin, "--admin-password-file", str(vault.server.password_file),
        )  # fmt: skip
        printed = troth(cluster, "install", vault.resource, *configuration, "--print")
        assert "troth_branch" in printed["script"]
        again = troth(cluster, "install", vault.resource, *configuration, *admin)
        assert (again["kind"], again["cannot_prepare"]) == (vault.server.kind, "")
        refused = troth(
            cluster, "uninstall", vault.resource, *configuration, *admin, "--reason", "moved", exit_code=1
        )
        assert "stop it" in refused["error"]["message"]
    cluster.agent.kill()
    for vault in cluster.vaults:
        admin = (
            "--admin-user", vault.server.admin, "--admin-password-file", str(vault.server.password_file),
        )  # fmt: skip
        troth(cluster, "uninstall", vault.resource, *configuration, *admin, "--reason", "the bank moves")
    trail = Path(cluster.agent.settings["data_directory"], "audit.log").read_text(encoding="utf-8")
    for vault in cluster.vaults:
        named = f"resource={vault.resource} operator=alice reason"
        assert f"action=install {named}=" in trail
        assert f'action=uninstall {named}="the bank moves" before="version 3, installation ' in trail
        assert f'action=uninstall-done {named}="the bank moves" after="Troth\'s tables are gone"' in trail


def test_execute_and_status_tell_the_same_transaction(cluster):
    committed = troth(
        cluster, "execute",
        "--on", "pg", "UPDATE account SET balance = balance + $1 WHERE id = $2",
        "--param", "int:-5", "--param", "int:1", "--expect-rows", "1",
        "--on", "pg", "INSERT INTO transfer_line VALUES ($1, 1, -5)", "--param", "text:t1",
        "--on", "my", "UPDATE account SET balance = balance + ? WHERE id = ?",
        "--param", "int:5", "--param", "int:2", "--expect-rows", "1",
        "--on", "my", "INSERT INTO transfer_line VALUES (?, 2, 5)", "--param", "text:t1",
    )  # fmt: skip
    assert troth(cluster, "status", committed["transaction_id"])["state"] == "committed"
    assert troth(cluster, "in-doubt")["transactions"] == []
    assert all(each["state"] == "serving" for each in troth(cluster, "resources")["resources"])
    cluster.bank.check()


def test_another_agent_takes_a_resource_over(cluster):
    """Attack 30: two agents, one resource. Attack 67: the operator has a way out."""
    second = cluster.another_agent("second")
    second.init("second")
    second.start()
    for vault in cluster.vaults:
        taken = troth(
            cluster,
            "resource",
            "take-over",
            vault.resource,
            "--agent",
            second.address,
            "--reason",
            "host lost",
        )
        assert taken["state"] == "serving"

    def served_by_second() -> bool:
        resources = troth(cluster, "resources", exit_code=0)["resources"]
        assert {each["address"] for each in resources} == {second.address}, resources
        return True

    eventually(served_by_second, "the second agent serves both", 30)
    with cluster.client() as client:
        client.run(cluster.bank.transfer("t2", "pg", 1, "my", 2, amount=10))
    cluster.bank.check()
    second.kill()


def test_a_coordinator_that_was_set_back_begins_a_new_reign(cluster):
    """[T8] Attack 55: agents that have seen its next epoch stop; the way out is an epoch above all of theirs."""
    cluster.coordinator.stop()
    data = Path(cluster.coordinator.settings["data_directory"])
    subprocess.run(["cp", "-r", str(data), f"{data}.backup"], check=True)
    transfer_that_kills_the_coordinator(cluster, "coordinator.after_choose_durable")
    assert held(cluster) == 2

    subprocess.run(["rm", "-r", str(data)], check=True)
    subprocess.run(["mv", f"{data}.backup", str(data)], check=True)
    asked = ("cluster", "new-reign", str(data), "--agent", agent_address(cluster), "--reason", "restored")
    stopped = troth(cluster, *asked, exit_code=5)
    assert (
        len(stopped["losses"]) == 2
    ), "what the restored store does not know is named before it is rolled back"
    assert held(cluster) == 2
    begun = troth(cluster, *asked, "--roll-back-undecided")
    assert begun["epoch"] > 2
    assert "reason=restored" in (data / "audit.log").read_text(encoding="utf-8")

    cluster.coordinator.start()
    cluster.wait_serving()
    eventually(lambda: held(cluster) == 0, "nothing is held", 30)
    cluster.bank.check()
    with cluster.client() as client:
        client.run(cluster.bank.transfer("t2", "pg", 1, "my", 2, amount=10))


def test_an_operator_ends_a_branch_while_no_coordinator_runs(cluster):
    """Attack 67: a branch in doubt has a way out even then, and it is compared with the decision later."""
    transfer_that_kills_the_coordinator(cluster, "coordinator.after_choose_durable")
    with_agent = ("--agent", agent_address(cluster), "--reason", "the coordinator's host burns")
    (transaction,) = {
        b.name.split("troth1.")[1].rsplit(".", 1)[0] for b in prepared_branches(cluster.vaults[0].server)
    }
    for number, vault in enumerate(cluster.vaults, start=1):
        ended = troth(
            cluster, "resolve", transaction, "--branch", str(number), "--resource", vault.resource, "--commit", *with_agent
        )  # fmt: skip
        assert "committed" in ended["state"]
    assert held(cluster) == 0
    cluster.coordinator.start()
    cluster.wait_serving()

    def agrees() -> bool:
        assert troth(cluster, "in-doubt")["transactions"] == []
        return True

    eventually(agrees, "the decision was the same", 30)
    assert troth(cluster, "status", transaction)["state"] == "committed"
    cluster.bank.check()


@pytest.mark.parametrize("resource", ["pg", "my"])
@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "dies before the marker is changed"])
def test_what_an_operator_committed_by_hand_is_not_told_as_the_groups_commit(cluster, resource, dies):
    """[T2] Nothing was decided, and an operator commits one branch: half of a transfer. Its marker must prove neither to
    `status` nor to a retry that the request has committed."""
    request = new_request_id()
    transfer_that_kills_the_coordinator(cluster, "coordinator.before_choose", request)
    if dies:
        cluster.agent.arm("agent.before_resolution_marked")
        cluster.agent.restart()
        eventually(lambda: held(cluster) == 2, "the branches are still held")
    (transaction,) = {
        b.name.split("troth1.")[1].rsplit(".", 1)[0] for b in prepared_branches(cluster.vaults[0].server)
    }
    number = [vault.resource for vault in cluster.vaults].index(resource) + 1
    resolve = (
        "resolve", transaction, "--branch", str(number), "--resource", resource, "--commit",
        "--agent", agent_address(cluster), "--reason", "the books say so",
    )  # fmt: skip
    if dies:
        eventually(lambda: resolves(cluster, resolve), "the agent serves, and dies", 30)
        cluster.agent.expect_exit(-9)
        cluster.agent.disarm()
        assert [m.state for m in cluster.markers(resource, request)] == ["committed"]
        cluster.agent.start()
    else:
        assert troth(cluster, *resolve)["state"] == "committed by hand"
    eventually(
        lambda: [m.state for m in cluster.markers(resource, request)] == ["resolved"], "it says who", 30
    )

    cluster.coordinator.start()
    cluster.wait_serving()
    eventually(lambda: held(cluster) == 0, "the other branch was rolled back", 30)
    other = "my" if resource == "pg" else "pg"
    assert cluster.markers(other, request) == []
    asked = api("transactions").StatusRequest(
        request_id=request, client_name="harness", bar=True, bar_resources=["pg", "my"], timeout_ms=5000
    )
    with cluster.client() as client:
        state = client.status(asked).state
        assert state == api("transactions").TransactionState.HEURISTIC_COMMIT, state
        with pytest.raises(api("common").TrothError) as refused:
            client.run(cluster.bank.transfer("t1", "pg", 1, "my", 2, amount=10), request_id=request)
    common = api("common")
    # Whichever branch is refused first: by the operator's marker, or by the barrier that the bar left in the other.
    assert refused.value.code in (common.ErrorCode.HEURISTIC, common.ErrorCode.BARRED), refused.value
    assert refused.value.effect == common.Effect.UNKNOWN, refused.value
    assert cluster.bank.stands_in("t1") == [resource]


def test_a_missing_resource_is_refused_by_name(cluster):
    refused = troth(cluster, "execute", "--on", "nowhere", "SELECT 1", "--on", "pg", "SELECT 1", exit_code=1)
    assert refused["error"]["code"] == "unknown_resource"
