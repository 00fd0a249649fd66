"""Ends what a test run leaves behind when it is killed itself.

The run starts one undertaker and tells it, line by line, of each process it starts and each temporary directory it
makes. When the pipe closes, because the run ended in whatever way, the undertaker ends and deletes what is still there
(processes by pid, start time and boot); then it goes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
sys.path.insert(0, str(DEPLOY))

from throwaway.fleet import stop_abandoned  # noqa: E402
from throwaway.identity import ProcessIdentity  # noqa: E402

_PATIENCE_S = 60


class Undertaker:
    _only: Undertaker | None = None

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.watch(os.getpid())

    @classmethod
    def of_this_run(cls) -> Undertaker:
        if cls._only is None:
            cls._only = cls()
        return cls._only

    def watch(self, pid: int) -> None:
        identity = ProcessIdentity.of(pid)
        if identity is not None:
            self._tell({"process": identity.record()})

    def watch_directory(self, directory: Path) -> None:
        self._tell({"directory": str(directory)})

    def _tell(self, what: dict) -> None:
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()


def _bury() -> None:
    watched = [json.loads(line) for line in sys.stdin]
    run, *started = [ProcessIdentity.from_record(each["process"]) for each in watched if "process" in each]
    for identity in started:
        identity.kill_family()
    # The databases of the run as well, once their owner has gone.
    run.wait_gone(_PATIENCE_S)
    stop_abandoned()
    for each in watched:
        if "directory" in each:
            shutil.rmtree(each["directory"], ignore_errors=True)


if __name__ == "__main__":
    _bury()
