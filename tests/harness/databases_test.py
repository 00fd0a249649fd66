"""The throwaway servers: they keep what they promised through kill -9, and end with the run."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

import harness
from harness import connected, eventually, rows
from throwaway.fleet import stop_abandoned
from throwaway.identity import ProcessIdentity

PREPARE = {
    "postgres": "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'troth1.x.1'",
    "mysql": "XA START 'troth1.x','1',7; INSERT INTO t VALUES (1); XA END 'troth1.x','1',7; XA PREPARE 'troth1.x','1',7",
}
PREPARE["mariadb"] = PREPARE["mysql"]
COMMIT = {"postgres": "COMMIT PREPARED 'troth1.x.1'", "mysql": "XA COMMIT 'troth1.x','1',7"}
COMMIT["mariadb"] = COMMIT["mysql"]


def test_a_prepared_branch_survives_kill_9_and_commits_after_the_restart(server):
    database = harness.fresh_database(server)
    server.sql("CREATE TABLE t (a INT PRIMARY KEY)", database)
    server.sql(PREPARE[server.kind], database)
    port = server.port

    server.kill()
    assert not server.runs()
    server.restart()

    assert server.port == port
    names = [found.name for found in harness.prepared_branches(server)]
    assert names == (["troth1.x.1"] if server.kind == "postgres" else ["'troth1.x','1',7"])
    assert server.sql("SELECT count(*) FROM t", database) == [["0"]]
    server.sql(COMMIT[server.kind], database)
    assert server.sql("SELECT count(*) FROM t", database) == [["1"]]
    assert harness.prepared_branches(server) == []


def test_what_was_committed_survives_kill_9_and_what_was_open_does_not(server):
    database = harness.fresh_database(server)
    server.sql("CREATE TABLE t (a INT PRIMARY KEY); INSERT INTO t VALUES (1)", database)
    session = harness.connect(server, database, autocommit=False)
    rows(session, "INSERT INTO t VALUES (2)")

    server.kill()
    server.restart()

    assert server.sql("SELECT a FROM t", database) == [["1"]]


def test_settings_are_durable(servers):
    assert servers["postgres"].sql("SHOW fsync; SHOW synchronous_commit; SHOW max_prepared_transactions") == [
        ["on"],
        ["on"],
        ["200"],
    ]
    durable = "SELECT @@innodb_flush_log_at_trx_commit, @@sync_binlog"
    assert servers["mysql"].sql(durable + ", @@log_bin") == [["1", "1", "1"]]
    assert servers["mariadb"].sql(durable) == [["1", "1"]]


def test_mysql_is_mysql_and_mariadb_is_mariadb(servers):
    assert "MariaDB" not in servers["mysql"].version
    assert "MariaDB" in servers["mariadb"].version


def test_they_listen_on_loopback_only_and_want_a_password(server):
    listening = subprocess.run(
        ["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True, text=True, check=True
    ).stdout
    addresses = {
        line.split()[1]
        for line in listening.splitlines()
        if f":{server.port:04X} " in line and " 0A " in line
    }
    assert addresses == {f"0100007F:{server.port:04X}"}
    with pytest.raises(Exception, match="(?i)password|denied"):
        harness.connect(server, password="wrong")


def test_no_two_servers_share_an_identity(workspace):
    with harness.Fleet(workspace / "s") as fleet:
        fleet.start({"postgres": 2, "mysql": 2})
        systems = [
            s.sql("SELECT system_identifier FROM pg_control_system()") for s in fleet.of_kind("postgres")
        ]
        uuids = [s.sql("SELECT @@server_uuid") for s in fleet.of_kind("mysql")]
    assert systems[0] != systems[1]
    assert uuids[0] != uuids[1]


def test_a_paused_server_answers_again_when_resumed(server):
    server.pause()
    server.resume()
    assert server.sql("SELECT 1") == [["1"]]


def test_stop_leaves_nothing_behind(workspace):
    with harness.Fleet(workspace / "s") as fleet:
        (postgres,) = fleet.start({"postgres": 1})
        family = [postgres.identity, *postgres.identity.descendants()]
        postgres.kill()
    assert not any(member.runs() for member in family)
    assert list(workspace.iterdir()) == []


def test_a_directory_in_use_is_refused(workspace):
    with harness.Fleet(workspace / "s") as fleet:
        fleet.start({"postgres": 1})
        with pytest.raises(Exception, match="holds servers already"):
            harness.Fleet(workspace / "s").start({"postgres": 1})
        assert fleet.servers[0].runs()


def test_the_servers_of_a_killed_run_are_ended_by_the_next_and_no_others(workspace, servers):
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent("""
            import os, sys, time
            from pathlib import Path
            sys.path.insert(0, sys.argv[1])
            from throwaway import Fleet
            fleet = Fleet(Path(sys.argv[2]), owner=os.getpid())
            (server,) = fleet.start({"postgres": 1})
            server.kill()
            server.restart()  # the record still names the process before
            print(server.identity.pid, flush=True)
            time.sleep(600)
        """), str(harness.ROOT / "deploy"), str(workspace / "s")],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    server = ProcessIdentity.of(int(run.stdout.readline()))
    assert stop_abandoned() == []
    assert server.runs()

    run.send_signal(signal.SIGKILL)
    run.wait()

    assert stop_abandoned() == [workspace / "s"]
    assert not server.runs()
    assert list(workspace.iterdir()) == []
    assert all(other.runs() for other in servers.values())


def test_a_reused_pid_is_nobody_of_ours():
    me = ProcessIdentity.of(os.getpid())
    another = ProcessIdentity(me.pid, me.started + 1, me.boot)
    assert me.runs()
    assert not another.runs()
    assert not another.send(signal.SIGKILL)


def test_an_account_of_one_database_can_prepare_and_see_it(server, workspace):
    database = harness.fresh_database(server)
    name = f"agent_{database}"
    harness.create_account(server, database, name, workspace / "password")
    session = harness.connect(
        server, database, user=name, password=(workspace / "password").read_text().strip()
    )
    rows(session, "CREATE TABLE t (a INT PRIMARY KEY)")
    for statement in PREPARE[server.kind].split("; "):
        rows(session, statement)
    listing = "SELECT gid FROM pg_prepared_xacts" if server.kind == "postgres" else "XA RECOVER"
    assert len(rows(session, listing)) == 1
    session.close()
    harness.roll_back_prepared(server)
    assert harness.prepared_branches(server) == []


def test_drivers_see_what_the_administrator_wrote(server):
    server.sql("CREATE TABLE seen (a INT); INSERT INTO seen VALUES (7)")
    with connected(server) as session:
        assert rows(session, "SELECT a FROM seen WHERE a = %s", 7) == [(7,)]
    server.sql("DROP TABLE seen")


def test_eventually_says_what_it_waited_for():
    def look():
        assert not "green", "still white"

    with pytest.raises(AssertionError, match="not within 0.01 s: the moon turns green: still white"):
        eventually(look, "the moon turns green", within_s=0.01)
