"""What bench/run.sh count makes of bytes that went by and of syncs, and that its doors and its counter of syncs see them."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections import Counter

import pytest

from harness import ROOT
from harness.programs import programs_directory

sys.path[1:1] = [str(ROOT / "bench"), str(ROOT / "bench" / "runtime")]

import counts  # noqa: E402
from counts import Counts, MessageCounter, Side, TripCounter  # noqa: E402
from tap import Tap  # noqa: E402


def test_a_trip_begins_where_the_client_speaks_after_an_answer():
    counter = TripCounter()
    counter.saw(1, True, b"BEGIN")
    counter.saw(1, False, b"ok")
    before = counter.snapshot()
    counter.saw(1, True, b"PREPARE ")
    counter.saw(1, True, b"TRANSACTION 'x': the second half of it, sent before any answer")
    counter.saw(1, False, b"o")
    counter.saw(1, False, b"k")
    counter.saw(1, True, b"COMMIT PREPARED 'x'")
    counter.saw(2, True, b"SELECT 1")
    assert counter.since(before) == {"branches": 2, "beside": 1}


def test_sessions_do_not_answer_for_one_another():
    counter = TripCounter()
    counter.saw(1, True, b"XA START 'a'")
    counter.saw(2, True, b"XA START 'b'")
    counter.saw(1, False, b"ok")
    counter.saw(2, True, b"more of the same")
    assert counter.since(Counter()) == {"branches": 2, "beside": 0}


def test_a_session_that_turns_out_to_run_branches_brings_nothing_from_before():
    counter = TripCounter()
    for _ in range(3):
        counter.saw(1, True, b"SELECT 1")
        counter.saw(1, False, b"1")
    before = counter.snapshot()
    counter.saw(1, True, b"XA START 'a'")
    assert counter.since(before) == {"branches": 1, "beside": 0}


def _frame(method: str, kind: int) -> bytes:
    name = method.encode()
    body = (
        b"\x80\x01\x00" + bytes([kind]) + struct.pack("!i", len(name)) + name + struct.pack("!i", 1) + b"\0"
    )
    return struct.pack("!I", len(body)) + body


def _transfer(counter: MessageCounter) -> None:
    counter.saw("clients", 1, True, _frame("execute", 1))
    for method in ("prepare", "commit_branch"):
        # Both calls in one piece, and both answers, one of them in two.
        counter.saw("agent1", 2, True, _frame(method, 1) + _frame(method, 1))
        answers = _frame(method, 2) + _frame(method, 2)
        counter.saw("agent1", 2, False, answers[:-7])
        counter.saw("agent1", 2, False, answers[-7:])
    counter.saw("clients", 1, False, _frame("execute", 2))


def test_messages_are_counted_whole_and_their_turns_at_the_coordinator():
    counter = MessageCounter()
    _transfer(counter)
    before = counter.snapshot()
    _transfer(counter)
    # Goes by the clock, and turns nothing.
    counter.saw("agent1", 2, True, _frame("heartbeat", 1))
    assert counter.since(before) == {
        "agents.commit_branch.call": 2,
        "agents.commit_branch.reply": 2,
        "agents.heartbeat.call": 1,
        "agents.prepare.call": 2,
        "agents.prepare.reply": 2,
        "clients.execute.call": 1,
        "clients.execute.reply": 1,
        "delays": 6,
    }


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/tmp/x/databases/postgres1/data/pg_wal/#", "postgres WAL"),
        ("/tmp/x/databases/postgres1/data/base/16384/#", "postgres other files"),
        ("/tmp/x/databases/mysql1/data/#innodb_redo/#ib_redo#", "mysql redo log"),
        ("/tmp/x/databases/mysql1/data/binlog.#", "mysql binary log"),
        ("/tmp/x/databases/mysql1/data/#ib_#_#.dblwr", "mysql other files"),
        ("/tmp/x/databases/mariadb1/data/ib_logfile#", "mariadb redo log"),
        ("/tmp/x/coordinator/data/decisions/#.log", "coordinator log"),
        ("/tmp/x/agent2/data/journal/#.log", "agent journal"),
        ("/etc/passwd", "/etc/passwd"),
    ],
)
def test_a_file_is_known_by_its_place(path: str, what: str):
    assert counts.forced_file(path) == what


def test_the_table_divides_and_the_json_does_not():
    run = Counts(
        seconds=2.0,
        messages={"agents.prepare.call": 20, "agents.prepare.reply": 20, "delays": 60},
        trips={"postgres": {"branches": 20, "beside": 1}},
        syncs={"postgres WAL": 25, "coordinator log": 10},
    )
    rest = Counts(seconds=4.0, messages={}, trips={}, syncs={"postgres WAL": 2})
    side = Side("troth", 10, run, rest)
    rows = {line[2:28].strip(): line[28:].split() for line in counts.table("title", [side]).splitlines()}
    assert rows["prepare"] == ["2.00", "1", "n-1", "2", "n", "-"]
    assert rows["coordinator and agents"][:2] == ["4.00", "5"]
    assert rows["delays, call to answer"][0] == "6.00"
    assert rows["postgres, of branches"][0] == "2.00"
    assert rows["postgres WAL"] == ["2.50", "0.50/s"]
    assert rows["together"] == ["3.50", "3", "n+1", "5", "2n+1", "0.50/s"]

    line = json.loads(counts.json_line("postgres+mysql", 2, "applied", side))
    assert (line["bench"], line["agents"], line["side"], line["transfers"]) == ("count", 2, "troth", 10)
    assert line["syncs"] == run.syncs
    assert line["at_rest"]["seconds"] == 4.0


def test_a_door_shows_what_goes_through_in_order():
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        with Tap(lambda *what: seen.append(what)) as tap:
            port = tap.door("there", server.getsockname()[1])
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                client.sendall(b"ask")
                served, _ = server.accept()
                with served:
                    assert served.recv(100) == b"ask"
                    served.sendall(b"answer")
                    assert client.recv(100) == b"answer"
            assert tap.look(lambda: seen) == [("there", 1, True, b"ask"), ("there", 1, False, b"answer")]


def test_each_sync_of_each_process_is_counted_by_its_file(tmp_path):
    table = tmp_path / "syncs"
    table.write_bytes(bytes(8 * counts.SLOT_BYTES))
    program = """
import os, sys
for name, call in (("log.1", os.fsync), ("log.22", os.fdatasync), ("other", os.fdatasync)):
    with open(os.path.join(sys.argv[1], name), "w") as file:
        call(file.fileno())
        if os.fork() == 0:
            call(file.fileno())
            os._exit(0)
        os.wait()
"""
    environment = os.environ | {
        "LD_PRELOAD": str(programs_directory() / "libsync_counter.so"),
        "TROTH_SYNC_COUNTS": str(table),
    }
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=environment, check=True, timeout=60)
    assert counts.parse_syncs(table.read_bytes()) == {f"{tmp_path}/log.#": 4, f"{tmp_path}/other": 2}


def test_a_full_table_loses_names_and_no_sync(tmp_path):
    table = tmp_path / "syncs"
    table.write_bytes(bytes(2 * counts.SLOT_BYTES))
    program = """
import os, sys
for name in "abcd":
    with open(os.path.join(sys.argv[1], name), "w") as file:
        os.fsync(file.fileno())
"""
    environment = os.environ | {
        "LD_PRELOAD": str(programs_directory() / "libsync_counter.so"),
        "TROTH_SYNC_COUNTS": str(table),
    }
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=environment, check=True, timeout=60)
    assert sum(counts.parse_syncs(table.read_bytes()).values()) == 4
