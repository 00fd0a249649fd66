#!/usr/bin/python3
"""Measures what a group of three coordinators does with many open decisions when its leader dies: how long until the next
leader has driven every one to its end, how fast a log is read again, and what an open transaction takes of memory.

  bench/run.sh recover
  bench/run.sh recover --open 20000 --ended 0

The agent is one that only answers (bench-yes-agent): while the decisions are made, it says of each commit that it is
undecided, so all stay open. bench/README.md tells how to read it.
Exit codes: 0 measured and no decision was lost, 1 it failed for the reason given, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from group_stage import (  # noqa: E402  # first: it shows the others the way to the harness
    RESOURCES,
    ROOT,
    BenchError,
    GroupStage,
    load,
    resident_bytes,
    carry_out,
)

from thrift.Thrift import TException  # noqa: E402

PROGRAMS = Path(os.environ.get("TROTH_PROGRAMS") or ROOT / "build" / "release" / "bin")
LOGS = ROOT / "out" / "bench" / "failed"
_IN_FLIGHT = 256
_POLL_S = 0.02
_WITHIN_S = 600
_MIB = 1 << 20


def settings(options: argparse.Namespace) -> dict:
    # Not fewer than come in the least age: past that, new ones are refused.
    kept = max(50_000, options.ended // 4)
    return {
        "limits": {"open": max(200_000, 2 * options.open)},
        # So that what is forgotten is seen while it is measured.
        "retention": {"least_age_ms": 1000, "keep_records": kept},
    }


def decide(stage: GroupStage, leader: int, calls: int) -> dict:
    return load(
        "bench-decide", "--coordinator", stage.address_of(leader), "--call", "decide", "--resources",
        ",".join(RESOURCES), "--in-flight", min(_IN_FLIGHT, calls), "--calls", calls,
    )  # fmt: skip


def open_at(stage: GroupStage, number: int) -> int | None:
    """None: it does not serve."""
    with contextlib.suppress(TException, OSError, EOFError):
        return stage.cluster_status(number).open_transactions
    return None


def await_open(stage: GroupStage, number: int, most: int) -> None:
    """Until so few are open there."""
    deadline = time.monotonic() + _WITHIN_S
    while (found := open_at(stage, number)) is None or found > most:
        if time.monotonic() > deadline:
            raise BenchError(f"{found} transactions are open after {_WITHIN_S} s")
        time.sleep(_POLL_S)


def next_leader(stage: GroupStage) -> int:
    while True:
        with contextlib.suppress(AssertionError):
            return stage.leader()
        time.sleep(_POLL_S)


def log_bytes(stage: GroupStage, number: int) -> int:
    """What its disk holds to be read at a start. The last segment is longer than what was written of it."""
    files = [file for file in stage.data_of(number).rglob("*") if file.is_file()]
    return sum(len(file.read_bytes().rstrip(b"\0")) for file in files)


def redrive(stage: GroupStage, options: argparse.Namespace) -> dict:
    """Opens so many, kills the leader, and waits until the next one has ended them all."""
    leader = stage.await_whole()
    followers = [number for number in stage.coordinators if number != leader]
    # What the first ones take, once and for all, is not theirs alone.
    first = options.open // 10
    if first:
        decide(stage, leader, first)
    before = {number: resident_bytes(stage.coordinators[number].pid) for number in stage.coordinators}
    made = decide(stage, leader, options.open - first)
    if (found := open_at(stage, leader)) != options.open:
        raise BenchError(f"{found} transactions are open, of {options.open} that were decided")
    grown = {
        number: resident_bytes(stage.coordinators[number].pid) - before[number]
        for number in stage.coordinators
    }
    stage.await_whole()
    begin = time.monotonic()
    stage.coordinators[leader].kill()
    stage.release()
    successor = next_leader(stage)
    led = time.monotonic() - begin
    await_open(stage, successor, 0)
    took = time.monotonic() - begin
    return {
        "bench": "recover",
        "part": "redrive",
        "open": options.open,
        "seconds": round(took, 3),
        "led_after_s": round(led, 3),
        "decided_per_s": made["per_s"],
        "bytes_per_open_leader": round(grown[leader] / (options.open - first)),
        "bytes_per_open_follower": round(max(grown[number] for number in followers) / (options.open - first)),
    }


def replay(stage: GroupStage) -> dict:
    """Every coordinator stops; one that has everything starts again."""
    for coordinator in stage.coordinators.values():
        if coordinator.runs():
            coordinator.stop()
    number = max(stage.coordinators, key=lambda each: log_bytes(stage, each))
    coordinator = stage.coordinators[number]
    size = log_bytes(stage, number)
    begin = time.monotonic()
    coordinator.start(_WITHIN_S)
    took = time.monotonic() - begin
    for other in stage.coordinators.values():
        if not other.runs():
            other.start(_WITHIN_S)
    stage.await_leader()
    return {
        "bench": "recover",
        "part": "replay",
        "log_mib": round(size / _MIB, 1),
        "seconds": round(took, 3),
        "mb_per_s": round(size / took / 1e6, 1),
    }


def many(stage: GroupStage, options: argparse.Namespace) -> dict:
    """Transactions that end and are forgotten: the leader's memory after each quarter of them."""
    leader = stage.await_whole()
    stage.await_served()
    process = stage.coordinators[leader].pid
    sizes = [resident_bytes(process)]
    for _ in range(4):
        decide(stage, leader, max(1, options.ended // 4))
        await_open(stage, leader, 0)
        sizes.append(resident_bytes(process))
    if stage.leader() != leader:
        raise BenchError("another coordinator leads by now: its memory was not measured")
    return {
        "bench": "recover",
        "part": "memory",
        "ended": options.ended,
        "kept": settings(options)["retention"]["keep_records"],
        "resident_mib": [round(size / _MIB, 1) for size in sizes],
    }


class Report:
    def __init__(self, json_only: bool) -> None:
        self._json_only = json_only

    def say(self, text: str) -> None:
        if not self._json_only:
            print(text, flush=True)

    def redrive(self, found: dict) -> None:
        self.say(
            f"redrive   {found['open']} open: the next leader led after {found['led_after_s']:.2f} s, and all had ended "
            f"after {found['seconds']:.2f} s\n"
            f"memory    {found['bytes_per_open_leader']} bytes by open transaction at the leader, "
            f"{found['bytes_per_open_follower']} at a follower"
        )
        print(json.dumps(found), flush=True)

    def replay(self, found: dict) -> None:
        self.say(
            f"replay    {found['log_mib']} MiB of log in {found['seconds']:.3f} s, start of the process included: "
            f"{found['mb_per_s']:.0f} MB/s"
        )
        print(json.dumps(found), flush=True)

    def memory(self, found: dict) -> None:
        self.say(
            f"memory    {found['resident_mib']} MiB at the leader, after each quarter of {found['ended']} transactions "
            f"that ended, of which {found['kept']} are remembered"
        )
        print(json.dumps(found), flush=True)


def measure(directory: Path, options: argparse.Namespace) -> None:
    report = Report(options.json_only)
    with GroupStage(directory, agent="holding", settings=settings(options)) as stage:
        try:
            report.redrive(redrive(stage, options))
            for coordinator in stage.coordinators.values():
                if not coordinator.runs():
                    coordinator.start(_WITHIN_S)
            stage.await_whole()
            if options.ended:
                report.memory(many(stage, options))
            report.replay(replay(stage))
            check_agent(stage, options)
        except BaseException:
            stage.keep_logs(LOGS / "recover")
            raise


def check_agent(stage: GroupStage, options: argparse.Namespace) -> None:
    """Every branch that was prepared was committed, and no other."""
    stage.agent.stop()
    counted = json.loads(stage.agent.output().splitlines()[-1])
    branches = len(RESOURCES) * (options.open + options.ended // 4 * 4)
    expected = {"prepared": branches, "committed": branches, "never_prepared": 0}
    if counted != expected:
        raise BenchError(f"the agent counted {counted}, and it should be {expected}")


def count(least: int):
    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= 10_000_000:
            raise argparse.ArgumentTypeError(f"{least} to 10000000")
        return value

    return parse


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run.sh recover", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--open", type=count(1), default=100_000, metavar="N", help="open decisions (default 100000)"
    )
    parser.add_argument(
        "--ended",
        type=count(0),
        default=400_000,
        metavar="N",
        help="transactions that end, for the memory; 0: none (default 400000)",
    )
    parser.add_argument("--json-only", action="store_true", help="print nothing but the lines of JSON")
    parser.add_argument("--check-arguments", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(carry_out(measure, arguments(), PROGRAMS))
