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
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]

# The most seeds that a planted bug may take, from seed 1 on.
SEEDS = 20_000
# The same binary with nothing switched on finds nothing in so many, and is, seed by seed, the run that it is without plants.
QUIET_SEEDS = 500


class PlantError(Exception):
    """What is wrong with a plant, by its name."""


@dataclasses.dataclass(frozen=True)
class Plant:
    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def breaks(self) -> str:
        """What its first line says that it breaks: rules, attacks, or a promise; empty if it says nothing."""
        first = self.path.read_text(encoding="utf-8").split("\n", 1)[0]
        found = re.match(r"# Breaks (.+?)(?:: .*|\.)?$", first)
        return found.group(1) if found else ""

    @property
    def files(self) -> list[str]:
        return re.findall(r"^\+\+\+ b/(\S+)", self.path.read_text(encoding="utf-8"), re.MULTILINE)

    def check_form(self) -> None:
        text = self.path.read_text(encoding="utf-8")
        if not self.breaks:
            raise PlantError(f"{self.name}: its first line does not say `# Breaks RULE: how`")
        if not self.files:
            raise PlantError(f"{self.name}: it changes no file; write paths as `git diff` does (+++ b/...)")
        asked = set(re.findall(r'\bplanted\("([^"]*)"\)', text))
        if asked != {self.name}:
            raise PlantError(
                f'{self.name}: its change must ask planted("{self.name}"), and nothing else; it asks '
                f"{sorted(asked) or 'nothing'}"
            )

    def apply_alone(self, tree: Path, directory: Path) -> dict[str, Path]:
        """Its files, changed by nobody else, by name."""
        for name in self.files:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            if (tree / name).exists():
                shutil.copy(tree / name, directory / name)
        done = run(
            ["patch", "--strip=1", "--fuzz=0", "--force", "--no-backup-if-mismatch", "--reject-file=-"]
            + [f"--directory={directory}", f"--input={self.path}"]
        )
        if done.returncode != 0:
            raise PlantError(
                f"{self.name}: it does not apply to the tree any more:\n{done.stdout}{done.stderr}"
            )
        return {name: directory / name for name in self.files}


def run(command: list, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def all_plants(directory: Path = HERE) -> list[Plant]:
    return [Plant(path) for path in sorted(directory.glob("*.patch"))]


def planted_files(tree: Path, plants: list[Plant], work: Path) -> dict[str, Path]:
    """The files of the tree that plants change, with all of them in it. Each is applied to the clean file, and the results
    are merged: so each depends on the tree alone, not on those before it."""
    merged: dict[str, Path] = {}
    for plant in plants:
        plant.check_form()
        for name, changed in plant.apply_alone(tree, work / plant.name).items():
            if name not in merged:
                merged[name] = changed
                continue
            done = run(["git", "merge-file", merged[name], tree / name, changed])
            if done.returncode != 0:
                raise PlantError(
                    f"{plant.name}: it changes lines of {name} that another plant changes, or the next ones"
                )
    return merged


def check(tree: Path = ROOT, directory: Path = HERE) -> list[str]:
    """What is wrong: empty if nothing is."""
    wrong = []
    sound = []
    with tempfile.TemporaryDirectory(prefix="troth-plants-") as work:
        for plant in all_plants(directory):
            try:
                planted_files(tree, [plant], Path(work) / "alone")
                sound.append(plant)
            except PlantError as error:
                wrong.append(str(error))
        try:
            planted_files(tree, sound, Path(work) / "together")
        except PlantError as error:
            wrong.append(str(error))
    return wrong


def write_if_changed(path: Path, content: bytes) -> None:
    """What did not change is not compiled again."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


NAMES_FILE = "tests/sim/planted/names.cc"
NAMES_TEXT = """#include "tests/sim/planted/names.h"

#include <array>

namespace troth::sim {{

std::span<const std::string_view> planted_names() {{
  static constexpr std::array<std::string_view, {count}> kNames{{{names}}};
  return kNames;
}}

}}  // namespace troth::sim
"""


def lay_out(target: Path) -> None:
    plants = all_plants()
    if not plants:
        raise PlantError(f"no bug is planted: {HERE} has no patch")
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    if listed.returncode != 0:
        raise PlantError(f"git does not list the tree: {listed.stderr.strip()}")
    names = {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    with tempfile.TemporaryDirectory(prefix="troth-plants-") as work:
        planted = planted_files(ROOT, plants, Path(work))
        for name in names | set(planted):
            source = planted.get(name, ROOT / name)
            if name != NAMES_FILE:
                write_if_changed(target / name, source.read_bytes())
                shutil.copymode(source, target / name)
    words = ", ".join(f'"{plant.name}"' for plant in plants)
    write_if_changed(target / NAMES_FILE, NAMES_TEXT.format(count=len(plants), names=words).encode())
    # What is gone from the tree is gone from the copy; what was built there stays.
    for path in target.rglob("*"):
        name = str(path.relative_to(target))
        if path.is_file() and not name.startswith("build/") and name not in names | set(planted):
            path.unlink()


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
