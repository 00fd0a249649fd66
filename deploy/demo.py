#!/usr/bin/python3
"""The demo's steps; deploy/demo.sh installs and builds before it, and calls it."""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "deploy"), str(ROOT / "tests")]

from harness.programs import Program, programs_directory  # noqa: E402
from harness.sessions import connected, prepared_branches, rows  # noqa: E402
from harness.waiting import eventually  # noqa: E402
from throwaway import Fleet, Server  # noqa: E402
from throwaway.ports import free_port  # noqa: E402

REPLICAS = 3
TELLERS = 3
OPENING = 1000_00
ACCOUNTS = 10


class Surprise(Exception):
    """A step did not show what it should."""


class Tellers:
    """Services that move a cent from Postgres to MySQL again and again. Who gets no answer asks again, with the same request_id."""

    def __init__(self, demo: "Demo") -> None:
        self.committed: list[tuple[float, str]] = []  # when, and which request
        self.asked_again = 0
        self._demo = demo
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._serve, args=(n,), daemon=True) for n in range(TELLERS)]

    def __enter__(self) -> "Tellers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for(self, count: int) -> None:
        eventually(lambda: len(self.committed) >= count, f"{count} transfers have committed", 30)

    def _serve(self, number: int) -> None:
        while not self._enough.is_set():
            request = self._demo.new_request_id()
            for attempt in itertools.count():
                done = self._demo.run_troth(
                    "execute", "--client-name", f"teller{number}", "--request-id", request, "--timeout-ms", "5000",
                    "--on", "accounts_pg", f"UPDATE account SET cents = cents - 1 WHERE id = {3 + number}",
                    "--on", "accounts_my", f"UPDATE account SET cents = cents + 1 WHERE id = {3 + number}",
                )  # fmt: skip
                self.asked_again += attempt > 0
                if done.returncode == 0:
                    self.committed.append((time.monotonic(), request))
                    break
                if attempt > 50:
                    raise Surprise(done.stderr)


class Demo:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.fleet = Fleet(directory / "databases", owner=os.getpid())
        self.servers: dict[str, Server] = {}
        self.coordinators: dict[int, Program] = {}
        self.agents: dict[str, Program] = {}
        self.environment: dict[str, str] = {}
        self.step_number = 0

    # -- narration

    def step(self, text: str) -> None:
        self.step_number += 1
        print(
            f"\n\033[1m{self.step_number}. {text}\033[0m"
            if sys.stdout.isatty()
            else f"\n{self.step_number}. {text}"
        )

    def say(self, text: str) -> None:
        print(f"   {text}")

    def expect(self, holds: bool, text: str) -> None:
        if not holds:
            raise Surprise(text)
        self.say(text)

    # -- the parts

    def start_databases(self) -> None:
        self.fleet.start({"postgres": 1, "mysql": 1}, database="bank")
        for server in self.fleet.servers:
            self.servers[server.kind] = server
            self.say(f"{server.kind}: {server.version.split(' (')[0]} at port {server.port}")
            with connected(server, "bank") as session:
                rows(session, "CREATE TABLE account (id INT PRIMARY KEY, cents BIGINT NOT NULL,"
                              " CONSTRAINT no_overdraft CHECK (cents >= 0))")  # fmt: skip
                values = ", ".join(f"({account}, {OPENING})" for account in range(1, ACCOUNTS + 1))
                rows(session, f"INSERT INTO account VALUES {values}")

    def start_troth(self) -> None:
        self.start_coordinators()
        self.environment = {"TROTH_COORDINATOR": ",".join(self.addresses()), "USER": "demo"}
        eventually(self.leader, "one of them leads", 20)
        self.troth("cluster", "status", show=True, exit_code=None)
        for kind, server in self.servers.items():
            self.start_agent(kind, server)
        eventually(self.all_serve, "both resources serve", 20)
        self.troth("resources", show=True)

    def start_coordinators(self) -> None:
        replicas = [
            {
                "number": number,
                "address": f"127.0.0.1:{free_port()}",
                "peer_address": f"127.0.0.1:{free_port()}",
            }
            for number in range(1, REPLICAS + 1)
        ]
        for own in replicas:
            number = own["number"]
            self.coordinators[number] = Program(
                "troth-coordinator",
                self.directory / f"coordinator{number}",
                {"listen": own["address"], "group": {"replica": number}, "replicas": replicas},
            )
        first, *others = self.coordinators.values()
        cluster = first.init("bank")
        for other in others:
            other.join(cluster)
        for coordinator in self.coordinators.values():
            coordinator.launch()
        for coordinator in self.coordinators.values():
            coordinator.wait_ready()

    def addresses(self) -> list[str]:
        return [each.settings["listen"] for each in self.coordinators.values()]

    def leader(self) -> int | None:
        """As the coordinators that answer tell it."""
        done = self.run_troth("--json", "cluster", "status")
        return json.loads(done.stdout).get("leader")

    def start_agent(self, kind: str, server: Server) -> None:
        short = {"postgres": "pg", "mysql": "my"}[kind]
        resource = f"accounts_{short}"
        directory = self.directory / f"agent-{short}"
        directory.mkdir()
        password = directory / "password"
        password.touch(mode=0o600)
        password.write_text(f"demo-{os.urandom(12).hex()}\n", encoding="ascii")
        self.create_role(server, password.read_text(encoding="ascii").strip())
        agent = Program(
            "troth-agent",
            directory,
            {
                "listen": "127.0.0.1:0",
                "coordinators": self.addresses(),
                "times": {"first_inquiry_ms": 500},
                "resource": [
                    {
                        "name": resource,
                        "kind": kind,
                        "host": server.host,
                        "port": server.port,
                        "database": "bank",
                        "user": "troth_agent",
                        "password_file": str(password),
                        "sessions": 8,
                    }
                ],
            },
        )
        agent.init(short)
        self.troth(
            "install", resource, "--agent-config", str(agent.configuration),
            "--admin-user", server.admin, "--admin-password-file", str(server.password_file),
        )  # fmt: skip
        with connected(server, "bank") as session:
            role = "troth_agent" if kind == "postgres" else "'troth_agent'@'%'"
            rows(session, f"GRANT SELECT, INSERT, UPDATE, DELETE ON account TO {role}")
        agent.start()
        self.agents[kind] = agent

    @staticmethod
    def create_role(server: Server, password: str) -> None:
        """What a DBA does first: a role that is the agent's alone."""
        if server.kind == "postgres":
            server.sql(f"CREATE ROLE troth_agent LOGIN PASSWORD '{password}'")
        else:
            server.sql(f"CREATE USER 'troth_agent'@'%' IDENTIFIED BY '{password}'")

    def all_serve(self) -> bool:
        """Exit code 5 says that an operator should look: here, that something does not serve yet."""
        done = self.run_troth("--json", "resources")
        states = [r["state"] for r in json.loads(done.stdout).get("resources", [])]
        return done.returncode == 0 and states == ["serving", "serving"]

    def run_troth(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [str(programs_directory() / "troth"), *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def troth(self, *arguments: str, exit_code: int | None = 0, show: bool = False) -> str:
        """`exit_code` None: whichever."""
        done = self.run_troth(*arguments)
        if show:
            for line in (done.stdout + done.stderr).rstrip().splitlines():
                self.say(f"| {line}")
        if exit_code not in (None, done.returncode):
            raise Surprise(
                f"troth {' '.join(arguments)} ended with {done.returncode}, expected {exit_code}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def transfer(self, cents: int, *more: str, exit_code: int = 0) -> str:
        """From account 1 in Postgres to account 2 in MySQL."""
        return self.troth(
            "execute",
            "--on", "accounts_pg", "UPDATE account SET cents = cents - $1 WHERE id = 1",
            "--param", f"int:{cents}", "--expect-rows", "1",
            "--on", "accounts_my", "UPDATE account SET cents = cents + ? WHERE id = 2",
            "--param", f"int:{cents}", "--expect-rows", "1",
            *more, exit_code=exit_code, show=True,
        )  # fmt: skip

    # -- looking into the databases, past Troth

    def total(self) -> int:
        return sum(int(self.query(kind, "SELECT sum(cents) FROM account")[0][0]) for kind in self.servers)

    def query(self, kind: str, sql: str, *parameters) -> list[tuple]:
        with connected(self.servers[kind], "bank") as session:
            return rows(session, sql, *parameters)

    def prepared(self) -> list[str]:
        return [
            f"{kind}: {branch.name}"
            for kind, server in self.servers.items()
            for branch in prepared_branches(server)
        ]

    def expect_total(self) -> None:
        self.expect(
            self.total() == 2 * ACCOUNTS * OPENING,
            f"the total over both databases is {self.total()} cents, as ever",
        )

    def restart_and_expect_nothing_in_doubt(self, program: Program) -> None:
        program.disarm()
        started = time.monotonic()
        program.start()
        eventually(lambda: not self.prepared(), "nothing is prepared any more", 30)
        self.say(
            f"nothing is prepared in either database any more, {time.monotonic() - started:.1f} s after its start"
        )

    # -- the story

    def run(self) -> None:
        self.step("Two databases, each with ten accounts of 1,000.00")
        self.start_databases()
        self.step("Three coordinators, which decide together, and an agent in front of each database")
        self.start_troth()
        self.step("A transfer: one call, both databases")
        self.transfer(2500, "--label", "rent")
        self.expect_total()

        self.step("A transfer that a constraint refuses: neither side changes")
        before = self.query("mysql", "SELECT cents FROM account WHERE id = 2")
        self.transfer(500_000_00, exit_code=1)
        self.expect(
            before == self.query("mysql", "SELECT cents FROM account WHERE id = 2"),
            "MySQL's side is untouched",
        )
        self.expect_total()

        self.step("The leader of the three dies (kill -9) in the middle of transfers")
        self.kill_leader()
        self.step(
            "An agent dies (kill -9) when it is told to commit: one side has committed, the other has not"
        )
        transaction = self.kill_agent_before_commit()
        self.step("The proof, read from the databases themselves")
        self.show_proof(transaction)
        self.step("The end")
        self.expect_total()
        self.troth("in-doubt", show=True)

    def kill_leader(self) -> None:
        with Tellers(self) as tellers:
            tellers.wait_for(20)
            leader = self.leader()
            died = time.monotonic()
            self.coordinators[leader].kill()
            eventually(lambda: any(at > died + 0.02 for at, _ in tellers.committed), "transfers go on", 20)
            tellers.wait_for(len(tellers.committed) + 20)
        # The end of the longest pause: what it had answered before it died may have come a moment later.
        _, after = max(
            (later - earlier, later)
            for (earlier, _), (later, _) in itertools.pairwise(sorted(tellers.committed))
            if later > died
        )
        self.say(
            f"replica {leader} led, and is gone; the next commit came {(after - died) * 1000:.0f} ms later"
        )
        self.expect(len({request for _, request in tellers.committed}) == len(tellers.committed),
                    f"{len(tellers.committed)} transfers committed; {tellers.asked_again} calls were asked again")  # fmt: skip
        eventually(lambda: not self.prepared(), "nothing is prepared any more", 30)
        self.say("nothing is prepared in either database, and the dead one is still dead")
        moved = self.query("mysql", "SELECT sum(cents) FROM account WHERE id BETWEEN 3 AND 5")[0][0]
        self.expect(int(moved) == 3 * OPENING + len(tellers.committed),
                    "each of them stands once in MySQL, however often it was asked for")  # fmt: skip
        self.expect_total()
        self.troth("cluster", "status", exit_code=5, show=True)
        self.coordinators[leader].start()
        eventually(lambda: self.run_troth("cluster", "status").returncode == 0, "all three are well", 20)
        self.say(f"replica {leader} is back, as a follower")

    def kill_agent_before_commit(self) -> str:
        agent = self.agents["postgres"]
        agent.arm("agent.after_commit_received")
        agent.restart()
        eventually(self.all_serve, "both resources serve", 20)
        transaction = self.transfer(300, "--acknowledge", "decided").split()[1]
        agent.expect_exit(-9)
        eventually(lambda: len(self.prepared()) == 1, "one branch is left prepared", 20)
        self.say(f"in doubt, holding locks:  {self.prepared()[0]}")
        self.restart_and_expect_nothing_in_doubt(agent)
        self.expect_total()
        return transaction

    def show_proof(self, transaction: str) -> None:
        for kind, table in (("postgres", "troth.troth_branch"), ("mysql", "troth_branch")):
            found = self.query(kind, f"SELECT branch, state FROM {table} WHERE transaction = %s", transaction)
            self.expect([state for _, state in found] == ["committed"],
                        f"{kind}: SELECT state FROM {table} WHERE transaction = '{transaction}'  ->  {found[0][1]}")  # fmt: skip
        # The coordinator hears of the last commit a moment after the database has it.
        eventually(lambda: self.run_troth("in-doubt").returncode == 0, "nothing is in doubt", 20)
        self.troth("status", transaction, show=True)

    @staticmethod
    def new_request_id() -> str:
        milliseconds = int(time.time() * 1000)
        random = int.from_bytes(os.urandom(10), "big")
        value = (
            milliseconds << 80 | 7 << 76 | (random >> 68 & 0xFFF) << 64 | 2 << 62 | random & ((1 << 62) - 1)
        )
        text = f"{value:032x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def stop(self) -> None:
        for program in [*self.agents.values(), *self.coordinators.values()]:
            if program.runs():
                program.kill()
        self.fleet.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the directory behind")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="troth-demo-"))
    directory.chmod(0o755)
    demo = Demo(directory)
    started = time.monotonic()
    outcome = 0
    try:
        demo.run()
    except Exception as problem:  # whatever it is, the servers must go
        print(f"\nThe demo did not show what it should: {problem}", file=sys.stderr)
        for log in sorted(directory.glob("*/*.log")):
            print(
                f"--- {log}", *log.read_text(errors="replace").splitlines()[-15:], sep="\n", file=sys.stderr
            )
        outcome = 1
    finally:
        demo.stop()
        if options.keep:
            print(f"\nlogs and configurations: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    if outcome == 0:
        print(
            f"\nEverything ended as it should, in {time.monotonic() - started:.0f} s; nothing is left running."
        )
    return outcome


if __name__ == "__main__":
    sys.exit(main())
