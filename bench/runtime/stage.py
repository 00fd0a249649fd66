"""The stage of a run: a bank in two throwaway databases, Troth in front of them, and a file that describes both.

Written for bench-transfer, which reads the file (bench/runtime/stage.h); passwords stay in files of their own.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from harness import (
    Fleet,
    Program,
    Server,
    ServerError,
    eventually,
    free_port,
    programs_directory,
)  # noqa: E402
from harness.thrift_api import Remote  # noqa: E402

ACCOUNTS = 10_000
OPENING_BALANCE = 1_000_000
# The role of the hand-coded side and of the counting. Troth's roles are others, one for each resource, because an
# agent ends every session of its role that is not its own.
APP_ROLE = "bench_app"
_READY_WITHIN_S = 60


class Stage:
    """
    with Stage("postgres+mysql", Path("/tmp/x"), with_troth=True, agents=1) as stage:
        subprocess.run(["bench-transfer", str(stage.file)])
    """

    def __init__(
        self,
        pair: str,
        directory: Path,
        with_troth: bool,
        agents: int,
        door: Callable[[str, int], int] | None = None,
    ) -> None:
        """`door`: gives the port that leads to the server of this name and port, for every connection between clients,
        coordinator (`clients`, and `directory` for agents), agents (`agent1`..) and databases (by their kind).
        """
        self.pair = pair
        self.directory = directory / pair
        self.file = self.directory / "stage.json"
        self._with_troth = with_troth
        self._agents = agents
        self._door = door or (lambda _, port: port)
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Stage:
        self.directory.mkdir()
        with contextlib.ExitStack() as starting:
            fleet = starting.enter_context(Fleet(self.directory / "databases", owner=os.getpid()))
            servers = fleet.start({kind: 1 for kind in self.pair.split("+")})
            password_file = self._make_password(APP_ROLE)
            for server in servers:
                make_bank(server, APP_ROLE, password_file.read_text(encoding="ascii").strip())
            ports = {server.kind: self._door(server.kind, server.port) for server in servers}
            postgres, mysql = servers
            description = {
                "databases": self.pair,
                "accounts": ACCOUNTS,
                "postgres": _address(postgres, ports[postgres.kind], password_file),
                "mysql": _address(mysql, ports[mysql.kind], password_file),
                "processes": [{"name": server.kind, "pid": server.identity.pid} for server in servers],
            }
            if self._with_troth:
                self._start_troth(servers, ports, starting, description)
            self.file.write_text(json.dumps(description, indent=2), encoding="ascii")
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def keep_logs(self, target: Path) -> None:
        """Copies what the servers wrote to where it outlives them."""
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for log in [*self.directory.glob("*/*.log"), *self.directory.glob("databases/*/log")]:
            shutil.copyfile(log, target / ("-".join(log.relative_to(self.directory).parts)))

    def _make_password(self, role: str) -> Path:
        file = self.directory / f"{role}.password"
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24) + "\n", encoding="ascii")
        return file

    def _start_troth(
        self, servers: list[Server], ports: dict[str, int], running: contextlib.ExitStack, description: dict
    ) -> None:
        coordinator = Program("troth-coordinator", self.directory / "coordinator", {"listen": "127.0.0.1:0"})
        coordinator.init("bench")
        _start(coordinator, running)
        directory_port = self._door("directory", coordinator.port)
        resources = [(server, self._make_resource(server, ports[server.kind])) for server in servers]
        shares = [resources] if self._agents == 1 else [[one] for one in resources]
        for number, share in enumerate(shares, 1):
            agent_port = free_port()
            agent = Program(
                "troth-agent",
                self.directory / f"agent{number}",
                {
                    "listen": f"127.0.0.1:{agent_port}",
                    "advertise": f"127.0.0.1:{self._door(f'agent{number}', agent_port)}",
                    "coordinators": [f"127.0.0.1:{directory_port}"],
                    "resource": [settings for _, settings in share],
                },
            )
            agent.init(f"bench-{number}")
            for server, settings in share:
                install(server, settings["name"], agent)
            _start(agent, running)
            description["processes"].append({"name": f"agent{number}", "pid": agent.pid})
        description["processes"].append({"name": "coordinator", "pid": coordinator.pid})
        description["troth"] = {
            "host": "127.0.0.1",
            "port": self._door("clients", coordinator.port),
            "postgres_resource": resources[0][1]["name"],
            "mysql_resource": resources[1][1]["name"],
        }
        _wait_until_served(coordinator.port, len(resources))

    def _make_resource(self, server: Server, port: int) -> dict:
        """Makes the role of the agent; returns the agent's settings for this database."""
        role = f"troth_{server.kind}"
        password_file = self._make_password(role)
        make_role(server, role, password_file.read_text(encoding="ascii").strip())
        return {
            "name": f"accounts_{server.kind}",
            "kind": server.kind,
            "host": server.host,
            "port": port,
            "database": server.database,
            "user": role,
            "password_file": str(password_file),
        }


def make_bank(server: Server, role: str, password: str) -> None:
    """Accounts 0.., and the role that the hand-coded side and the counting log in with."""
    values = ", ".join(f"({number}, {OPENING_BALANCE})" for number in range(ACCOUNTS))
    server.sql("CREATE TABLE account (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)")
    server.sql(f"INSERT INTO account (id, balance) VALUES {values}")
    if server.kind == "postgres":
        server.sql("VACUUM ANALYZE account")
    make_role(server, role, password)
    if server.kind == "mysql":
        # To see with XA RECOVER what is prepared; MariaDB shows it to anybody.
        server.sql(f"GRANT XA_RECOVER_ADMIN ON *.* TO '{role}'@'%'")


def make_role(server: Server, role: str, password: str) -> None:
    if server.kind == "postgres":
        server.sql(
            f"CREATE ROLE {role} LOGIN PASSWORD '{password}'; GRANT SELECT, UPDATE ON account TO {role}"
        )
    else:
        server.sql(
            f"CREATE USER '{role}'@'%' IDENTIFIED BY '{password}'; GRANT SELECT, UPDATE ON account TO '{role}'@'%'"
        )


def install(server: Server, resource: str, agent: Program) -> None:
    command = [
        programs_directory() / "troth", "install", resource, "--agent-config", agent.configuration,
        "--role-host", "%", "--admin-user", server.admin, "--admin-password-file", server.password_file,
    ]  # fmt: skip
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerError(
            f"troth install {resource} ended with {done.returncode}: {done.stdout}{done.stderr}"
        )


def _start(program: Program, running: contextlib.ExitStack) -> None:
    # Before the start: one that does not become ready is ended as well.
    running.callback(program.kill)
    program.start(_READY_WITHIN_S)
    running.callback(program.stop)


def _wait_until_served(port: int, resources: int) -> None:
    with Remote(port, "Administration") as administration:

        def all_serve() -> bool:
            found = administration.cluster_status().resources
            states = {resource.name: resource.health.state for resource in found}
            assert len(states) == resources and set(states.values()) == {"serving"}, f"resources are {states}"
            return True

        eventually(all_serve, "Troth serves every resource", _READY_WITHIN_S)


def _address(server: Server, port: int, password_file: Path) -> dict:
    return {
        "host": server.host,
        "port": port,
        "database": server.database,
        "user": APP_ROLE,
        "password_file": str(password_file),
    }
