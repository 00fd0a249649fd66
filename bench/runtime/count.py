#!/usr/bin/python3
"""Counts what one committed transfer costs, from outside: messages between client, coordinator and agents, round trips to
each database, and writes that are forced to the disk; hand-coded and through Troth, beside the theory of two-phase commit.

  bench/run.sh count
  bench/run.sh count --databases postgres+mysql --agents 2 --transfers 1000
  bench/run.sh count --json-only

One client makes transfers one after the other, in warm sessions. Every connection leads through a door that sees what goes
by; every server runs with a library that counts its syncs. Needs no privilege. Times mean nothing here: the doors cost
some, and the counts do not depend on them. bench/README.md tells how to read it.
Exit codes: 0 counted and the money was all there, 1 it failed for the reason given, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from stage import ROOT, Stage  # noqa: E402  # first: it shows the others the way to the harness

from counters import Counters  # noqa: E402
from counts import Counts, Side, json_line, table  # noqa: E402
from harness.undertaker import Undertaker  # noqa: E402
from throwaway import FleetError, ServerError  # noqa: E402

# A test counts what it has built itself.
PROGRAMS = Path(os.environ.get("TROTH_PROGRAMS") or ROOT / "build" / "release" / "bin")
PAIRS = ("postgres+mysql", "postgres+mariadb")
LOGS = ROOT / "out" / "bench" / "failed"
SIDES = {"handcoded": "hand-coded", "troth": "troth"}
# What a transfer leaves for later, the `ended` that goes with a heartbeat, is done by then.
_TAIL_S = 3


class CountError(Exception):
    pass


class Load:
    """bench-count, which speaks in lines."""

    def __init__(self, stage_file: Path, side: str, options: argparse.Namespace) -> None:
        self._process = subprocess.Popen(
            [
                str(PROGRAMS / "bench-count"), str(stage_file), "--side", side, "--transfers",
                str(options.transfers), "--acknowledge", options.acknowledge, "--seed", str(options.seed),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        # Should this process be killed, the load must not go on without it.
        Undertaker.of_this_run().watch(self._process.pid)

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()

    def wait_warm(self) -> None:
        self._line()

    def go(self) -> dict:
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def finish(self) -> None:
        self._process.stdin.close()
        if self._process.wait() != 0:
            raise CountError("the transfers were counted, and are wrong")

    def _line(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            # It has said why itself.
            raise CountError("the load ended early")
        return line


def count_side(side: str, stage: Stage, counters: Counters, options: argparse.Namespace) -> Side:
    windows: list[Counts] = []
    with Load(stage.file, side, options) as load:
        load.wait_warm()
        time.sleep(_TAIL_S)
        with counters.window(windows):
            time.sleep(options.rest)
        with counters.window(windows):
            done = load.go()
            time.sleep(_TAIL_S)
        load.finish()
    if done["conflicts"]:
        raise CountError(f"{done['conflicts']} transfers of one client met locks: somebody else is there")
    rest, run = windows
    return Side(SIDES[side], done["transfers"], run, rest)


def count_pair(pair: str, directory: Path, options: argparse.Namespace) -> list[Side]:
    sides = []
    for side in [options.only] if options.only else SIDES:
        # Servers of its own, so that neither side's rest is the other's.
        agents = options.agents if side == "troth" else 0
        with Counters(directory, pair.split("+"), PROGRAMS) as counters:
            with Stage(pair, directory, with_troth=agents > 0, agents=agents, door=counters.door) as stage:
                try:
                    sides.append(count_side(side, stage, counters, options))
                except BaseException:
                    stage.keep_logs(LOGS / pair)
                    raise
            shutil.rmtree(stage.directory)
    return sides


def transfers(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100_000:
        raise argparse.ArgumentTypeError("1 to 100000 transfers")
    return value


def rest(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 3600:
        raise argparse.ArgumentTypeError("a rest takes 1 to 3600 seconds")
    return value


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run.sh count", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--databases", choices=PAIRS, help="one pair only (default: one after the other)")
    parser.add_argument(
        "--agents",
        type=int,
        choices=(1, 2),
        default=1,
        help="one for both databases, or one each (default 1)",
    )
    parser.add_argument(
        "--transfers", type=transfers, default=500, metavar="N", help="how many are counted (default 500)"
    )
    parser.add_argument(
        "--acknowledge",
        choices=("applied", "decided"),
        default="applied",
        help="when Troth answers (default applied)",
    )
    parser.add_argument(
        "--rest", type=rest, default=10, metavar="S", help="how long nobody asks for anything (default 10)"
    )
    parser.add_argument("--only", choices=tuple(SIDES), help="one side alone")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of the transfers that are drawn (default 1)"
    )
    parser.add_argument("--json-only", action="store_true", help="print nothing but the lines of JSON")
    parser.add_argument("--check-arguments", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def stop_here(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    options = arguments()
    if options.check_arguments:
        return 0
    os.environ["TROTH_PROGRAMS"] = str(PROGRAMS)
    signal.signal(signal.SIGTERM, stop_here)
    directory = Path(tempfile.mkdtemp(prefix="troth-bench-"))
    try:
        for pair in [options.databases] if options.databases else PAIRS:
            sides = count_pair(pair, directory, options)
            agents = f"{options.agents} agent{'s' if options.agents > 1 else ''}"
            title = (
                f"\n== count, {pair}, {agents}, {options.acknowledge}: "
                f"by transfer, of {options.transfers} one after the other"
            )
            if not options.json_only:
                print(table(title, sides), flush=True)
            for side in sides:
                print(json_line(pair, options.agents, options.acknowledge, side), flush=True)
    except (CountError, FleetError, ServerError, AssertionError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
