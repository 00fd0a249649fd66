#!/usr/bin/python3
"""Measures transfers between two databases: hand-coded two-phase commit against Troth, in turns, in one run.

  bench/run.sh transfer
  bench/run.sh transfer --databases postgres+mysql --clients 8 --acknowledge applied --seconds 5
  bench/run.sh transfer --only handcoded --clients 1,32 --rounds 1      one side alone, for a profiler

Starts throwaway databases, makes a bank in them, starts Troth, prints the servers' versions, a table, and one line of
JSON for each cell; stops exactly what it started. bench/README.md tells how to read it.
Exit codes: 0 measured and the money was all there, 1 it failed for the reason given, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy"))

from throwaway import Fleet, FleetError, Server, ServerError  # noqa: E402

PROGRAMS = ROOT / "build" / "release" / "bin"
PAIRS = ("postgres+mysql", "postgres+mariadb")
ACCOUNTS = 10_000
OPENING_BALANCE = 1_000_000
# The hand-coded side's role. Troth has roles of its own, because it ends all other sessions of a role that is its own.
APP = "bench_app"


def numbers_of_clients(text: str) -> str:
    for word in text.split(","):
        if not word.isascii() or not word.isdigit() or not 1 <= int(word) <= 200:
            raise argparse.ArgumentTypeError(f"'{word}' is no number of clients from 1 to 200")
    return text


def acknowledgements(text: str) -> str:
    for word in text.split(","):
        if word not in ("applied", "decided"):
            raise argparse.ArgumentTypeError(f"'{word}' is neither applied nor decided")
    return text


def seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError("a round takes 0.1 to 3600 seconds")
    return value


def rounds(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError("1 to 100 rounds")
    return value


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run.sh transfer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--databases", choices=PAIRS, help="one pair only (default: one after the other)")

    def option(name: str, kind, standard, metavar: str, text: str) -> None:
        parser.add_argument(name, type=kind, default=standard, metavar=metavar, help=f"{text} (default {standard})")

    option("--clients", numbers_of_clients, "1,8,32", "N,..", "numbers of clients, a cell for each")
    option("--acknowledge", acknowledgements, "applied,decided", "A,..", "when Troth answers, a cell for each")
    option("--seconds", seconds, 5, "S", "length of a round")
    option("--rounds", rounds, 3, "N", "rounds of each side in a cell")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--only", choices=("handcoded", "troth"), help="one side alone; prints no JSON")
    option("--seed", int, 1, "N", "of the transfers that are drawn")
    output.add_argument("--json-only", action="store_true", help="print nothing but the lines of JSON")
    parser.add_argument("--check-arguments", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def make_bank(server: Server, password: str) -> None:
    """Accounts 0.. in a table of their own, and the account that the hand-coded side and the counting log in with."""
    values = ", ".join(f"({number}, {OPENING_BALANCE})" for number in range(ACCOUNTS))
    server.sql("CREATE TABLE account (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)")
    server.sql(f"INSERT INTO account (id, balance) VALUES {values}")
    if server.kind == "postgres":
        server.sql(f"CREATE ROLE {APP} LOGIN PASSWORD '{password}'; GRANT SELECT, UPDATE ON account TO {APP}; ANALYZE account")
        return
    server.sql(f"CREATE USER '{APP}'@'%' IDENTIFIED BY '{password}'; GRANT SELECT, UPDATE ON account TO '{APP}'@'%'")
    if server.kind == "mysql":
        # XA RECOVER shows what is prepared; MariaDB shows it to anybody.
        server.sql(f"GRANT XA_RECOVER_ADMIN ON *.* TO '{APP}'@'%'")


def address(server: Server, password_file: Path) -> dict:
    return {
        "host": server.host,
        "port": server.port,
        "database": server.database,
        "user": APP,
        "password_file": str(password_file),
    }


def measure(pair: str, directory: Path, options: argparse.Namespace) -> None:
    first, second = pair.split("+")
    with Fleet(directory / pair, owner=os.getpid()) as fleet:
        postgres, mysql = fleet.start({first: 1, second: 1})
        password_file = directory / f"{pair}.password"
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24) + "\n", encoding="ascii")
        for server in (postgres, mysql):
            make_bank(server, password_file.read_text(encoding="ascii").strip())
        stage = {
            "databases": pair,
            "accounts": ACCOUNTS,
            "postgres": address(postgres, password_file),
            "mysql": address(mysql, password_file),
            "processes": [{"name": server.kind, "pid": server.identity.pid} for server in (postgres, mysql)],
        }
        stage_file = directory / f"{pair}.json"
        stage_file.write_text(json.dumps(stage), encoding="ascii")
        run_load(stage_file, options)


def run_load(stage_file: Path, options: argparse.Namespace) -> None:
    command = [
        str(PROGRAMS / "bench-transfer"), str(stage_file), "--clients", options.clients, "--acknowledge",
        options.acknowledge, "--seconds", str(options.seconds), "--rounds", str(options.rounds), "--seed",
        str(options.seed),
    ]  # fmt: skip
    if options.only:
        command += ["--only", options.only]
    if options.json_only:
        command.append("--json-only")
    code = subprocess.run(command, check=False).returncode
    if code != 0:
        # It has said why itself.
        raise SystemExit(1 if code < 0 else code)


def stop_here(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    options = arguments()
    if options.check_arguments:
        return 0
    signal.signal(signal.SIGTERM, stop_here)
    directory = Path(tempfile.mkdtemp(prefix="troth-bench-"))
    try:
        for pair in [options.databases] if options.databases else PAIRS:
            if not options.json_only:
                print(f"\n== transfer, {pair}", flush=True)
            measure(pair, directory, options)
    except (FleetError, ServerError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
