"""What tests of whole processes are made of. See tests/harness/README.md."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The throwaway servers of the demo are the servers of the tests.
sys.path.insert(0, str(ROOT / "deploy"))

from throwaway import Fleet, MariaDb, MySql, Postgres, Server, ServerError  # noqa: E402
from throwaway.ports import free_port  # noqa: E402

from harness.backends import Backend, backends, end_backends, wait_gone, writing_backends  # noqa: E402
from harness.backup import Backup  # noqa: E402
from harness.bank import Bank, Vault  # noqa: E402
from harness.certificates import Certificate, CertificateAuthority  # noqa: E402
from harness.cluster import Cluster, Marker, install  # noqa: E402
from harness.conversation import Conversation  # noqa: E402
from harness.group import Group  # noqa: E402
from harness.networked_group import AGENT, NetworkedGroup, node_of  # noqa: E402
from harness.frames import Message, parse_message  # noqa: E402
from harness.pooler import PgBouncer  # noqa: E402
from harness.processes import Process, ProcessError  # noqa: E402
from harness.programs import Program, programs_directory  # noqa: E402
from harness.proxy import Proxy  # noqa: E402
from harness.relay import Relay  # noqa: E402
from harness.request_ids import new_request_id  # noqa: E402
from harness.sessions import (  # noqa: E402
    connect,
    connected,
    create_account,
    fresh_database,
    prepared_branches,
    roll_back_prepared,
    rows,
)
from harness.thrift_api import Client, Remote, api, branch, statement, value  # noqa: E402
from harness.tool import troth  # noqa: E402
from harness.waiting import eventually  # noqa: E402
from harness.workload import Order, Workload  # noqa: E402

__all__ = [
    "AGENT", "ROOT", "Backend", "Backup", "Bank", "Certificate", "CertificateAuthority", "Client", "Cluster", "Conversation", "Fleet", "Group", "MariaDb", "Marker", "Message", "MySql", "NetworkedGroup", "Order", "PgBouncer", "Postgres", "Process", "ProcessError", "Program",
    "Proxy", "Relay", "Remote", "Server", "ServerError", "Vault", "Workload", "api", "backends", "branch", "connect", "connected", "create_account",
    "end_backends", "eventually", "free_port", "fresh_database", "install", "new_request_id", "node_of", "parse_message", "prepared_branches", "programs_directory",
    "roll_back_prepared", "rows", "statement", "troth", "value", "wait_gone", "writing_backends",
]  # fmt: skip
