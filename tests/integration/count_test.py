"""What docs/performance.md says of messages, trips and forced writes, counted from outside by bench/run.sh count.

Upper bounds leave room for what goes by the clock, and for a branch that is begun again on a busy machine; below the lower
ones a promise is broken: a vote without its own sync, an acknowledgement that nobody sent.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from harness import ROOT
from harness.programs import programs_directory

TRANSFERS = 100


@pytest.fixture(scope="module", params=["applied", "decided"])
def counted(request: pytest.FixtureRequest) -> dict:
    done = subprocess.run(
        [
            "/usr/bin/python3", ROOT / "bench" / "runtime" / "count.py", "--databases", "postgres+mysql", "--only", "troth",
            "--transfers", str(TRANSFERS), "--rest", "1", "--acknowledge", request.param, "--json-only",
        ],
        env=os.environ | {"TROTH_PROGRAMS": str(programs_directory())},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_transfer_costs_presumed_aborts_messages_and_no_other(counted: dict) -> None:
    by_transfer = {
        name: number / TRANSFERS for name, number in counted["messages"].items() if "heartbeat" not in name
    }
    delays = by_transfer.pop("delays")
    each = {
        "clients.execute.call": 1,
        "clients.execute.reply": 1,
        "agents.prepare.call": 2,
        "agents.prepare.reply": 2,
        "agents.commit_branch.call": 2,
        "agents.commit_branch.reply": 2,
    }
    # A machine that stood still for long enough sees a commit sent again.
    assert by_transfer == pytest.approx(each, abs=0.05)
    expected = {"applied": 6, "decided": 4}[counted["acknowledge"]]
    assert expected <= delays <= expected + 0.5


def test_a_branch_takes_two_trips(counted: dict) -> None:
    for kind, trips in counted["trips"].items():
        assert 2 * TRANSFERS <= trips["branches"] <= 2.5 * TRANSFERS, f"{kind}: {trips}"


def test_what_was_promised_was_forced(counted: dict) -> None:
    """[T2] [T6] The decision, and at each database the prepare and the commit; at the agent, votes and decisions.

    Answered when decided, the next transfer begins beside this one's commits: its prepares may share their syncs.
    """
    syncs = counted["syncs"]
    least = {"applied": 2, "decided": 1}[counted["acknowledge"]]
    assert TRANSFERS <= syncs["coordinator log"] <= 1.5 * TRANSFERS
    assert least * TRANSFERS <= syncs["agent journal"] <= 5 * TRANSFERS
    for log in ("postgres WAL", "mysql redo log", "mysql binary log"):
        assert syncs[log] >= least * TRANSFERS, syncs
