"""`troth shell`: fed by a pipe, and at a terminal of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pexpect

from harness.cluster import Cluster
from harness.programs import programs_directory

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\([A-Z0-9]|\x07")


def _command(cluster: Cluster, *words: str, address: str = "") -> list[str]:
    address = address or f"127.0.0.1:{cluster.coordinator_port}"
    return [str(programs_directory() / "troth"), "--coordinator", address, "shell", *words]


def run_script(
    cluster: Cluster, script: str, *words: str, exit_code: int = 0, address: str = ""
) -> subprocess.CompletedProcess:
    """`address`: instead of the cluster's coordinator."""
    done = subprocess.run(
        _command(cluster, *words, address=address),
        input=script,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == exit_code, f"ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done


def run_json(cluster: Cluster, script: str, *words: str, exit_code: int = 0) -> list[dict]:
    """One object for each line of output."""
    done = run_script(cluster, script, "--json", *words, exit_code=exit_code)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def start_script(cluster: Cluster, *words: str) -> subprocess.Popen:
    """One whose input stays open; it runs until its input is closed."""
    return subprocess.Popen(
        _command(cluster, *words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


class Terminal:
    """
    with Terminal(cluster, tmp_path, "--on", "pg") as shell:
        shell.say("SELECT 1;")                # what was printed until the next prompt
        shell.interrupt()
    """

    def __init__(
        self, cluster: Cluster, state: Path, *words: str, columns: int = 200, lines: int = 40
    ) -> None:
        command = _command(cluster, *words)
        self._child = pexpect.spawn(
            command[0],
            command[1:],
            env={**os.environ, "TERM": "dumb", "XDG_STATE_HOME": str(state), "LC_ALL": "C.UTF-8"},
            dimensions=(lines, columns),
            encoding="utf-8",
            timeout=60,
        )
        # pexpect's own pause before each line serves echoes that are switched off; libedit has its terminal ready
        # when it shows the prompt.
        self._child.delaybeforesend = None
        self.prompt = ""
        self.greeting = self.wait_prompt()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close(force=True)

    def wait_prompt(self) -> str:
        self._child.expect(r"bank( [a-z]+)?[*!?]?[-'\"`$*]?> ")
        self.prompt = self._child.after
        return self._clean(self._child.before)

    def say(self, text: str) -> str:
        """Types a line; what the shell printed until its next prompt, without the line's echo."""
        self._child.sendline(text)
        return self.wait_prompt().partition("\n")[2]

    def type(self, text: str) -> None:
        self._child.send(text)

    def expect(self, pattern: str) -> str:
        self._child.expect(pattern)
        return self._clean(self._child.before + self._child.after)

    def interrupt(self) -> None:
        """Ctrl-C, by the terminal."""
        self._child.sendintr()

    def signal(self, number: signal.Signals) -> None:
        self._child.kill(number)

    def end(self) -> tuple[int, str]:
        """Waits for its end: exit code, and its last words."""
        self._child.expect(pexpect.EOF)
        rest = self._clean(self._child.before)
        self._child.wait()
        return self._child.exitstatus, rest

    @staticmethod
    def _clean(text: str) -> str:
        return _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "")
