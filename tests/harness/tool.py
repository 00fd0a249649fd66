"""The operator's tool, and its answer as JSON."""

from __future__ import annotations

import json
import os
import subprocess

from harness.cluster import Cluster
from harness.programs import programs_directory


def troth(cluster: Cluster, *words: str, exit_code: int | None = 0) -> dict:
    """`exit_code` None: any."""
    command = [
        programs_directory() / "troth", "--json", "--operator", "alice",
        "--coordinator", f"127.0.0.1:{cluster.coordinator_port}", *words,
    ]  # fmt: skip
    alice = cluster.certificate("operator", "alice")
    environment = {**os.environ, **(alice.environment if alice else {})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert exit_code in (
        None,
        done.returncode,
    ), f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout)
