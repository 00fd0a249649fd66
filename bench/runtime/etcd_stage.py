"""Three etcd on loopback, the peer of bench/run.sh decide. Debian's packages: deploy/packages.sh bench."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from group_stage import BenchError, load
from harness import Process, eventually, free_port

_READY_WITHIN_S = 60


def missing(programs: Path) -> str:
    """What this machine lacks to measure etcd, in words; empty: nothing."""
    absent = [name for name in ("etcd", "etcdctl") if shutil.which(name) is None]
    if not (programs / "bench-etcd").exists():
        absent.append("bench-etcd (built where libgrpc++-dev and protobuf-compiler-grpc are installed)")
    return (
        f"there is no {', no '.join(absent)}; deploy/packages.sh bench installs what it takes"
        if absent
        else ""
    )


class EtcdStage:
    """Started as its manual says, and nothing tuned: it forces each batch of writes to the disk, as Troth does."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._clients = {f"etcd{number}": free_port() for number in (1, 2, 3)}
        peers = {name: free_port() for name in self._clients}
        everybody = ",".join(f"{name}=http://127.0.0.1:{port}" for name, port in peers.items())
        self._members = [
            Process(name, self._command(name, peers[name], everybody), directory / name)
            for name in self._clients
        ]
        self._running = contextlib.ExitStack()
        self._turn = 0
        self.version = ""

    def __enter__(self) -> EtcdStage:
        with contextlib.ExitStack() as starting:
            for member in self._members:
                member.directory.mkdir(parents=True)
                starting.callback(member.kill)
                member.start()
            self.version = eventually(self._healthy, "etcd has a leader", _READY_WITHIN_S)
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def measure(self, in_flight: int, options: argparse.Namespace) -> dict:
        """Writes, at the leader, as bench-decide makes decisions; each round writes keys of its own."""
        self._turn += 1
        return load(
            "bench-etcd", "--etcd", self._leader(), "--in-flight", in_flight, "--seconds", options.seconds,
            "--warm-up", options.warm_up, "--call", options.etcd_call, "--keys", f"round-{self._turn}",
        )  # fmt: skip

    def check_perf(self, size: str) -> tuple[float, str]:
        """Writes by second as etcd's own check has them, and its own lines."""
        done = subprocess.run(
            ["etcdctl", "--endpoints", self._endpoints, "check", "perf", f"--load={size}"],
            env=os.environ | {"ETCDCTL_API": "3"}, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        # It ends with 1 where its own expectation is missed, and has measured all the same.
        rate = re.search(r"[Tt]hroughput[^0-9]*(\d+) writes/s", done.stdout)
        if not rate:
            raise BenchError(f"etcdctl check perf ended with {done.returncode}: {done.stdout}{done.stderr}")
        said = re.findall(r"(?:PASS|FAIL): .*$", done.stdout, re.MULTILINE)
        return float(rate[1]), "\n".join(f"  {line}" for line in said)

    @property
    def _endpoints(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self._clients.values())

    def _command(self, name: str, peer_port: int, everybody: str) -> list[str]:
        client, peer = f"http://127.0.0.1:{self._clients[name]}", f"http://127.0.0.1:{peer_port}"
        return [
            "etcd", "--name", name, "--data-dir", str(self._directory / name / "data"), "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", everybody, "--initial-cluster-state", "new", "--log-level", "warn",
            # Else it refuses writes past 2 GB.
            "--quota-backend-bytes", str(8 << 30),
        ]  # fmt: skip

    def _status(self) -> list[dict]:
        done = subprocess.run(
            ["etcdctl", "--endpoints", self._endpoints, "endpoint", "status", "-w", "json"],
            env=os.environ | {"ETCDCTL_API": "3"}, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"etcdctl endpoint status: {done.stderr}"
        return json.loads(done.stdout)

    def _healthy(self) -> str:
        found = self._status()
        leaders = {each["Status"].get("leader", 0) for each in found}
        assert len(found) == len(self._members) and len(leaders) == 1 and 0 not in leaders, f"{found}"
        return found[0]["Status"]["version"]

    def _leader(self) -> str:
        for each in self._status():
            if each["Status"]["header"]["member_id"] == each["Status"]["leader"]:
                return each["Endpoint"]
        raise BenchError("etcd has no leader")
