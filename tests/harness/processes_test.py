"""Processes under test, with small ones of Python's own."""

import subprocess
import sys
import textwrap

import pytest

from harness import Process, ProcessError, eventually
from throwaway.identity import ProcessIdentity

SERVER = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
print("starting", flush=True)
print("ready address=127.0.0.1:1", flush=True)
while True: time.sleep(0.01)
"""


def process(workspace, code=SERVER):
    return Process("server", [sys.executable, "-c", code], workspace, ready=r"^ready address=(\S+)")


def test_start_waits_for_the_ready_line_and_returns_it(workspace):
    server = process(workspace)
    assert server.start()[1] == "127.0.0.1:1"
    server.kill()
    assert server.expect_exit(-9) == -9


def test_a_second_start_does_not_take_the_first_ones_ready_line(workspace):
    server = process(workspace)
    server.start()
    server.kill()
    server.command[-1] = "print('no')"
    with pytest.raises(ProcessError, match="ended with 0 before it was ready:\nno"):
        server.start()


def test_stop_wants_the_exit_code_it_was_told(workspace):
    server = process(workspace)
    server.start()
    with pytest.raises(ProcessError, match="ended with 3, expected 0"):
        server.stop()
    server.start()
    server.stop(exit_code=3)


def test_a_paused_process_is_seen_as_paused_and_can_be_stopped(workspace):
    server = process(workspace)
    server.start()
    server.pause()
    eventually(server.is_paused, "it is paused")
    server.stop(exit_code=3)


def test_a_run_that_is_killed_takes_its_processes_with_it(workspace):
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent("""
            import sys, time
            from pathlib import Path
            sys.path.insert(0, sys.argv[1])
            from harness import Process
            child = Process("child", ["sleep", "600"], Path(sys.argv[2]))
            child.start()
            print(child.pid, flush=True)
            time.sleep(600)
        """), str(__import__("harness").ROOT / "tests"), str(workspace)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    child = ProcessIdentity.of(int(run.stdout.readline()))
    assert child.runs()
    run.kill()
    run.wait()
    eventually(lambda: not child.runs(), "the child has gone")
