#!/usr/bin/python3
"""Counts what the stages of run.sh did.

  tally.py stage OUT STAGE EXIT_STATUS SECONDS   one stage's line, and on failure what failed; exits 1 on failure
  tally.py total OUT STAGE...                    the last line of the run
"""

import json
import re
import sys
import xml.etree.ElementTree
from pathlib import Path

_LOG_LINES = 60
_TEST_LINES = 25
# A run says which servers it used: name, then VERSION().
_SERVER = re.compile(r"(postgres|mariadb|mysql)\d+: ")


def count(out: Path, stage: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Names of the passed, failed and skipped tests, and what the failed ones said: from a JUnit file, or from the
    PASSED and FAILED lines of a log."""
    found = {"passed": [], "failed": [], "skipped": []}
    said = {}
    junit = out / f"{stage}.xml"
    if junit.exists():
        for case in xml.etree.ElementTree.parse(junit).iter("testcase"):
            # ctest repeats the name as the class.
            name = "::".join(dict.fromkeys([case.get("classname"), case.get("name")]))
            failure = case.find("failure") if case.find("failure") is not None else case.find("error")
            if failure is not None:
                found["failed"].append(name)
                said[name] = failure.text or case.findtext("system-out") or failure.get("message", "")
            elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
                found["skipped"].append(name)
            else:
                found["passed"].append(name)
    else:
        log = (out / f"{stage}.log").read_text(encoding="utf-8", errors="replace")
        for verdict, name in re.findall(r"^(PASSED|FAILED) ([\w.-]+)", log, re.MULTILINE):
            found[verdict.lower()].append(name)
    return found, said


def stage_line(out: Path, stage: str, status: int, seconds: int) -> int:
    found, said = count(out, stage)
    if status != 0 and not found["failed"]:
        found["failed"].append(f"{stage}: ended with exit code {status} (build, start, or nothing to run)")
    (out / f"{stage}.result").write_text(
        json.dumps({kind: len(names) for kind, names in found.items()}), encoding="utf-8"
    )
    numbers = ", ".join(f"{len(names)} {kind}" for kind, names in found.items())
    log = (out / f"{stage}.log").read_text(encoding="utf-8", errors="replace").splitlines()
    for line in log:
        if _SERVER.match(line):
            print(f"   {line}")
    print(f"   {numbers}, {seconds} s")
    for name in found["skipped"]:
        print(f"   skipped: {name}")
    if not found["failed"]:
        return 0
    for name, text in said.items():
        print(f"   --- {name}")
        _print_last(text.splitlines(), _TEST_LINES)
    if not said:
        print(f"   --- last lines of {out / f'{stage}.log'}")
        _print_last(log, _LOG_LINES)
    for name in found["failed"]:
        print(f"   failed: {name}")
    return 1


def _print_last(lines: list[str], count: int) -> None:
    for line in lines[-count:]:
        print(f"   | {line}")


def total(out: Path, stages: list[str]) -> int:
    sums = {"passed": 0, "failed": 0, "skipped": 0}
    for stage in stages:
        result = out / f"{stage}.result"
        if result.exists():
            for kind, number in json.loads(result.read_text(encoding="utf-8")).items():
                sums[kind] += number
    print(", ".join(f"{number} {kind}" for kind, number in sums.items()))
    return 0


def main() -> int:
    if sys.argv[1] == "stage":
        return stage_line(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    return total(Path(sys.argv[2]), sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
