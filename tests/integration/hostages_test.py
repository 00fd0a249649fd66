"""MariaDB keeps a prepared branch on the session that prepared it. A session that nobody holds any more, and that the
server takes for alive, keeps its branch hostage: the agent frees it."""

import pymysql
import pytest
from harness import Cluster, connect, eventually, prepared_branches, rows
from harness.tool import troth

FORMAT_ID = 0x54524F54


def half_open_session(cluster: Cluster, transaction: str):
    """Of the agent's own role, with a prepared branch, as a host that died leaves it behind a firewall."""
    vault = cluster.bank.vaults["ma"]
    session = connect(
        vault.server,
        vault.database,
        user=cluster.role(vault.resource),
        password=cluster.password_file(vault).read_text(encoding="ascii").strip(),
    )
    xid = f"'1{transaction}','1',{FORMAT_ID}"
    rows(session, f"XA START {xid}")
    rows(session, "UPDATE account SET balance = balance + 1 WHERE id = 1")
    rows(session, f"XA END {xid}")
    rows(session, f"XA PREPARE {xid}")
    return session


def test_a_hostage_of_a_lost_session_is_found_and_freed(cluster):
    """Attacks 4, 29 and 52: nobody's journal knows the branch; the periodic look finds it, the group knows no commit of it,
    and the session that holds it is the only other one of the role."""
    cluster.coordinator.restart()
    cluster.wait_serving()
    told = troth(cluster, "resources")
    assert told["epoch"] > 1
    vault = cluster.bank.vaults["ma"]
    session = half_open_session(cluster, f"{told['cluster']}.1.999999")
    assert len(prepared_branches(vault.server)) == 1
    eventually(lambda: not prepared_branches(vault.server), "the hostage is freed and rolled back", 30)
    with pytest.raises(pymysql.err.Error):
        session.ping(reconnect=False)
    eventually(cluster.serves, "every resource serves", 30)
    with cluster.client() as client:
        client.run(cluster.bank.transfer("t1", "ma", 1, "pg", 2, amount=10))
    cluster.bank.check()
