"""What deploy/group_files.py makes for three machines runs on three machines: each in a network namespace of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from harness import ROOT, Process, eventually, network, programs_directory
from harness.network import Network

pytestmark = pytest.mark.skipif(network.why_not() is not None, reason=network.why_not() or "")

MACHINES = ["one", "two", "three", "four"]


@pytest.fixture
def machines():
    with Network(MACHINES) as made:
        yield made


class _Files:
    def __init__(self, machines: Network, directory: Path) -> None:
        self.machines, self.directory = machines, directory
        self.processes: dict[str, Process] = {}
        self.cluster = ""

    def make(self, count: int, exit_code: int = 0) -> str:
        hosts = [self.machines.host(each) for each in MACHINES[:count]]
        # Each machine has its own /etc and /var; these share one disk.
        for host in hosts:
            done = subprocess.run(
                [
                    *(ROOT / "deploy" / "group_files.py", self.directory, *hosts),
                    *("--etc", self.directory / host, "--data-directory", self.directory / host / "data"),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == exit_code, done.stdout + done.stderr
            if exit_code != 0:
                return done.stderr
            # Of each call the file of the machine whose paths it had.
            own = self.directory / host / "coordinator.toml"
            own.with_suffix(".kept").write_text(own.read_text())
        for host in hosts:
            own = self.directory / host / "coordinator.toml"
            own.write_text(own.with_suffix(".kept").read_text())
        return done.stdout

    def init(self, machine: str, *which: str) -> None:
        done = self.troth("--json", "cluster", "init", "--config", self.configuration(machine), *which)
        self.cluster = json.loads(done.stdout)["cluster"]

    def configuration(self, machine: str) -> str:
        return str(self.directory / self.machines.host(machine) / "coordinator.toml")

    def start(self, machine: str) -> None:
        command = [programs_directory() / "troth-coordinator", "--config", self.configuration(machine)]
        process = self.processes.setdefault(
            machine,
            Process(machine, [*self.machines.inside(machine), *command], self.directory, ready=r"^ready "),
        )
        process.start()

    def troth(self, *words: str, exit_code: int | None = 0) -> subprocess.CompletedProcess:
        addresses = ",".join(f"{self.machines.host(each)}:7710" for each in self.processes or MACHINES)
        certificate = [f"--tls-{part}" for part in ("ca", "certificate", "key")]
        files = ["ca.pem", "operator-operator.pem", "operator-operator.key"]
        options = [word for pair in zip(certificate, files) for word in pair]
        done = subprocess.run(
            [
                *self.machines.inside(MACHINES[0]),
                *(programs_directory() / "troth", "--coordinator", addresses, *options, *words),
            ],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        print("$ troth", *words, f"[{done.returncode}]\n{done.stdout}{done.stderr}")
        assert exit_code in (None, done.returncode), done.stdout + done.stderr
        return done


def test_the_files_for_three_machines_make_a_group_and_for_a_fourth_too(machines, workspace) -> None:
    files = _Files(machines, workspace / "group")
    printed = files.make(3)
    assert "systemctl enable --now troth-coordinator" in printed
    assert "cluster add" not in printed
    try:
        files.init("one", "--name", "bank")
        for other in ("two", "three"):
            files.init(other, "--cluster", files.cluster)
        for machine in MACHINES[:3]:
            files.start(machine)
        # Nobody serves transactions: all that is asked is whether they are a group.
        eventually(lambda: files.troth("cluster", "status", exit_code=None).returncode == 0, "all is well")

        assert "cluster add 4" in files.make(4)
        files.init("four", "--cluster", files.cluster)
        for machine in MACHINES[:3]:
            files.processes[machine].stop()
            files.start(machine)
        files.start("four")
        files.troth("cluster", "add", "4", "--reason", "a fourth machine")
        seen = json.loads(files.troth("--json", "cluster", "status").stdout)
        assert (seen["voters"], seen["well"]) == ([1, 2, 3, 4], True)
        assert seen["began"].startswith("replicas 1, 2, 3:")
        machines.isolate("three")
        eventually(lambda: files.troth("cluster", "status", exit_code=None).returncode == 5, "one is missed")
    finally:
        for process in files.processes.values():
            process.kill()


def test_other_founders_and_doubled_hosts_are_refused(machines, workspace) -> None:
    directory = workspace / "group"

    def make(*hosts: str) -> str:
        command = [ROOT / "deploy" / "group_files.py", directory, *hosts]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 2)
        return done.stderr

    assert "named twice" in make("10.0.0.1", "10.0.0.1", "10.0.0.2")
    assert make("10.0.0.1", "10.0.0.2", "10.0.0.3") == ""
    assert "began with 10.0.0.1, 10.0.0.2, 10.0.0.3" in make("10.0.0.1", "10.0.0.4", "10.0.0.3")
