#!/usr/bin/python3
"""Measures how long the clients of a group of three coordinators wait when its leader fails, and that nobody is elected while
none does.

  bench/run.sh failover                                        20 kills, 10 silences, a quiet minute
  bench/run.sh failover --kills 100 --silent 0 --quiet-seconds 0
  bench/run.sh failover --kills 0 --silent 0 --quiet-seconds 600

Clients make whole commits of two branches behind a real agent, at all three coordinators, and every 10 ms there is a new one. A kill is SIGKILL of the leader; it
is started again when the next one leads. A silence is SIGSTOP of the leader, for longer than its lease. Either is measured
from just before the signal to the acknowledgement of the first commit that a client asked for after it. bench/README.md tells
how to read it.
Exit codes: 0 measured, 1 it failed for the reason given, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from group_stage import (  # noqa: E402  # first: it shows the others the way to the harness
    RESOURCES,
    ROOT,
    BenchError,
    GroupStage,
    carry_out,
)

from harness.undertaker import Undertaker  # noqa: E402

PROGRAMS = Path(os.environ.get("TROTH_PROGRAMS") or ROOT / "build" / "release" / "bin")
LOGS = ROOT / "out" / "bench" / "failed"
# Longer than any lease and any election: the others have long gone on when it wakes up.
_SILENCE_S = 3.0
_ANSWER_WITHIN_S = 60
# More than commits in the least age (ten minutes): past it, a coordinator refuses what is new.
SETTINGS = {"retention": {"keep_records": 100_000_000}}


def now_s() -> float:
    """The clock of bench-failover."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clients:
    """bench-failover, which speaks in lines."""

    def __init__(self, stage: GroupStage, clients: int) -> None:
        self._process = subprocess.Popen(
            [
                str(PROGRAMS / "bench-failover"), "--coordinators", stage.addresses, "--resources",
                ",".join(RESOURCES), "--clients", str(clients),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        Undertaker.of_this_run().watch(self._process.pid)

    def __enter__(self) -> Clients:
        self._line()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.terminate()
        self._process.wait()

    def first_commit_after(self, at: float) -> float:
        """When the first commit was acknowledged that was asked for after `at`."""
        self._tell(f"after {at:.6f}")
        return float(self._line())

    def counts(self) -> dict:
        """Since the last time: answers, failures, the longest time without an answer."""
        self._tell("count")
        return json.loads(self._line())

    def _tell(self, line: str) -> None:
        self._process.stdin.write(f"{line}\n".encode("ascii"))
        self._process.stdin.flush()

    def _line(self) -> str:
        readable, _, _ = select.select([self._process.stdout], [], [], _ANSWER_WITHIN_S)
        line = self._process.stdout.readline() if readable else b""
        if not line:
            raise BenchError(f"the clients had no commit within {_ANSWER_WITHIN_S} s, or ended")
        return line.decode("ascii")


def kill_leader(stage: GroupStage, clients: Clients) -> float:
    leader = stage.await_whole()
    begin = now_s()
    stage.coordinators[leader].kill()
    # It is gone by now. What was asked for in between it may have answered.
    acknowledged = clients.first_commit_after(now_s())
    stage.coordinators[leader].start(_ANSWER_WITHIN_S)
    return (acknowledged - begin) * 1000


def silence_leader(stage: GroupStage, clients: Clients) -> float:
    leader = stage.await_whole()
    begin = now_s()
    stage.coordinators[leader].pause()
    try:
        while not stage.coordinators[leader].is_paused():
            time.sleep(0.001)
        acknowledged = clients.first_commit_after(now_s())
        time.sleep(max(0.0, begin + _SILENCE_S - now_s()))
    finally:
        stage.coordinators[leader].resume()
    return (acknowledged - begin) * 1000


def quiet(stage: GroupStage, clients: Clients, seconds: float) -> dict:
    """Full load and no fault: nobody may be elected."""
    leader = stage.await_whole()
    before = stage.group_status(leader)
    clients.counts()
    time.sleep(seconds)
    counts = clients.counts()
    # Whoever had been elected would have claimed a newer round, and begun another reign.
    rounds = max(stage.group_status(number).round for number in stage.coordinators)
    after = stage.group_status(stage.leader())
    return {
        "bench": "failover",
        "fault": "none",
        "seconds": round(counts["seconds"], 1),
        "elections": max(rounds - before.round, after.epoch.number - before.epoch.number),
        "committed": counts["committed"],
        "failed": counts["failed"],
        "longest_gap_ms": counts["longest_gap_ms"],
    }


def faults(name: str, waits_ms: list[float]) -> dict:
    return {
        "bench": "failover",
        "fault": name,
        "times": len(waits_ms),
        "p50_ms": round(statistics.median(waits_ms), 1),
        "worst_ms": round(max(waits_ms), 1),
        "each_ms": [round(each, 1) for each in waits_ms],
    }


class Report:
    def __init__(self, json_only: bool) -> None:
        self._json_only = json_only

    def say(self, text: str) -> None:
        if not self._json_only:
            print(text, flush=True)

    def line(self, found: dict) -> None:
        if found["fault"] == "none":
            self.say(
                f"quiet     {found['seconds']:.0f} s, {found['committed']} commits, {found['failed']} failed calls, "
                f"{found['elections']} elections, longest time without an answer {found['longest_gap_ms']:.1f} ms"
            )
        else:
            self.say(
                f"{found['fault']:<10}{found['times']:>4} times   p50 {found['p50_ms']:.1f} ms   "
                f"worst {found['worst_ms']:.1f} ms"
            )
        print(json.dumps(found), flush=True)


def measure(directory: Path, options: argparse.Namespace) -> None:
    report = Report(options.json_only)
    with GroupStage(directory, agent="whole", settings=SETTINGS) as stage:
        try:
            with Clients(stage, options.clients) as clients:
                if options.quiet_seconds:
                    report.line(quiet(stage, clients, options.quiet_seconds))
                for name, fail, times in (
                    ("kill", kill_leader, options.kills),
                    ("silence", silence_leader, options.silent),
                ):
                    if times:
                        report.line(faults(name, [fail(stage, clients) for _ in range(times)]))
                stage.await_whole()
        except BaseException:
            stage.keep_logs(LOGS / "failover")
            raise


def number(least: int, most: int):
    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{least} to {most}")
        return value

    return parse


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run.sh failover",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def option(name: str, kind, standard, text: str) -> None:
        parser.add_argument(
            name, type=kind, default=standard, metavar="N", help=f"{text} (default {standard})"
        )

    option("--kills", number(0, 10_000), 20, "leaders that are killed")
    option("--silent", number(0, 10_000), 10, "leaders that stand still for three seconds")
    option("--quiet-seconds", number(0, 86_400), 60, "how long no fault is made, before")
    option("--clients", number(1, 500), 16, "each with one commit at a time")
    parser.add_argument("--json-only", action="store_true", help="print nothing but the lines of JSON")
    parser.add_argument("--check-arguments", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(carry_out(measure, arguments(), PROGRAMS))
