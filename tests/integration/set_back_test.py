"""Disks and servers that were restored to an older state: who stops, what an operator sees, and the way out of it while
every process goes on running."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cluster, Server, Vault, eventually
from harness.tool import troth


@pytest.fixture
def cluster(servers: dict[str, Server], workspace: Path) -> Iterator[Cluster]:
    """One of the test's own: these tests set it back."""
    with Cluster(workspace, servers, resources=("pg", "my", "ma")) as started:
        yield started


def audit_trail(program) -> str:
    return Path(program.settings["data_directory"], "audit.log").read_text(encoding="utf-8")


def health(cluster: Cluster) -> dict[str, dict]:
    """By resource; the exit code tells whether all serve."""
    return {each["name"]: each for each in troth(cluster, "resources", exit_code=5)["resources"]}


def set_the_owner_row_back(vault: Vault) -> None:
    """What a restore of a few seconds does to a server that goes on running."""
    table = "troth.troth_owner" if vault.server.kind == "postgres" else f"`{vault.database}`.troth_owner"
    counter = f"SELECT counter FROM {table}"
    eventually(lambda: int(vault.server.sql(counter, vault.database)[0][0]) > 1, "the counter rises", 10)
    vault.server.sql(f"UPDATE {table} SET counter = 0", vault.database)


def test_a_resource_that_was_set_back_serves_again_without_a_restart(cluster):
    """[T9] Attack 46: the agent stops by itself; attack 67: the operator has a way out, and leaves a line."""
    incarnation = cluster.agent.output().count("agent starts")
    for vault in cluster.vaults:
        set_the_owner_row_back(vault)

        def stopped(name: str = vault.resource) -> bool:
            shown = health(cluster)[name]
            assert shown["state"] == "set back", shown
            assert "counter" in shown["detail"], shown
            assert f"troth resource take-over {name}" in shown["remedy"], shown
            return True

        eventually(stopped, f"{vault.resource} is shown as set back", 30)
        taken = troth(
            cluster, "resource", "take-over", vault.resource, "--agent", cluster.agent.settings["listen"],
            "--reason", "restored from the backup",
        )  # fmt: skip
        assert taken["state"] == "serving", taken
        named = f'resource={vault.resource} operator=alice reason="restored from the backup"'
        assert f'action=take-over {named} before="set back: ' in audit_trail(cluster.agent)
        assert f"action=take-over-done {named} after=serving caller=unproven\n" in audit_trail(cluster.agent)
    cluster.wait_serving()
    with cluster.client() as client:
        client.run(cluster.bank.transfer("t1", "pg", 1, "my", 2, amount=10))
        client.run(cluster.bank.transfer("t2", "ma", 1, "pg", 2, amount=10))
    cluster.bank.check()
    assert cluster.agent.output().count("agent starts") == incarnation, "the same process"


def test_agents_that_saw_an_epoch_twice_go_on_when_they_hear_a_new_reign(cluster):
    """[T8] Attacks 11 and 55: no restart, of the coordinator or of an agent, takes them out of the stop; a reign that an
    operator began does, while the agent runs."""
    cluster.coordinator.stop()
    data = Path(cluster.coordinator.settings["data_directory"])
    subprocess.run(["cp", "-r", str(data), f"{data}.backup"], check=True)
    cluster.coordinator.start()
    cluster.wait_serving()
    with cluster.client() as client:
        client.run(cluster.bank.transfer("t1", "pg", 1, "my", 2, amount=10))
    cluster.coordinator.stop()
    subprocess.run(["rm", "-r", str(data)], check=True)
    subprocess.run(["mv", f"{data}.backup", str(data)], check=True)

    def stopped() -> bool:
        for name, shown in health(cluster).items():
            assert shown["state"] == "stopped", (name, shown)
            assert "handed out twice" in shown["detail"], (name, shown)
            assert "troth cluster new-reign" in shown["remedy"], (name, shown)
        return True

    cluster.coordinator.start()
    eventually(stopped, "the agent stops for the epoch that it has seen with another nonce", 30)
    cluster.coordinator.restart()
    eventually(stopped, "the coordinator's own next epoch is no way out", 30)
    cluster.agent.restart()
    eventually(stopped, "nor is the agent's restart", 30)
    starts = cluster.agent.output().count("agent starts")

    cluster.coordinator.stop()
    begun = troth(
        cluster, "cluster", "new-reign", str(data), "--agent", cluster.agent.settings["listen"],
        "--reason", "restored",
    )  # fmt: skip
    assert f'reason=restored after="epoch {begun["epoch"]}"' in audit_trail(cluster.coordinator)
    cluster.coordinator.start()
    cluster.wait_serving()
    assert cluster.agent.output().count("agent starts") == starts, "the same process"
    with cluster.client() as client:
        client.run(cluster.bank.transfer("t2", "my", 1, "ma", 2, amount=10))
    cluster.bank.check()
    cluster.coordinator.restart()
    cluster.wait_serving()
