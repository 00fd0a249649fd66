#!/usr/bin/python3
"""Planted bugs: mistakes that somebody would make, which the simulator must find.

  plants.py check                     each patch applies to the tree, alone and with the others
  plants.py lay-out DIR               a copy of the tree with every bug planted in it
  plants.py run BINARIES [NAME...]    seeks each (or these), with BINARIES/troth-sim-planted; prints a table

`NAME.patch`, beside this file, is a unified diff against the tree, with paths as `git diff` has them. It begins with lines
of comment: `# Breaks T2: ...` names the rule, attack or promise, the others why somebody would make this mistake. What it
changes is active only where `troth::planted("NAME")` is true (planted.h). Two may change one file, if they leave a line
between them.

Exit codes: 0 all well, 1 not, for the reason given, 2 wrong usage.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from planting import HERE, PlantError, all_plants, check, lay_out, run  # noqa: E402

# The most seeds that a planted bug may take, from seed 1 on.
SEEDS = 20_000
# The same binary with nothing switched on finds nothing in so many, and is, seed by seed, the run that it is without plants.
QUIET_SEEDS = 500


@dataclasses.dataclass
class Found:
    seed: int = 0
    broken: str = ""
    reached: int = 0  # how often its code was come to
    seconds: float = 0.0


def seek(binary: Path, plant: str, seeds: int) -> Found:
    began = time.monotonic()
    done = run([binary, "--plant", plant, "--seeds", str(seeds), "--until-broken", "--no-shrink", "--json"])
    found = Found(seconds=time.monotonic() - began)
    try:
        report = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise PlantError(
            f"{plant}: {binary.name} ended with {done.returncode}: {done.stderr[-2000:]}"
        ) from error
    found.reached = report["rare"].get("the plant was reached", 0)
    for failure in report["failures"]:
        found.seed, found.broken = failure["seed"], failure["broken"][0]
    return found


def compare_quiet(binaries: Path) -> str:
    """What is wrong with the planted binary while nothing is switched on; empty if nothing is."""
    reports = []
    for name in ("troth-sim", "troth-sim-planted"):
        done = run([binaries / name, "--seeds", str(QUIET_SEEDS), "--json"])
        if not done.stdout:
            return f"{name} ended with {done.returncode}: {done.stderr[-2000:]}"
        reports.append(json.loads(done.stdout.splitlines()[-1]))
    clean, planted = reports
    if planted["failures"]:
        first = planted["failures"][0]
        return f"with no plant switched on, seed {first['seed']} fails: {first['broken'][0]}"
    if clean["hash"] != planted["hash"]:
        return (
            "with no plant switched on the planted copy is not what the tree is (their hashes differ): a plant changes "
            "something where planted() is false"
        )
    return ""


def run_plants(binaries: Path, chosen: list[str], jobs: int, seeds: int) -> int:
    plants = {plant.name: plant for plant in all_plants()}
    for name in chosen:
        if name not in plants:
            raise PlantError(f"no plant '{name}': {HERE} has {', '.join(plants) or 'none'}")
    names = chosen or list(plants)
    if not names:
        raise PlantError(f"no bug is planted: {HERE} has no patch")
    began = time.monotonic()
    width = max(len(name) for name in names)
    print(f"{'plant':<{width}}  {'breaks':<26} {'seed':>6} {'s':>7}  found by")
    missed = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        quiet = pool.submit(compare_quiet, binaries)
        seeking = [(name, pool.submit(seek, binaries / "troth-sim-planted", name, seeds)) for name in names]
        for name, future in seeking:
            found = future.result()
            by = found.broken
            if not found.seed:
                missed.append(name)
                by = f"NOT FOUND in {seeds} seeds, which came to its code {found.reached} times"
            seed = found.seed or "-"
            print(
                f"{name:<{width}}  {plants[name].breaks:<26.26} {seed:>6} {found.seconds:>7.1f}  {by:.110}",
                flush=True,
            )
        wrong = quiet.result()
    print(
        f"{len(names) - len(missed)} of {len(names)} planted bugs found, each within {seeds} seeds, in "
        f"{time.monotonic() - began:.0f} s"
    )
    print(
        f"WRONG: {wrong}"
        if wrong
        else f"with none switched on: {QUIET_SEEDS} seeds are those of the tree, all well"
    )
    return 1 if missed or wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check")
    commands.add_parser("lay-out").add_argument("directory", type=Path)
    runs = commands.add_parser("run")
    runs.add_argument("binaries", type=Path)
    runs.add_argument("names", nargs="*")
    runs.add_argument("--jobs", type=int, default=os.cpu_count())
    runs.add_argument(
        "--seeds", type=int, default=SEEDS, help="another bound, for a first look [%(default)s]"
    )
    options = parser.parse_args()
    try:
        if options.command == "check":
            wrong = check()
            print("\n".join(wrong) or f"{len(all_plants())} plants apply")
            return 1 if wrong else 0
        if options.command == "lay-out":
            lay_out(options.directory)
            return 0
        return run_plants(options.binaries, options.names, options.jobs, options.seeds)
    except PlantError as error:
        print(f"plants.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
