#!/usr/bin/python3
"""Measures transfers between two databases: hand-coded two-phase commit against Troth, in turns, in one run.

  bench/run.sh transfer
  bench/run.sh transfer --databases postgres+mysql --clients 8 --acknowledge applied --seconds 5
  bench/run.sh transfer --only handcoded --clients 1,32 --rounds 1      one side alone, for a profiler

Starts throwaway databases, makes a bank in them, starts Troth, prints the servers' versions, a table, and one line of
JSON for each cell; stops exactly what it started. bench/README.md tells how to read it.
Exit codes: 0 measured and the money was all there, 1 it failed for the reason given, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from stage import ROOT, Stage  # noqa: E402

from harness.undertaker import Undertaker  # noqa: E402
from throwaway import FleetError, ServerError  # noqa: E402

PROGRAMS = Path(os.environ.get("TROTH_PROGRAMS") or ROOT / "build" / "release" / "bin")
PAIRS = ("postgres+mysql", "postgres+mariadb")
LOGS = ROOT / "out" / "bench" / "failed"


def numbers_of_clients(text: str) -> str:
    for word in text.split(","):
        if not word.isascii() or not word.isdigit() or not 1 <= int(word) <= 200:
            raise argparse.ArgumentTypeError(f"'{word}' is no number of clients from 1 to 200")
    return text


def acknowledgements(text: str) -> str:
    for word in text.split(","):
        if word not in ("applied", "decided"):
            raise argparse.ArgumentTypeError(f"'{word}' is neither applied nor decided")
    return text


def seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError("a round takes 0.1 to 3600 seconds")
    return value


def rounds(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError("1 to 100 rounds")
    return value


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run.sh transfer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--databases", choices=PAIRS, help="one pair only (default: one after the other)")

    def option(name: str, kind, standard, metavar: str, text: str) -> None:
        parser.add_argument(
            name, type=kind, default=standard, metavar=metavar, help=f"{text} (default {standard})"
        )

    option("--clients", numbers_of_clients, "1,8,32", "N,..", "numbers of clients, a cell for each")
    option(
        "--acknowledge", acknowledgements, "applied,decided", "A,..", "when Troth answers, a cell for each"
    )
    option("--seconds", seconds, 5, "S", "length of a round")
    option("--rounds", rounds, 3, "N", "rounds of each side in a cell")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--only", choices=("handcoded", "troth"), help="one side alone; prints no JSON")
    parser.add_argument(
        "--agents",
        type=int,
        choices=(1, 2),
        default=1,
        help="one for both databases, or one each (default 1)",
    )
    option("--seed", int, 1, "N", "of the transfers that are drawn")
    output.add_argument("--json-only", action="store_true", help="print nothing but the lines of JSON")
    parser.add_argument("--check-arguments", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(pair: str, directory: Path, options: argparse.Namespace) -> int:
    with Stage(pair, directory, with_troth=options.only != "handcoded", agents=options.agents) as stage:
        code = run_load(stage.file, options)
        if code != 0:
            logs = LOGS / pair
            stage.keep_logs(logs)
            print(f"bench: what the servers wrote is in {logs}", file=sys.stderr)
        return code


def run_load(stage_file: Path, options: argparse.Namespace) -> int:
    command = [
        str(PROGRAMS / "bench-transfer"), str(stage_file), "--clients", options.clients, "--acknowledge",
        options.acknowledge, "--seconds", str(options.seconds), "--rounds", str(options.rounds), "--seed",
        str(options.seed),
    ]  # fmt: skip
    if options.only:
        command += ["--only", options.only]
    if options.json_only:
        command.append("--json-only")
    load = subprocess.Popen(command)
    # Should this process be killed, the load must not go on without it.
    Undertaker.of_this_run().watch(load.pid)
    try:
        # It has said why itself.
        return 0 if load.wait() == 0 else 1
    finally:
        if load.poll() is None:
            load.terminate()
            load.wait()


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
            if not options.json_only:
                print(f"\n== transfer, {pair}", flush=True)
            if (code := measure(pair, directory, options)) != 0:
                return code
    except (FleetError, ServerError, AssertionError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
