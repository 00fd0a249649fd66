"""A whole Troth in a directory: a coordinator, one agent behind a proxy, and a bank that its resources hold."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import re
import secrets
import subprocess
from pathlib import Path

from thrift.Thrift import TException
from throwaway import Server
from throwaway.ports import free_port

from harness.bank import Bank, Vault
from harness.certificates import Certificate, CertificateAuthority
from harness.programs import Program, programs_directory
from harness.proxy import Proxy
from harness.relay import Relay
from harness.request_ids import as_database_key, from_database_key
from harness.sessions import connected, create_account, fresh_database, rows
from harness.thrift_api import Client, Remote
from harness.waiting import eventually

RESOURCES = {"pg": "postgres", "my": "mysql", "ma": "mariadb"}
# As the documents call them.
DOCUMENTED = {"accounts_pg": "postgres", "accounts_my": "mysql"}


def install(vault: Vault, agent_configuration: Path) -> None:
    """Troth's own tables, and the agent's role's rights on them."""
    command = [
        programs_directory() / "troth",
        "install",
        vault.resource,
        "--agent-config",
        agent_configuration,
    ]
    admin = ["--admin-user", vault.server.admin, "--admin-password-file", vault.server.password_file]
    done = subprocess.run([*command, *admin], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"troth install: {done.stdout}{done.stderr}"


def _run_again(server: Server) -> None:
    server.resume()
    if not server.runs():
        server.restart()


@dataclasses.dataclass(frozen=True)
class Marker:
    transaction: str
    branch: int
    state: str


class Cluster:
    """
    with Cluster(workspace, servers) as cluster:
        with cluster.client() as client:
            client.run(cluster.bank.transfer("t1", "pg", 1, "my", 2, amount=10))
        cluster.agent.restart()
        cluster.bank.check()

    Waits are short, so that what is lost is found soon. The coordinator calls the agent through `proxy`.
    """

    def __init__(
        self,
        directory: Path,
        servers: dict[str, Server],
        resources: tuple[str, ...] = tuple(RESOURCES),
        twins: bool = False,
        relayed: bool = False,
        authority: CertificateAuthority | None = None,
    ) -> None:
        """`twins`: each resource has a second one beside it, on the same server: pg and pg2.
        `relayed`: agents reach each database through a relay of its own.
        `authority`: TLS on every connection of Troth; the proxy, which reads messages, is left out. The service
        `harness` may use everything, and the operator is alice."""
        self.directory = directory
        self.authority = authority
        self.vaults = [Vault(name, servers[(RESOURCES | DOCUMENTED)[name]], "") for name in resources]
        if twins:
            self.vaults += [dataclasses.replace(v, resource=f"{v.resource}2") for v in self.vaults]
        self.vaults = [dataclasses.replace(v, database=fresh_database(v.server)) for v in self.vaults]
        self.relays = {v.resource: Relay(v.server.port) for v in self.vaults if relayed}
        self.bank = Bank(self.vaults, accounts=200)
        self._roles = f"troth_{secrets.token_hex(4)}"
        coordinator_port = free_port()
        self.coordinator = Program(
            "troth-coordinator",
            directory / "coordinator",
            {
                "listen": f"127.0.0.1:{coordinator_port}",
                "http_listen": ":0",
                "times": {
                    "heartbeat_interval_ms": 100,
                    "agent_call_timeout_ms": 1000,
                    "redrive_first_ms": 100,
                    "redrive_longest_ms": 500,
                },
                "decision_log": {"segment_bytes": 1 << 20},
            },
        )
        agent_port = free_port()
        self.proxy = Proxy(agent_port)
        advertised = "" if authority else f"127.0.0.1:{self.proxy.port}"
        self.agent = self.another_agent("agent", f"127.0.0.1:{agent_port}", advertised)
        if authority:
            self.coordinator.settings["tls"] = authority.of("coordinator", "bank").settings
            self.coordinator.settings["services"] = [{"name": "harness", "resources": ["*"]}]
            self.agent.settings["tls"] = authority.of("agent", "agent").settings

    def another_agent(self, name: str, listen: str = "127.0.0.1:0", advertise: str = "") -> Program:
        """An agent in front of the same databases, with the same role."""
        return Program(
            "troth-agent",
            self.directory / name,
            {
                "listen": listen,
                "http_listen": ":0",
                "advertise": advertise,
                "coordinators": [self.coordinator.settings["listen"]],
                "resource": [self._resource(vault) for vault in self.vaults],
                "times": {
                    "first_inquiry_ms": 200,
                    "longest_inquiry_ms": 1000,
                    "list_interval_ms": 500,
                    "counter_interval_ms": 200,
                    "floor_interval_ms": 500,
                    "barrier_wait_ms": 500,
                    "cancel_grace_ms": 500,
                },
                "journal": {"segment_bytes": 1 << 20},
            },
        )

    def start(self) -> Cluster:
        self.bank.create()
        for vault in self.vaults:
            role = self.role(vault.resource)
            create_account(vault.server, vault.database, role, self.password_file(vault))
            if vault.server.kind == "postgres":
                vault.server.sql(f"GRANT ALL ON account, transfer_line TO {role}", vault.database)
        self.agent.init("agent")
        for vault in self.vaults:
            install(vault, self.agent.configuration)
        self.start_coordinators()
        self.agent.start()
        self.wait_serving()
        return self

    def start_coordinators(self) -> None:
        """For the first time."""
        self.coordinator.init("bank")
        self.coordinator.start()

    @property
    def coordinators(self) -> list[Program]:
        return [self.coordinator]

    def keep_steps_apart(self, apart: bool) -> None:
        """From the agent's next start: a branch goes step by step, also where one trip would do."""
        for resource in self.agent.settings["resource"]:
            resource["one_trip"] = not apart

    def close(self) -> None:
        self.agent.kill()
        for coordinator in self.coordinators:
            coordinator.kill()
        self.proxy.close()
        for relay in self.relays.values():
            relay.close()

    def __enter__(self) -> Cluster:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def role(self, resource: str) -> str:
        """A role of its own for each resource: at its start an agent ends every other session of it."""
        return f"{self._roles}_{resource}"

    @property
    def coordinator_port(self) -> int:
        """Also while it does not run."""
        return int(self.coordinator.settings["listen"].rsplit(":", 1)[1])

    def client(self, name: str = "harness", **options) -> Client:
        return Client(self.port_to_call(), name, certificate=self.certificate("service", name), **options)

    def port_to_call(self) -> int:
        """Of a coordinator, by whoever has no reason to prefer one."""
        return self.coordinator_port

    def certificate(self, role: str, name: str) -> Certificate | None:
        return self.authority.of(role, name) if self.authority else None

    def heal(self) -> None:
        """Everything runs, disarmed, and nothing is lost any more."""
        self.proxy.heal()
        for relay in self.relays.values():
            relay.bury()
        self.restart_servers()
        for program in (*self.coordinators, self.agent):
            program.disarm()
            if not program.runs() or program.is_paused():
                program.restart()
        self.wait_serving()

    def restart_servers(self) -> None:
        """Those that do not run."""
        servers = {vault.server.name: vault.server for vault in self.vaults}
        with concurrent.futures.ThreadPoolExecutor() as restarting:
            list(restarting.map(_run_again, servers.values()))

    def wait_serving(self, within_s: float = 30) -> None:
        eventually(self.serves, "every resource serves", within_s)

    def serves(self) -> bool:
        """The coordinator knows this start of the agent, and each resource serves; an AssertionError says what is
        missing. Runs no transaction, so that it reaches no crash point of one."""
        incarnation = int(re.search(r"^ready .*incarnation=(\d+)", self.agent.output(), re.MULTILINE)[1])
        resources = self._status().resources
        states = {r.name: (r.connected, r.incarnation, r.health.state) for r in resources}
        expected = {vault.resource: (True, incarnation, "serving") for vault in self.vaults}
        assert states == expected, f"{states} instead of {expected}"
        return True

    def wait_ended(self, within_s: float = 30) -> None:
        """Every transaction has ended, durably: a start of the coordinator takes none up again."""

        def ended() -> bool:
            opened = self._status().open_transactions
            assert opened == 0, f"{opened} are open"
            return True

        eventually(ended, "every transaction has ended", within_s)

    def _status(self):
        try:
            alice = self.certificate("operator", "alice")
            with Remote(
                self.port_to_call(), "Administration", timeout_s=5, certificate=alice
            ) as administration:
                return administration.cluster_status()
        except (TException, OSError, EOFError) as not_yet:
            raise AssertionError(f"{not_yet}") from not_yet

    def markers(self, resource: str, request_id: str) -> list[Marker]:
        """The rows that prove branches of this request."""
        vault = self.bank.vaults[resource]
        table = "troth.troth_branch" if vault.server.kind == "postgres" else "troth_branch"
        with connected(vault.server, vault.database) as session:
            found = rows(
                session,
                f"SELECT transaction, branch, state FROM {table} WHERE request_id = %s",
                as_database_key(request_id, vault.server.kind),
            )
        return [Marker(*row) for row in found]

    def proofs(self, resource: str) -> dict[str, int]:
        """request_id to the number of its committed markers."""
        vault = self.bank.vaults[resource]
        table = "troth.troth_branch" if vault.server.kind == "postgres" else "troth_branch"
        sql = f"SELECT request_id, count(*) FROM {table} WHERE state = 'committed' GROUP BY request_id"
        with connected(vault.server, vault.database) as session:
            found = rows(session, sql)
        return {from_database_key(key): count for key, count in found if key is not None}

    def password_file(self, vault: Vault) -> Path:
        return self.directory / f"{vault.resource}.password"

    def _resource(self, vault: Vault) -> dict:
        return {
            "name": vault.resource,
            "kind": vault.server.kind,
            "port": self.relays[vault.resource].port if self.relays else vault.server.port,
            "database": vault.database,
            "user": self.role(vault.resource),
            "password_file": str(self.password_file(vault)),
            "sessions": 8,
            "lock_timeout_ms": 2000,
        }
