"""The bank transfer of examples/, in C++ and in Python, run as its README says."""

import subprocess
import sys

import pytest
from harness import ROOT, Cluster, connected, rows
from harness.programs import programs_directory

COMMANDS = {
    "cpp": [str(programs_directory() / "bank_transfer")],
    "python": [sys.executable, str(ROOT / "examples" / "python" / "bank_transfer.py")],
}


@pytest.fixture(params=COMMANDS)
def transfer(request, cluster: Cluster):
    def run(*words: object, exit_code: int) -> list[str]:
        command = [*COMMANDS[request.param], f"127.0.0.1:{cluster.coordinator_port}", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done.stdout.splitlines()

    return run


def _balance(cluster: Cluster, resource: str, account: int) -> int:
    vault = cluster.bank.vaults[resource]
    with connected(vault.server, vault.database) as session:
        return rows(session, f"SELECT balance FROM account WHERE id = {account}")[0][0]


@pytest.mark.parametrize("pair", [("pg", "my"), ("ma", "pg")], ids="+".join)
def test_the_same_command_with_the_same_request_id_transfers_once(cluster, transfer, pair):
    source, target = pair
    before = [_balance(cluster, resource, 31) for resource in pair]
    request_id = transfer(f"{source}:31", f"{target}:31", 25, exit_code=0)[0].removeprefix("request_id ")
    transfer(f"{source}:31", f"{target}:31", 25, request_id, exit_code=0)
    after = [_balance(cluster, resource, 31) for resource in pair]
    # The cluster's other tests check every account against its lines, which these transfers do not write.
    transfer(f"{target}:31", f"{source}:31", 25, exit_code=0)
    assert after == [before[0] - 25, before[1] + 25]
    assert [_balance(cluster, resource, 31) for resource in pair] == before


def test_an_overdrawn_account_and_one_that_is_not_there_refuse_the_whole(cluster, transfer):
    before = _balance(cluster, "pg", 32), _balance(cluster, "my", 32)
    transfer("pg:32", "my:32", 10**9, exit_code=1)
    transfer("pg:32", "my:999999", 1, exit_code=1)
    assert (_balance(cluster, "pg", 32), _balance(cluster, "my", 32)) == before


def test_a_wrong_command_line_asks_nobody(transfer):
    transfer("pg:33", exit_code=2)
