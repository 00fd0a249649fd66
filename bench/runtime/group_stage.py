"""A group of coordinators on loopback, with agents whose databases do nothing: the stage of decide, failover and recover."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(1, str(ROOT / "bench"))

from counts import SLOT_BYTES, parse_syncs  # noqa: E402
from harness import Process, ProcessError, Program, eventually, free_port, programs_directory  # noqa: E402
from harness.thrift_api import Remote  # noqa: E402
from harness.undertaker import Undertaker  # noqa: E402
from thrift.Thrift import TException  # noqa: E402

RESOURCES = ("nothing_a", "nothing_b")
_READY_WITHIN_S = 60
_SLOTS = 1024


class BenchError(Exception):
    pass


class SyncTable:
    """What processes force to the disk, file by file: see bench/runtime/sync_counter.cc."""

    def __init__(self, directory: Path) -> None:
        self._library = programs_directory() / "libsync_counter.so"
        self._table = directory / "syncs"
        self._table.write_bytes(bytes(_SLOTS * SLOT_BYTES))

    @property
    def environment(self) -> dict[str, str]:
        """Of processes that are to be counted."""
        return {"LD_PRELOAD": str(self._library), "TROTH_SYNC_COUNTS": str(self._table)}

    def below(self, directory: Path) -> int:
        """How often a file there was forced."""
        found = parse_syncs(self._table.read_bytes())
        return sum(count for path, count in found.items() if path.startswith(f"{directory}/"))


class GroupStage:
    """
    with GroupStage(directory, agent="whole") as stage:
        stage.leader()                      # its number
        stage.coordinators[stage.leader()].kill()
    """

    def __init__(
        self,
        directory: Path,
        replicas: int = 3,
        agent: str = "none",
        settings: dict | None = None,
        count_syncs: bool = False,
    ) -> None:
        """`agent`: "whole", a real one whose databases do nothing; "holding", one that only answers, and lets no commit end
        before `release`; "none". `settings`: the coordinators', over those of here. `count_syncs`: in `syncs`.
        """
        self.directory = directory
        self.syncs = SyncTable(directory) if count_syncs else None
        self._agent_kind = agent
        self.listed = [
            {
                "number": number,
                "address": f"127.0.0.1:{free_port()}",
                "peer_address": f"127.0.0.1:{free_port()}",
            }
            for number in range(1, replicas + 1)
        ]
        environment = self.syncs.environment if self.syncs else {}
        self.coordinators = {
            own["number"]: Program(
                "troth-coordinator",
                directory / f"coordinator{own['number']}",
                {
                    "listen": own["address"],
                    "group": {"replica": own["number"]},
                    "replicas": self.listed,
                    **(settings or {}),
                },
                environment=environment,
            )
            for own in self.listed
        }
        self.agent: Process | None = None
        self._running = contextlib.ExitStack()

    def __enter__(self) -> GroupStage:
        with contextlib.ExitStack() as starting:
            first, *others = self.coordinators.values()
            cluster = first.init("bench")
            for other in others:
                other.join(cluster)
            for coordinator in self.coordinators.values():
                # Before the start: one that does not become ready is ended as well.
                starting.callback(coordinator.kill)
                coordinator.launch()
            for coordinator in self.coordinators.values():
                coordinator.wait_ready(_READY_WITHIN_S)
            self.await_leader()
            if self._agent_kind != "none":
                self._start_agent(starting)
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @property
    def addresses(self) -> str:
        return ",".join(each["address"] for each in self.listed)

    def address_of(self, number: int) -> str:
        return next(each["address"] for each in self.listed if each["number"] == number)

    def data_of(self, number: int) -> Path:
        return Path(self.coordinators[number].settings["data_directory"])

    def administration(self, number: int, timeout_s: float = 2) -> Remote:
        port = int(self.address_of(number).rsplit(":", 1)[1])
        return Remote(port, "Administration", timeout_s=timeout_s)

    def group_status(self, number: int):
        with self.administration(number) as administration:
            return administration.group_status()

    def cluster_status(self, number: int):
        with self.administration(number, timeout_s=30) as administration:
            return administration.cluster_status()

    def leader(self) -> int:
        """Who leads and serves, and whom a majority follows; an AssertionError, where nobody does. Who stood still for a
        while may say that it leads, and does no more."""
        found = {}
        for number, coordinator in self.coordinators.items():
            if not coordinator.runs() or coordinator.is_paused():
                continue
            with contextlib.suppress(TException, OSError, EOFError):
                found[number] = self.group_status(number)
        for number, status in found.items():
            followers = [
                each for each in found.values() if each.leader == number and each.round == status.round
            ]
            if status.state == "leads" and status.serves and 2 * len(followers) > len(self.coordinators):
                return number
        raise AssertionError("nobody leads, serves and is followed")

    def await_leader(self, within_s: float = 30) -> int:
        return eventually(self.leader, "the group has a leader that serves", within_s)

    def await_whole(self, within_s: float = 60) -> int:
        """Every coordinator votes, reaches every other one, and has what the leader has, but for what is on its way."""

        def whole() -> int:
            leader = self.leader()
            found = {number: self.group_status(number) for number in self.coordinators}
            for number, status in found.items():
                assert status.standing == "votes", f"coordinator {number} {status.standing}"
                assert all(peer.reached for peer in status.others), f"{number} does not reach every other one"
                # Some decisions come between two questions.
                behind = found[leader].chosen - status.chosen
                assert behind < 1000, f"coordinator {number} is {behind} slots behind"
            return leader

        def asked() -> int:
            try:
                return whole()
            except (TException, OSError, EOFError) as not_yet:
                raise AssertionError(f"{not_yet}") from not_yet

        return eventually(asked, "the group is whole", within_s)

    def await_served(self) -> None:
        """The leader has every resource."""

        def served() -> bool:
            try:
                found = self.cluster_status(self.leader()).resources
            except (TException, OSError, EOFError) as not_yet:
                raise AssertionError(f"{not_yet}") from not_yet
            states = {each.name: each.health.state for each in found}
            assert states == dict.fromkeys(RESOURCES, "serving"), f"resources are {states}"
            return True

        eventually(served, "the leader has every resource", _READY_WITHIN_S)

    def release(self) -> None:
        """From now on the agent that holds says of each commit that it is done."""
        os.kill(self.agent.pid, signal.SIGUSR1)

    def keep_logs(self, target: Path) -> None:
        """Copies what the servers wrote to where it outlives them."""
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for log in self.directory.glob("*/*.log"):
            shutil.copyfile(log, target / log.name)

    def _start_agent(self, starting: contextlib.ExitStack) -> None:
        directory = self.directory / "agent"
        if self._agent_kind == "holding":
            directory.mkdir()
            command = [programs_directory() / "bench-yes-agent", "--coordinators", self.addresses]
            command += ["--resources", ",".join(RESOURCES), "--hold"]
            self.agent = Process("agent", command, directory, ready=r"^ready ")
        else:
            resource = {"kind": "mysql", "database": "nothing", "user": "nobody", "sessions": 2}
            self.agent = Program(
                "bench-agent",
                directory,
                {
                    "listen": f"127.0.0.1:{free_port()}",
                    "coordinators": [each["address"] for each in self.listed],
                    "resource": [{"name": name, **resource} for name in RESOURCES],
                },
            )
            self.agent.init("bench")
        starting.callback(self.agent.kill)
        self.agent.start(_READY_WITHIN_S)
        self.await_served()


def load(program: str, *arguments: object, within_s: float = 600) -> dict:
    """A program that measures and prints one line of JSON; ended with this process."""
    command = [str(programs_directory() / program), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    Undertaker.of_this_run().watch(process.pid)
    try:
        printed, said = process.communicate(timeout=within_s)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode != 0:
        raise BenchError(f"{program} ended with {process.returncode}: {said.strip()}")
    return json.loads(printed)


def sync_p50_ms(directory: Path, times: int = 300) -> float:
    """What half of the syncs there take at most: of a file that has its size already, a block at a time."""
    path = directory / "sync-probe"
    block = os.urandom(512)
    took = []
    with open(path, "wb", buffering=0) as file:
        file.write(bytes(512 * times))
        os.fsync(file.fileno())
        for at in range(times):
            os.pwrite(file.fileno(), block, 512 * at)
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - begin) * 1000)
    path.unlink()
    return statistics.median(took)


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    fields = stat[stat.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def carry_out(measure: Callable, options: argparse.Namespace, programs: Path) -> int:
    """A whole bench, in a directory of its own; its exit code."""
    if options.check_arguments:
        return 0
    os.environ["TROTH_PROGRAMS"] = str(programs)
    signal.signal(signal.SIGTERM, _stop_here)
    directory = Path(tempfile.mkdtemp(prefix="troth-bench-"))
    try:
        measure(directory, options)
    except (BenchError, ProcessError, AssertionError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


def _stop_here(number: int, _: object) -> None:
    raise SystemExit(128 + number)
