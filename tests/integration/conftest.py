"""Fixtures of the integration tests: one running Troth for a file, because its tests leave it whole."""

from collections.abc import Iterator

import pytest

import harness


@pytest.fixture(scope="module")
def cluster(fleet: harness.Fleet, tmp_path_factory) -> Iterator[harness.Cluster]:
    servers = {server.kind: server for server in fleet.servers}
    with harness.Cluster(tmp_path_factory.mktemp("cluster"), servers) as started:
        yield started
        started.bank.check()
