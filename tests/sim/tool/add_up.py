#!/usr/bin/python3
"""Adds up a results file of the simulator (troth-sim --results FILE), by commit.

  tests/sim/tool/add_up.py sim.jsonl

A seed that ran twice at one commit counts once: the second run could not find what the first did not. So a line whose seeds
another line of its commit has, wholly or in part, is left out, and said so. Exit code 1 where some seed failed.
"""

import argparse
import collections
import json
import sys
from pathlib import Path


class Sum:
    def __init__(self) -> None:
        self.seeds = 0
        self.virtual_hours = 0.0
        self.decisions = 0
        self.faults = collections.Counter()
        self.rare = collections.Counter()
        self.failures = []
        self.left_out = 0
        self._ranges = []

    def add(self, line: dict) -> None:
        begin, end = line["from"], line["from"] + line["seeds"]
        if any(begin < other_end and other_begin < end for other_begin, other_end in self._ranges):
            self.left_out += 1
            return
        self._ranges.append((begin, end))
        self.seeds += line["seeds"]
        self.virtual_hours += line["virtual_hours"]
        self.decisions += line["decisions"]
        self.faults.update(line["faults"])
        self.rare.update(line["rare"])
        self.failures += line["failures"]

    def text(self, commit: str) -> str:
        said = (
            f"{commit}: {self.seeds} seeds, {len(self.failures)} failed; {self.virtual_hours:.0f} virtual hours, "
            f"{self.decisions} decisions, {sum(self.faults.values())} faults of {len(self.faults)} kinds, "
            f"{len(self.rare)} rare situations"
        )
        if self.left_out:
            said += f"; {self.left_out} lines left out, whose seeds another line has"
        for failure in self.failures:
            said += f"\n  seed {failure['seed']}: {failure['broken'][0]}\n    {failure['replay']}"
        return said


def add_up(lines: list[str]) -> dict[str, Sum]:
    sums = collections.defaultdict(Sum)
    # The longest first: it is kept where another one has some of its seeds.
    for line in sorted(map(json.loads, lines), key=lambda each: -each["seeds"]):
        sums[line["commit"]].add(line)
    return sums


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    sums = add_up(parser.parse_args().file.read_text(encoding="utf-8").splitlines())
    for commit, each in sums.items():
        print(each.text(commit))
    return 1 if any(each.failures for each in sums.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
