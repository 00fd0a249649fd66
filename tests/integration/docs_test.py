"""The commands that the documents show, run as they stand there: what they print is what the documents say.

A block ```console holds commands behind `$ ` and, under each, what it prints. Ids, times and numbers of sessions differ from
run to run and are compared by their shape; a line `...` stands for any lines, `...` inside a line for any text.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from harness import ROOT, Cluster, Fleet, eventually
from harness.programs import programs_directory

PAGES = ("README.md", "docs/services.md", "docs/operations.md")
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
_TRANSACTION = re.compile(r"\bbank-[a-z0-9]{6}(?:\.\d+){2}(?:\.s\d+)?")
_SHAPES = [
    (re.compile(r"bank-[a-z0-9]{6}"), "bank-######"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "REQUEST-ID"),
    (re.compile(r"agent-[a-z0-9]{6}"), "agent-######"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    # Given in the order of registering.
    (re.compile(r"\| \d+ +\| (?=(?:postgres|mysql|mariadb) )"), "| NUMBER | "),
    (re.compile(r"-[-+]{2,}"), "---"),
    (re.compile(r" +"), " "),
]


def _commands(page: str) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for block in _BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found and found[-1][0].endswith("\\"):
                found[-1] = (found[-1][0][:-1] + line.strip(), [])
            else:
                found[-1][1].append(line)
    return found


@pytest.fixture(scope="module")
def documented(fleet: Fleet, tmp_path_factory):
    servers = {server.kind: server for server in fleet.servers}
    directory = tmp_path_factory.mktemp("documented")
    with Cluster(directory, servers, resources=("accounts_pg", "accounts_my")) as started:
        yield started


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_is_what_happens(documented: Cluster, page: str) -> None:
    commands = _commands(page)
    assert commands, f"{page} shows no command"
    ids: dict[str, str] = {}
    for command, expected in commands:
        eventually(lambda: _nothing_shows_in_doubt(documented), "nothing shows in doubt")
        printed = _run(documented, _with_known_ids(command, ids))
        _learn_ids("\n".join(expected), printed, ids)
        _compare(page, command, "\n".join(expected), printed)


def _run(cluster: Cluster, command: str) -> str:
    words = shlex.split(command)
    assert words[0] == "troth", f"only the tool's commands can be run here: {command}"
    environment = os.environ | {"TROTH_COORDINATOR": f"127.0.0.1:{cluster.coordinator_port}", "USER": "alice"}
    done = subprocess.run(
        [programs_directory() / "troth", *words[1:]],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd=cluster.directory,
        check=False,
    )
    return (done.stdout + done.stderr).rstrip("\n")


def _nothing_shows_in_doubt(cluster: Cluster) -> bool:
    """An abort waits for nobody: what the command before left is still being rolled back for a moment, and the list of
    resources is as old as the last heartbeat."""
    shown = re.findall(r"\| serving \| (\d+) ", _run(cluster, "troth resources"))
    return shown == ["0"] * len(cluster.vaults) and "nothing is in doubt" in _run(cluster, "troth in-doubt")


def _with_known_ids(command: str, ids: dict[str, str]) -> str:
    """A page's later commands name the transactions that its earlier ones made."""
    return _TRANSACTION.sub(lambda found: ids.get(found[0], found[0]), command)


def _learn_ids(expected: str, printed: str, ids: dict[str, str]) -> None:
    for shown, real in zip(_TRANSACTION.findall(expected), _TRANSACTION.findall(printed), strict=False):
        ids.setdefault(shown, real)


def _shape(text: str) -> str:
    text = _TRANSACTION.sub("bank-######.N.N", text)
    for pattern, shape in _SHAPES:
        text = pattern.sub(shape, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def _compare(page: str, command: str, expected: str, printed: str) -> None:
    pattern = ""
    for line in _shape(expected).splitlines():
        pattern += r"(?:.*\n)*" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + r"\n"
    assert re.fullmatch(pattern, _shape(printed) + "\n"), f"{page}: $ {command}\nprinted:\n{printed}\n"


def test_pages_link_to_what_is_there() -> None:
    broken = []
    for page in sorted(ROOT.glob("**/*.md")):
        if {"build", "out", ".git"} & set(page.relative_to(ROOT).parts):
            continue
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http") and not (page.parent / Path(target)).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken, broken
