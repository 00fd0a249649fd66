"""bench/run.sh decide, failover and recover measure something, and check what they measure; tiny, and never for its time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from harness import ROOT
from harness.programs import programs_directory


def _bench(name: str, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess:
    environment = os.environ | {"TROTH_PROGRAMS": str(programs_directory())}
    if path is not None:
        environment["PATH"] = path
    return subprocess.run(
        ["/usr/bin/python3", ROOT / "bench" / "runtime" / f"{name}.py", *arguments, "--json-only"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def _lines(done: subprocess.CompletedProcess) -> list[dict]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_decide_says_what_it_skips_without_etcd(tmp_path) -> None:
    """A sync of a majority is needed for each decision that is alone in flight: [T2] from outside."""
    # A machine that has what the harness needs, and no etcd.
    (tmp_path / "thrift").symlink_to(shutil.which("thrift"))
    done = _bench(
        "decide", "--in-flight", "1,8", "--seconds", "0.5", "--warm-up", "0.1", "--rounds", "1", path=str(tmp_path)
    )  # fmt: skip
    found = _lines(done)
    assert "etcd is not measured, and there is no ratio: there is no etcd, no etcdctl" in done.stderr
    assert [(line["kind"], line["in_flight"]) for line in found] == [
        ("bar", 1), ("commit", 1), ("bar", 8), ("commit", 8),
    ]  # fmt: skip
    for line in found:
        assert line["bench"] == "decide" and line["ratio"] is None, line
        assert line["per_s"] > 0 and 0 < line["p50_ms"] <= line["p99_ms"] <= line["worst_ms"], line
        assert len(line["syncs_per_transaction"]) == 3
        if line["in_flight"] == 1:
            assert sorted(line["syncs_per_transaction"])[1] >= 0.9, line
            assert line["path_ms"] > 0 and line["p50_by_path"] > 0, line


def test_failover_measures_kills_silences_and_quiet() -> None:
    """Whether somebody is elected without a fault says the bench, on a machine that has time for it, and not this test."""
    found = {
        line["fault"]: line
        for line in _lines(_bench("failover", "--kills", "1", "--silent", "1", "--quiet-seconds", "1"))
    }
    assert set(found) == {"none", "kill", "silence"}
    assert found["none"]["committed"] > 0 and found["none"]["elections"] >= 0
    for fault in ("kill", "silence"):
        assert found[fault]["times"] == len(found[fault]["each_ms"]) == 1
        assert 0 < found[fault]["p50_ms"] <= found[fault]["worst_ms"]


def test_recover_loses_no_decision() -> None:
    """[T4] [T6] Every branch that was prepared is committed under the next leader: the bench fails where one is not."""
    redrive, memory, replay = _lines(_bench("recover", "--open", "500", "--ended", "400"))
    assert (redrive["part"], redrive["open"]) == ("redrive", 500)
    assert 0 < redrive["led_after_s"] <= redrive["seconds"]
    assert (memory["part"], len(memory["resident_mib"])) == ("memory", 5)
    assert replay["part"] == "replay" and replay["mb_per_s"] > 0


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("decide", ["--in-flight", "0"]),
        ("decide", ["--kinds", "barr"]),
        ("failover", ["--kills", "-1"]),
        ("recover", ["--open", "0"]),
    ],
)
def test_wrong_usage_is_told(name: str, wrong: list[str]) -> None:
    done = _bench(name, *wrong)
    assert done.returncode == 2 and wrong[0] in done.stderr, done
