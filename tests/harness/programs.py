"""Troth's own programs as processes under test: configuration file, data directory, crash points."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from harness import ROOT
from harness.processes import Process, ProcessError
from harness.toml import to_toml


def programs_directory() -> Path:
    """TROTH_PROGRAMS, else what the preset dev builds."""
    return Path(os.environ.get("TROTH_PROGRAMS") or ROOT / "build" / "dev" / "bin")


class Program(Process):
    """
    coordinator = Program("troth-coordinator", tmp_path / "c", {"listen": "127.0.0.1:0"})
    coordinator.init("bank")
    coordinator.start()
    coordinator.address               # "127.0.0.1:40123"
    coordinator.arm("coordinator.after_choose_durable")
    coordinator.restart()             # dies at that point
    """

    def __init__(
        self,
        program: str,
        directory: Path,
        settings: dict,
        environment: dict[str, str] | None = None,
        within: list[str] | None = None,
    ) -> None:
        """`within`: in front of its command, as Network.inside() gives it."""
        directory.mkdir(parents=True, exist_ok=True)
        self.program = programs_directory() / program
        self.configuration = directory / "config.toml"
        self.settings = {"data_directory": str(directory / "data"), **settings}
        self.address = ""
        super().__init__(
            directory.name,
            [*(within or []), str(self.program), "--config", str(self.configuration)],
            directory,
            ready=r"^ready address=(\S+).*$",
            environment=environment,
        )

    def init(self, name: str) -> str:
        """Makes the data directory; returns the id that `init` gave."""
        return self._init("--name", name)

    def join(self, cluster: str) -> str:
        """The same, for another coordinator of a cluster."""
        return self._init("--cluster", cluster)

    def _init(self, *arguments: str) -> str:
        self.configure()
        printed = self.run("init", *arguments)
        return re.match(r"initialised (?:cluster|agent)=(\S+)", printed)[1]

    def launch(self) -> None:
        self.configure()
        super().launch()

    def wait_ready(self, within_s: float = 30):
        match = super().wait_ready(within_s)
        self.address = match[1]
        return match

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def restart(self, within_s: float = 30) -> None:
        """Kills it if it runs, and starts it again with the settings as they are now."""
        self.kill()
        self.start(within_s)

    def arm(self, point: str, action: str = "kill", hit: int = 1) -> None:
        """From the next start: the process ends ("kill") or stands still ("stop") at the hit-th time at the point."""
        self.settings["testing"] = {"crash_point": point, "crash_action": action, "crash_hit": hit}

    def disarm(self) -> None:
        self.settings.pop("testing", None)

    def crash_points(self) -> list[str]:
        return self.run("--list-crash-points").split()

    def run(self, *arguments: str, exit_code: int = 0) -> str:
        """The program with this configuration and other arguments, to its end."""
        done = subprocess.run(
            [str(self.program), "--config", str(self.configuration), *arguments],
            cwd=self.directory,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != exit_code:
            raise ProcessError(
                f"{self.program.name} {' '.join(arguments)} ended with {done.returncode}, expected {exit_code}: "
                f"{done.stdout}{done.stderr}"
            )
        return done.stdout if exit_code == 0 else done.stdout + done.stderr

    def configure(self) -> None:
        """Writes its file, as the settings are now; each start does."""
        self.configuration.write_text(to_toml(self.settings), encoding="utf-8")
