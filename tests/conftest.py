"""Fixtures of every Python test."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness
from harness.undertaker import Undertaker

_KINDS = ("postgres", "mariadb", "mysql")


@pytest.fixture(scope="session")
def fleet(pytestconfig: pytest.Config) -> Iterator[harness.Fleet]:
    """One Postgres, one MariaDB, one MySQL for the whole run, or for each of two halves that run at once; it says what they
    are."""
    Undertaker.of_this_run()
    with harness.Fleet.temporary(owner=os.getpid()) as started:
        started.start({kind: 1 for kind in _KINDS})
        versions = [f"{server.name}: {server.version}" for server in started.servers]
        if hasattr(pytestconfig, "workeroutput"):
            pytestconfig.workeroutput["servers"] = versions
        else:
            with pytestconfig.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
                print("", *versions, sep="\n")
        yield started


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error) -> None:
    """Of pytest-xdist: what a half has used."""
    print("", *getattr(node, "workeroutput", {}).get("servers", []), sep="\n")


@pytest.fixture
def servers(fleet: harness.Fleet) -> dict[str, harness.Server]:
    """By kind; they run, and hold nothing prepared, whatever the test before did to them."""
    for server in fleet.servers:
        server.resume()
        if not server.runs():
            server.restart()
        harness.roll_back_prepared(server)
    return {server.kind: server for server in fleet.servers}


@pytest.fixture(params=_KINDS)
def server(request: pytest.FixtureRequest, servers: dict[str, harness.Server]) -> harness.Server:
    """Each kind in turn."""
    return servers[request.param]


@pytest.fixture
def workspace(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory of the test's own. When the test fails, its logs and configurations go to out/tests/failed/."""
    directory = Path(tempfile.mkdtemp(prefix="troth-test-"))
    Undertaker.of_this_run().watch_directory(directory)
    yield directory
    if getattr(request.node, "has_failed", False):
        kept = harness.ROOT / "out" / "tests" / "failed" / re.sub(r"[^\w.-]+", "_", request.node.nodeid)
        shutil.rmtree(kept, ignore_errors=True)
        for path in [*directory.rglob("*.log"), *directory.rglob("*.toml")]:
            target = kept / path.relative_to(directory)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    shutil.rmtree(directory)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = (yield).get_result()
    if report.failed:
        item.has_failed = True
