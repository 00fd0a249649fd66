"""Fixtures of the fault tests."""

from collections.abc import Iterator

import pytest

import harness


@pytest.fixture
def cluster(servers: dict[str, harness.Server], workspace) -> Iterator[harness.Cluster]:
    with harness.Cluster(workspace, servers) as started:
        yield started
