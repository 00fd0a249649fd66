#!/usr/bin/python3
"""Measures decisions of a group of three coordinators against writes of three etcd, on one machine, in turns.

  bench/run.sh decide
  bench/run.sh decide --in-flight 64 --seconds 3 --rounds 3
  bench/run.sh decide --only troth --kinds bar                 one side alone, for a profiler; prints no JSON

One process makes one call for each decision, on one connection, and checks each answer. Kinds: `bar`, the cheapest
decision that a group is asked for; `commit`, a whole commit of two branches behind a real agent. bench/README.md tells how
to read it. Without etcd (deploy/packages.sh bench) it measures Troth alone, says so, and gives no ratio.
Exit codes: 0 measured and every answer was right, 1 it failed for the reason given, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from group_stage import (  # noqa: E402  # first: it shows the others the way to the harness
    RESOURCES,
    ROOT,
    BenchError,
    GroupStage,
    cpu_s,
    load,
    carry_out,
    sync_p50_ms,
)

from etcd_stage import EtcdStage, missing  # noqa: E402

PROGRAMS = Path(os.environ.get("TROTH_PROGRAMS") or ROOT / "build" / "release" / "bin")
LOGS = ROOT / "out" / "bench" / "failed"
KINDS = ("bar", "commit")
# What lies on the path of a lone decision, one after the other: round trips (client, peer; for a commit those to the agent,
# to prepare and to commit, too) and syncs (the majority's; for a commit the agent's vote and its acknowledgement, too).
PATHS = {"bar": (2, 1), "commit": (4, 3)}
# More than is decided while it is measured: nothing is refused for what is remembered.
SETTINGS = {"retention": {"keep_records": 100_000_000}}


class Troth:
    def __init__(self, stage: GroupStage) -> None:
        self._stage = stage

    def measure(self, kind: str, in_flight: int, options: argparse.Namespace) -> dict:
        stage = self._stage
        leader = stage.leader()
        before = self._counters()
        measured = load(
            "bench-decide", "--coordinator", stage.address_of(leader), "--call", kind, "--resources",
            ",".join(RESOURCES), "--in-flight", in_flight, "--seconds", options.seconds, "--warm-up", options.warm_up,
        )  # fmt: skip
        grown = {name: value - before[name] for name, value in self._counters().items()}
        # Counted over the warm-up, too: as much of the one as of the other.
        decided = measured["per_s"] * (options.seconds + options.warm_up)
        replicas = [grown[f"syncs{number}"] for number in stage.coordinators]
        measured["syncs_per_transaction"] = [count / decided for count in replicas]
        measured["cpu_us"] = {
            name: grown[name] / decided * 1e6 for name in grown if not name.startswith("syncs")
        }
        if stage.leader() != leader:
            raise BenchError(f"the lead went from coordinator {leader} to another one while it was measured")
        return measured

    def path_ms(self, kind: str) -> tuple[float, float, float]:
        """A round trip, a sync, and what of them lies on the path of a lone decision."""
        address = self._stage.address_of(self._stage.leader())
        trip = load(
            "bench-decide", "--coordinator", address, "--call", "hello", "--seconds", 1, "--warm-up", 0.2
        )
        sync = sync_p50_ms(self._stage.directory)
        trips, syncs = PATHS[kind]
        return trip["p50_ms"], sync, trips * trip["p50_ms"] + syncs * sync

    def _counters(self) -> dict[str, float]:
        stage = self._stage
        found: dict[str, float] = {}
        leader = stage.leader()
        for number, coordinator in stage.coordinators.items():
            found[f"syncs{number}"] = stage.syncs.below(stage.data_of(number))
            name = "leader" if number == leader else "followers"
            found[name] = found.get(name, 0) + cpu_s(coordinator.pid)
        found["agent"] = cpu_s(stage.agent.pid)
        return found


def middle(rounds: list[dict]) -> dict:
    """Of each number the median of the rounds."""
    result = dict(rounds[0])
    for name in ("per_s", "p50_ms", "p99_ms", "worst_ms"):
        result[name] = statistics.median(each[name] for each in rounds)
    if "syncs_per_transaction" in result:
        result["syncs_per_transaction"] = [
            statistics.median(each)
            for each in zip(*(one["syncs_per_transaction"] for one in rounds), strict=True)
        ]
    result["rounds"] = [round(each["per_s"]) for each in rounds]
    return result


class Report:
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options

    def say(self, text: str) -> None:
        if not self._options.json_only:
            print(text, flush=True)

    def head(self) -> None:
        self.say(
            f"{'kind':<8}{'in flight':>10}{'etcd/s':>10}{'troth/s':>10}{'ratio':>8}{'etcd p50':>10}{'p50 ms':>9}"
            f"{'p99 ms':>9}{'worst ms':>10}{'syncs/tx':>10}  CPU us by decision; rounds"
        )

    def check_perf(self, size: str, per_s: float, said: str) -> None:
        self.say(f"etcdctl check perf --load={size}:\n{said}")
        if not self._options.only:
            line = {"bench": "decide", "kind": "etcdctl check perf", "load": size, "etcd_per_s": per_s}
            print(json.dumps(line), flush=True)

    def cell(self, kind: str, in_flight: int, troth: dict, etcd: dict | None, path: tuple | None) -> None:
        syncs = max(troth["syncs_per_transaction"])
        ratio = troth["per_s"] / etcd["per_s"] if etcd else None
        cpu = ", ".join(f"{name} {value:.0f}" for name, value in troth["cpu_us"].items())
        of_etcd = f"{etcd['per_s']:>10.0f}" if etcd else f"{'-':>10}"
        p50_of_etcd = f"{etcd['p50_ms']:>10.3f}" if etcd else f"{'-':>10}"
        self.say(
            f"{kind:<8}{in_flight:>10}{of_etcd}{troth['per_s']:>10.0f}{(f'{ratio:.2f}' if ratio else '-'):>8}"
            f"{p50_of_etcd}{troth['p50_ms']:>9.3f}{troth['p99_ms']:>9.3f}{troth['worst_ms']:>10.3f}{syncs:>10.3f}"
            f"  {cpu}; {troth['rounds']}{(' etcd ' + str(etcd['rounds'])) if etcd else ''}"
        )
        if path:
            trip, sync, whole = path
            trips, syncs_on_path = PATHS[kind]
            self.say(
                f"        its path: {trips} round trips of {trip:.3f} ms, {syncs_on_path} syncs of {sync:.3f} ms: "
                f"{whole:.3f} ms; p50 is {troth['p50_ms'] / whole:.2f} times that"
            )
        if self._options.only:
            return
        line = {
            "bench": "decide",
            "kind": kind,
            "in_flight": in_flight,
            "per_s": round(troth["per_s"], 1),
            "etcd_per_s": round(etcd["per_s"], 1) if etcd else None,
            "ratio": round(ratio, 3) if ratio else None,
            "p50_ms": round(troth["p50_ms"], 4),
            "p99_ms": round(troth["p99_ms"], 4),
            "worst_ms": round(troth["worst_ms"], 4),
            "etcd_p50_ms": round(etcd["p50_ms"], 4) if etcd else None,
            "syncs_per_transaction": [round(each, 4) for each in troth["syncs_per_transaction"]],
            "cpu_us": {name: round(value, 1) for name, value in troth["cpu_us"].items()},
        }
        if path:
            line["path_ms"] = round(path[2], 4)
            line["p50_by_path"] = round(troth["p50_ms"] / path[2], 3)
        print(json.dumps(line), flush=True)


def measure(directory: Path, options: argparse.Namespace) -> None:
    report = Report(options)
    lacking = missing(PROGRAMS)
    wants_etcd = options.only != "troth"
    if wants_etcd and lacking:
        # Also where only JSON is wanted: a ratio that is missing needs its reason.
        print(f"bench: etcd is not measured, and there is no ratio: {lacking}", file=sys.stderr)
    with contextlib.ExitStack() as running:
        etcd = None
        if wants_etcd and not lacking:
            etcd = running.enter_context(EtcdStage(directory / "etcd"))
            report.say(f"etcd {etcd.version}, three on loopback, same disk")
            if options.check_perf:
                report.check_perf(options.check_perf, *etcd.check_perf(options.check_perf))
        stage = None
        if options.only != "etcd":
            stage = running.enter_context(
                GroupStage(directory, agent="whole", settings=SETTINGS, count_syncs=True)
            )
        try:
            _cells(report, Troth(stage) if stage else None, etcd, options)
        except BaseException:
            if stage:
                stage.keep_logs(LOGS / "decide")
            raise


def _cells(report: Report, troth: Troth | None, etcd: EtcdStage | None, options: argparse.Namespace) -> None:
    report.head()
    for in_flight in options.in_flight:
        writes: list[dict] = []
        decisions: dict[str, list[dict]] = {kind: [] for kind in options.kinds if troth}
        for turn in range(options.rounds):
            if etcd and turn % 2 == 0:
                writes.append(etcd.measure(in_flight, options))
            for kind, rounds in decisions.items():
                rounds.append(troth.measure(kind, in_flight, options))
            if etcd and turn % 2 != 0:
                writes.append(etcd.measure(in_flight, options))
        written = middle(writes) if writes else None
        if not troth and written:
            report.say(f"{'etcd':<8}{in_flight:>10}{written['per_s']:>10.0f}  p50 {written['p50_ms']:.3f} ms")
        for kind, rounds in decisions.items():
            path = troth.path_ms(kind) if in_flight == 1 else None
            report.cell(kind, in_flight, middle(rounds), written, path)


def depths(text: str) -> list[int]:
    words = text.split(",")
    for word in words:
        if not word.isascii() or not word.isdigit() or not 1 <= int(word) <= 1024:
            raise argparse.ArgumentTypeError(f"'{word}' is no number in flight from 1 to 1024")
    return [int(word) for word in words]


def kinds(text: str) -> list[str]:
    for word in text.split(","):
        if word not in KINDS:
            raise argparse.ArgumentTypeError(f"'{word}' is none of {', '.join(KINDS)}")
    return text.split(",")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run.sh decide", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--in-flight", type=depths, default=[1, 8, 64, 256, 1024], metavar="N,..", help="decisions at once"
    )
    parser.add_argument("--kinds", type=kinds, default=list(KINDS), metavar="K,..", help="bar, commit")
    parser.add_argument("--seconds", type=float, default=4, metavar="S", help="length of a round (default 4)")
    parser.add_argument(
        "--warm-up", type=float, default=1, metavar="S", help="before each, unmeasured (default 1)"
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each side (default 3)")
    parser.add_argument(
        "--check-perf", choices=("s", "m", "l", "xl"), help="first, etcd's own check with this load: a minute"
    )
    parser.add_argument(
        "--etcd-call", choices=("put", "txn"), default="put", help="what a write of etcd is (default put)"
    )
    parser.add_argument("--only", choices=("troth", "etcd"), help="one side alone; prints no JSON")
    parser.add_argument("--json-only", action="store_true", help="print nothing but the lines of JSON")
    parser.add_argument("--check-arguments", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(carry_out(measure, arguments(), PROGRAMS))
