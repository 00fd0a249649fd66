#!/usr/bin/python3
"""Makes what each machine of a group of coordinators needs: its configuration and its certificate, and the commands to run there.

    deploy/group_files.py DIR 10.0.0.1 10.0.0.2 10.0.0.3
    deploy/group_files.py DIR 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4     # later: a fourth machine, founders as they were

In DIR: ca.pem and ca.key (a development CA, deploy/dev-ca.sh; with your own CA put its files there instead), for each HOST a
directory to be copied to /etc/troth there, an operator's certificate, and NEXT-STEPS. Run again with one more HOST at the end it
adds that machine and names it in everybody's file; who the founders were stays as it is.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent
FOUNDERS = "founders.json"


def configuration(number: int, hosts: list[str], founders: int, options: argparse.Namespace) -> str:
    text = f"""\
# Replica {number} of a group of coordinators; made by deploy/group_files.py. docs/configuration/troth-coordinator.md has every key.
listen = "{hosts[number - 1]}:{options.port}"
http_listen = ":{options.http_port}"
data_directory = "{options.data_directory}"

[tls]
ca = "{options.etc}/ca.pem"
certificate = "{options.etc}/coordinator.pem"
key = "{options.etc}/coordinator.key"

[group]
replica = {number}
founders = "{', '.join(str(each) for each in range(1, founders + 1))}"
"""
    for each, host in enumerate(hosts, start=1):
        text += f"""
[[replicas]]
number = {each}
address = "{host}:{options.port}"
peer_address = "{host}:{options.peer_port}"
"""
    return text


def issue(directory: Path, role: str, name: str, *hosts: str) -> None:
    if not (directory / f"{role}-{name}.pem").exists():
        subprocess.run(
            [DEPLOY / "dev-ca.sh", directory, role, name, *hosts], check=True, stdout=subprocess.DEVNULL
        )


def write_machine(number: int, hosts: list[str], founders: int, options: argparse.Namespace) -> Path:
    host = hosts[number - 1]
    machine = options.directory / host
    machine.mkdir(mode=0o700, exist_ok=True)
    (machine / "coordinator.toml").write_text(
        configuration(number, hosts, founders, options), encoding="utf-8"
    )
    issue(options.directory, "coordinator", f"coordinator{number}", host)
    shutil.copy(options.directory / "ca.pem", machine / "ca.pem")
    for suffix in ("pem", "key"):
        shutil.copy(
            options.directory / f"coordinator-coordinator{number}.{suffix}", machine / f"coordinator.{suffix}"
        )
    return machine


def next_steps(hosts: list[str], founders: int, options: argparse.Namespace) -> str:
    addresses = ",".join(f"{host}:{options.port}" for host in hosts)
    init = f"troth cluster init --config {options.etc}/coordinator.toml"
    lines = [
        f"On each machine: copy its directory here to {options.etc} (readable by the account troth only), deploy/systemd/",
        "troth-coordinator.service to /etc/systemd/system, and the programs to /usr/bin.",
        "",
        f"On {hosts[0]}, once, as troth; it prints the cluster's id:",
        f"    {init} --name {options.name}",
        "On each of the other founders, with that id:",
        f"    {init} --cluster ID",
        "On each:",
        "    systemctl enable --now troth-coordinator",
        "",
        "Then, from anywhere, with the operator's certificate here:",
        f"    troth --coordinator {addresses} \\",
        "          --tls-ca ca.pem --tls-certificate operator-operator.pem --tls-key operator-operator.key cluster status",
        f'Agents name all of them: coordinators = {json.dumps(addresses.split(","))}',
    ]
    if len(hosts) > founders:
        lines += ["", "To add those that are no founders: give every machine its new coordinator.toml and restart one after the",
                  "other, the leader last; init the new ones with the id, start them, and for each"]  # fmt: skip
        lines += [
            f"    troth ... cluster add {number} --reason '...'"
            for number in range(founders + 1, len(hosts) + 1)
        ]
    return "\n".join(lines) + "\n"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument(
        "hosts", nargs="+", metavar="HOST", help="in the order of their replica numbers, 1 first"
    )
    parser.add_argument(
        "--name", default="bank", help="what the cluster's id begins with (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=int, default=7710, help="for services, agents and the tool (default: %(default)s)"
    )
    parser.add_argument(
        "--peer-port", type=int, default=7711, help="for the other replicas (default: %(default)s)"
    )
    parser.add_argument(
        "--http-port", type=int, default=9464, help="of /metrics, on loopback (default: %(default)s)"
    )
    parser.add_argument("--etc", default="/etc/troth", help="where the files will lie (default: %(default)s)")
    parser.add_argument(
        "--data-directory", default="/var/lib/troth/coordinator", help="(default: %(default)s)"
    )
    return parser.parse_args()


def main() -> int:
    options = parse()
    if len(set(options.hosts)) != len(options.hosts):
        print("group_files: a host is named twice: each replica has a machine of its own", file=sys.stderr)
        return 2
    options.directory.mkdir(mode=0o700, exist_ok=True)
    remembered = options.directory / FOUNDERS
    known = json.loads(remembered.read_text()) if remembered.exists() else options.hosts
    if options.hosts[: len(known)] != known:
        print(
            f"group_files: {options.directory} is of a group that began with {', '.join(known)}: name these first, "
            "and others behind them",
            file=sys.stderr,
        )
        return 2
    remembered.write_text(json.dumps(known) + "\n", encoding="utf-8")
    issue(options.directory, "operator", "operator")
    for number in range(1, len(options.hosts) + 1):
        print(write_machine(number, options.hosts, len(known), options))
    steps = next_steps(options.hosts, len(known), options)
    (options.directory / "NEXT-STEPS").write_text(steps, encoding="utf-8")
    print(f"\n{steps}", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
