#!/usr/bin/python3
"""Starts and stops throwaway Postgres, MariaDB and real MySQL servers.

  deploy/databases.py start --dir /tmp/x --postgres 1 --mysql 1
  deploy/databases.py status --dir /tmp/x --json
  deploy/databases.py sql --dir /tmp/x postgres1 'SELECT 1'
  deploy/databases.py stop --dir /tmp/x

Data, sockets, logs and password files live in the directory and go with `stop`. The servers listen on 127.0.0.1, on
free ports, with the settings a bank would use: what they committed is on the disk.
Exit codes: 0 done, 1 it failed for the reason given, 2 wrong usage.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from throwaway import Fleet, FleetError, ServerError  # noqa: E402


def start(options: argparse.Namespace) -> None:
    counts = {"postgres": options.postgres, "mariadb": options.mariadb, "mysql": options.mysql}
    if not any(counts.values()):
        raise FleetError("nothing to start: give --postgres, --mariadb or --mysql a number")
    fleet = Fleet(options.dir, owner=options.owner)
    fleet.start(counts, database=options.database)
    if options.tls:
        for server in fleet.servers:
            server.use_certificate(options.tls / "ca.pem", *database_certificate(options.tls, server.name))
        fleet.save()
    for server in fleet.servers:
        print(
            f"{server.name}: {server.version} at {server.host}:{server.port}, process {server.identity.pid}"
        )


def database_certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Certificate and key of a server, by the development CA in the directory, which is made when it is missing."""
    script = Path(__file__).resolve().parent / "dev-ca.sh"
    done = subprocess.run([script, directory, "database", name], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FleetError(done.stderr.strip())
    return directory / f"database-{name}.pem", directory / f"database-{name}.key"


def status(options: argparse.Namespace) -> None:
    fleet = Fleet.load(options.dir)
    records = [{**server.record(), "runs": server.runs()} for server in fleet.servers]
    if options.json:
        print(json.dumps({"servers": records}, indent=2))
        return
    for record in records:
        state = f"runs as process {record['process']['pid']}" if record["runs"] else "does not run"
        print(f"{record['name']}: {record['version']} at {record['host']}:{record['port']}, {state}")


def sql(options: argparse.Namespace) -> None:
    for server in Fleet.load(options.dir).servers:
        if server.name == options.server:
            for row in server.sql(options.statements):
                print("\t".join(row))
            return
    raise FleetError(f"no server {options.server} in {options.dir}; `status` lists them")


def stop(options: argparse.Namespace) -> None:
    fleet = Fleet.load(options.dir)
    fleet.stop()
    print(f"stopped {', '.join(server.name for server in fleet.servers)}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary)
        sub.set_defaults(run=run)
        sub.add_argument("--dir", type=Path, required=True, help="where the servers live")
        return sub

    sub = command("start", start, "start servers")
    for kind in ("postgres", "mariadb", "mysql"):
        sub.add_argument(
            f"--{kind}", type=int, default=0, metavar="N", help=f"how many {kind} servers (default 0)"
        )
    sub.add_argument(
        "--tls",
        type=Path,
        metavar="DIR",
        help="the servers offer TLS, with certificates of the development CA in this directory (made if it is missing)",
    )
    sub.add_argument("--database", default="bank", help="database made in each server (default bank)")
    sub.add_argument(
        "--owner",
        type=int,
        metavar="PID",
        help="process the servers belong to: when it is gone, the next start ends them",
    )
    sub = command("status", status, "say what runs")
    sub.add_argument("--json", action="store_true", help="as JSON, with ports, sockets and password files")
    sub = command("sql", sql, "run SQL as the administrator")
    sub.add_argument("server", help="name as printed by start, e.g. postgres1")
    sub.add_argument("statements")
    command("stop", stop, "stop the servers and delete their data")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        options.run(options)
    except (FleetError, ServerError, OSError) as error:
        print(f"databases: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
