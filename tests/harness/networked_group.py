"""A group of coordinators each of which, and the agent, has a network link of its own, so that links can fail."""

from __future__ import annotations

from pathlib import Path

from throwaway import Server
from throwaway.ports import free_port

from harness.certificates import CertificateAuthority
from harness.group import Group
from harness.network import Network


def node_of(replica: int) -> str:
    return f"replica{replica}"


AGENT = "agent"


class NetworkedGroup(Group):
    """
    with NetworkedGroup(workspace, servers) as group:
        leader = group.leader()
        group.network.split({node_of(leader)}, {node_of(n) for n in group.followers()})
        group.await_leader(other_than=leader)        # of those who are not cut off
        group.network.heal()

    With TLS, as nothing else is served beyond loopback. Clients are outside, and their way to each coordinator never fails.
    """

    def __init__(self, directory: Path, servers: dict[str, Server], replicas: int = 3) -> None:
        self.network = Network([*map(node_of, range(1, replicas + 1)), AGENT])
        try:
            authority = CertificateAuthority(directory / "ca")
            super().__init__(directory, servers, replicas, authority=authority)
        except BaseException:
            self.network.close()
            raise
        self.agent.settings["listen"] = f"{self.network.host(AGENT)}:{free_port()}"
        self.agent.command[:0] = self.network.inside(AGENT)
        for number in self.replicas:
            self.network.expose(node_of(number), self.port_of(number))
        for server in {vault.server.name: vault.server for vault in self.vaults}.values():
            self.network.lend(AGENT, server.port)

    def _host(self, number: int) -> str:
        return self.network.host(node_of(number))

    def _within(self, number: int) -> list[str]:
        return self.network.inside(node_of(number))

    def close(self) -> None:
        super().close()
        self.network.close()
