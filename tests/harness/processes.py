"""A process under test: started until it says that it is ready, killed, stopped, paused, started again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from harness.undertaker import Undertaker

_POLL_S = 0.005


class ProcessError(AssertionError):
    pass


class Process:
    """
    agent = Process("agent", ["build/dev/bin/troth-agent", "--config", "agent.toml"], tmp_path, ready=r"^ready ")
    agent.start()
    agent.kill()                       # SIGKILL
    agent.start()                      # the same command again
    agent.stop()                       # SIGTERM; fails unless the exit code is 0
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        directory: Path,
        ready: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """`ready`: a regular expression for a line of its output; without one a process is ready once it runs."""
        self.name = name
        self.command = [str(word) for word in command]
        self.directory = Path(directory)
        self.log = self.directory / f"{name}.log"
        self.starts = 0
        self._ready = re.compile(ready, re.MULTILINE) if ready else None
        self.environment = environment or {}
        self._process: subprocess.Popen | None = None
        self._log_start = 0

    def start(self, within_s: float = 30) -> re.Match[str] | None:
        """Returns the match of the ready line."""
        self.launch()
        return self.wait_ready(within_s)

    def launch(self) -> None:
        """Starts without waiting, for a process that is expected to fail."""
        if self.runs():
            raise ProcessError(f"{self.name} already runs as process {self.pid}")
        with open(self.log, "ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.starts += 1
        Undertaker.of_this_run().watch(self._process.pid)

    def wait_ready(self, within_s: float = 30) -> re.Match[str] | None:
        if self._ready is None:
            return None
        deadline = time.monotonic() + within_s
        while True:
            ended = self._process.poll() is not None
            if match := self._ready.search(self.output()):
                return match
            if ended:
                raise ProcessError(
                    f"{self.name} ended with {self._process.returncode} before it was ready:\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.name} was not ready within {within_s} s:\n{self.tail()}")
            time.sleep(_POLL_S)

    @property
    def pid(self) -> int:
        return self._process.pid

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        """What it wrote since its last start."""
        with open(self.log, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", errors="replace")

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.output().splitlines()[-lines:])

    def kill(self) -> None:
        """SIGKILL; nothing where it has ended already."""
        self._send(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        self._send(signal.SIGTERM)

    def stop(self, exit_code: int = 0, within_s: float = 30) -> None:
        """SIGTERM, and the exit code it must give. Nothing where it was never started."""
        if self._process is None:
            return
        self.resume()
        self.terminate()
        self.expect_exit(exit_code, within_s)

    def pause(self) -> None:
        """SIGSTOP: a process that is there and does nothing."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def is_paused(self) -> bool:
        """Also when it stopped itself (a crash point with the action "stop")."""
        if not self.runs():
            return False
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
        return stat[stat.rindex(")") + 2] == "T"

    def ends(self, within_s: float) -> bool:
        """Whether it has ended, or does so in that time."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def expect_exit(self, exit_code: int | None, within_s: float = 30) -> int:
        """Waits for the end. -9 is "killed by SIGKILL"; None takes any code."""
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise ProcessError(f"{self.name} did not end within {within_s} s:\n{self.tail()}") from None
        if exit_code is not None and code != exit_code:
            raise ProcessError(f"{self.name} ended with {code}, expected {exit_code}:\n{self.tail()}")
        return code

    def _send(self, number: signal.Signals) -> None:
        # Our own child: until it is waited for, which only this object does, its pid is nobody else's.
        if self.runs():
            self._process.send_signal(number)
