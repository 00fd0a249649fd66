"""A whole Troth whose coordinators are a group."""

from __future__ import annotations

import dataclasses
import itertools
import time
from pathlib import Path

from thrift.Thrift import TException
from throwaway import Server
from throwaway.ports import free_port

from harness.cluster import Cluster
from harness.programs import Program
from harness.thrift_api import Client, Remote, api
from harness.waiting import eventually

# What only a coordinator of a group exports.
METRICS = {"troth_coordinator_replica_reached", "troth_coordinator_snapshots_total"}

# The smallest segments that take the group's largest entry.
_SEGMENT_BYTES = 8 << 20


class Group(Cluster):
    """
    with Group(workspace, servers, replicas=3) as group:
        leader = group.leader()
        group.replicas[leader].kill()
        group.await_leader(other_than=leader)
        with group.client() as client:            # at any coordinator that runs
            client.run(...)
    """

    def __init__(self, directory: Path, servers: dict[str, Server], replicas: int = 3, **options) -> None:
        super().__init__(directory, servers, **options)
        self.listed = [self._listed(number) for number in range(1, replicas + 1)]
        alone = self.coordinator.settings
        self.replicas = {each["number"]: self._replica(each["number"], alone) for each in self.listed}
        self.coordinator = self.replicas[1]
        self.agent.settings["coordinators"] = [each["address"] for each in self.listed]
        self.cluster_id = ""
        self.voters = set(self.replicas)
        self._founders = ", ".join(map(str, self.replicas))
        self._turn = itertools.count()

    def _host(self, _number: int) -> str:
        return "127.0.0.1"

    def _within(self, _number: int) -> list[str]:
        return []

    def _listed(self, number: int) -> dict:
        host = self._host(number)
        return {
            "number": number,
            "address": f"{host}:{free_port()}",
            "peer_address": f"{host}:{free_port()}",
        }

    def _replica(self, number: int, alone: dict) -> Program:
        own = next(each for each in self.listed if each["number"] == number)
        settings = {key: value for key, value in alone.items() if key != "data_directory"}
        settings |= {
            "listen": own["address"],
            "group": {"replica": number},
            "replicas": self.listed,
            "decision_log": {"segment_bytes": _SEGMENT_BYTES, "log_bytes": 8 * _SEGMENT_BYTES},
        }
        directory = self.directory / f"coordinator{number}"
        return Program("troth-coordinator", directory, settings, within=self._within(number))

    def list_another(self, number: int) -> Program:
        """One more replica in everybody's files, also in its own, not started; the others read theirs when they start."""
        self.listed.append(self._listed(number))
        added = self.replicas[number] = self._replica(number, self.coordinator.settings)
        for each in self.replicas.values():
            each.settings["group"]["founders"] = self._founders
        self.agent.settings["coordinators"].append(self.listed[-1]["address"])
        return added

    def restart_in_turn(self) -> None:
        """As an operator does it, the leader last."""
        for number in [*self.followers(), self.leader()]:
            if self.replicas[number].runs():
                self.replicas[number].stop(within_s=15)
                self.replicas[number].start()
                self.await_leader()

    def administration(self, number: int) -> Remote:
        """As the operator alice."""
        return Remote(
            self.port_of(number), "Administration", certificate=self.certificate("operator", "alice")
        )

    def transfer(self, to: int) -> None:
        """Returns when it leads."""
        request = api("administration").TransferLeadRequest(to=to, reason="a test", operator_name="alice")
        if self.await_leader() != to:
            with self.administration(self.await_leader()) as asked:
                asked.transfer_lead(request)

    def change(self, voters: list[int], learners: list[int] = ()):
        """To these, with the smallest majorities; returns the group's state when the change is in effect."""
        request = api("administration").ChangeGroupRequest(
            voters=voters,
            learners=list(learners),
            write_quorum=0,
            elect_quorum=0,
            read_quorum=0,
            reason="a test",
            operator_name="alice",
        )
        with self.administration(self.await_leader()) as asked:
            changed = asked.change_group(request)
        self.voters = set(changed.voters)
        return changed

    def replace(self, lost: int, by: int) -> None:
        """One step after the other, so that quorums of each two neighbours share a replica."""
        rest = sorted(self.voters - {lost})
        self.change([*rest, lost], [by])
        self.change([*rest, lost, by])
        assert self.change([*rest, by]).voters == [*rest, by]

    @property
    def coordinators(self) -> list[Program]:
        return list(self.replicas.values())

    def start_coordinators(self) -> None:
        first, *others = self.coordinators
        self.cluster_id = first.init("bank")
        for other in others:
            other.join(self.cluster_id)
        for coordinator in self.coordinators:
            coordinator.launch()
        for coordinator in self.coordinators:
            coordinator.wait_ready()
        self.await_leader()

    def port_of(self, number: int) -> int:
        """Where clients call it, also while it does not run."""
        return int(self.replicas[number].settings["listen"].rsplit(":", 1)[1])

    def port_to_call(self) -> int:
        running = [n for n, each in self.replicas.items() if each.runs() and not each.is_paused()]
        running = running or list(self.replicas)
        return self.port_of(running[next(self._turn) % len(running)])

    def client_of(self, number: int, name: str = "harness", **options) -> Client:
        return Client(self.port_of(number), name, certificate=self.certificate("service", name), **options)

    def leader(self, of: set[int] | None = None) -> int | None:
        """Whom most of those that vote take for the leader; None where they do not agree. `of`: those that are asked, where
        others are cut off."""
        seen = [view.leader for n, view in self.views(of).items() if view.leader is not None]
        leaders = set(seen)
        return leaders.pop() if len(leaders) == 1 and 2 * len(seen) > len(self.voters) else None

    def await_leader(
        self, other_than: int | None = None, within_s: float = 20, of: set[int] | None = None
    ) -> int:
        def found() -> int | None:
            leader = self.leader(of)
            assert leader is not None and leader != other_than, f"the leader is {leader}: {self.views()}"
            return leader

        return eventually(found, "the group has a leader", within_s)

    def followers(self) -> list[int]:
        leader = self.leader()
        return [number for number in self.replicas if number != leader]

    @dataclasses.dataclass(frozen=True)
    class View:
        leader: int | None

    def views(self, of: set[int] | None = None) -> dict[int, View]:
        """What each coordinator that runs says of the group."""
        found = {}
        for number, coordinator in self.replicas.items():
            if of is not None and number not in of:
                continue
            if not coordinator.runs() or coordinator.is_paused():
                continue
            try:
                found[number] = self._view(number)
            except (TException, OSError, EOFError):
                pass
        return found

    def _view(self, number: int) -> View:
        hello = api("common").Hello(version=1, features=[], program="harness", cluster="")
        certificate = self.certificate("service", "harness")
        with Remote(self.port_of(number), "Transactions", timeout_s=2, certificate=certificate) as service:
            said = service.hello(hello)
        by_address = {each["address"]: each["number"] for each in self.listed}
        return self.View(by_address.get(said.leader))

    def first_commit(
        self, since: float, transfer: str, within_s: float = 20, at: set[int] | None = None
    ) -> float:
        """Seconds from `since` (time.monotonic()) until a transfer commits that is asked for again and again, `at` any of
        these."""
        turn = itertools.cycle(sorted(at or ()))
        names = list(self.bank.vaults)
        refused: list[str] = []
        for attempt in itertools.count():
            waited = time.monotonic() - since
            assert waited < within_s, f"no transfer has committed within {within_s} s: {refused}"
            try:
                with self.client_of(next(turn), timeout_s=5) if at else self.client(timeout_s=5) as client:
                    # Of accounts that no mix of transactions touches.
                    work = self.bank.transfer(
                        f"{transfer}-{attempt}", names[0], 199, names[-1], 200, amount=1
                    )
                    client.run(work, timeout_ms=3000)
                return time.monotonic() - since
            except (TException, OSError, EOFError) as why:
                refused.append(f"{waited:.3f} s: {getattr(why, 'message', None) or why!r}")
                print(refused[-1])
                time.sleep(0.005)
        raise AssertionError("not reached")
