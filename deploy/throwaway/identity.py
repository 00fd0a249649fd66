"""Who a process is.

A pid alone names nobody: it is reused. Pid, start time and boot together are never reused, so a signal goes to the
process that was meant, or to none.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from pathlib import Path


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


@dataclasses.dataclass(frozen=True)
class ProcessIdentity:
    pid: int
    started: int  # clock ticks since boot, field 22 of /proc/PID/stat
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """None where no such process runs; a zombie does not run."""
        fields = _stat(pid)
        if fields is None or fields.state in "ZX":
            return None
        return cls(pid, fields.started, _boot())

    @classmethod
    def with_argument(cls, argument: str) -> ProcessIdentity | None:
        """The process that was started with exactly this argument."""
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                arguments = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if os.fsencode(argument) in arguments and (found := cls.of(int(entry))) is not None:
                return found
        return None

    @classmethod
    def from_record(cls, record: dict) -> ProcessIdentity:
        return cls(record["pid"], record["started"], record["boot"])

    def record(self) -> dict:
        return dataclasses.asdict(self)

    def runs(self) -> bool:
        return ProcessIdentity.of(self.pid) == self

    def send(self, number: signal.Signals) -> bool:
        """False where the process is gone. The pid cannot change hands between the look and the signal."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.runs():
                return False
            signal.pidfd_send_signal(handle, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)

    def wait_gone(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self.runs():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def descendants(self) -> list[ProcessIdentity]:
        parents: dict[int, list[int]] = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit() and (fields := _stat(int(entry))) is not None:
                parents.setdefault(fields.parent, []).append(int(entry))
        found, open_pids = [], [self.pid]
        while open_pids:
            for child in parents.get(open_pids.pop(), []):
                open_pids.append(child)
                if (identity := ProcessIdentity.of(child)) is not None:
                    found.append(identity)
        return found

    def kill_family(self, timeout_s: float = 20) -> None:
        """SIGKILL for the process and all below it: what a power cut does to it.

        It is stopped first, so that it can neither fork nor notice its children dying.
        """
        self.send(signal.SIGSTOP)
        family = self.descendants() + [self]
        for member in family:
            member.send(signal.SIGKILL)
        for member in family:
            if not member.wait_gone(timeout_s):
                raise TimeoutError(f"process {member.pid} is still there {timeout_s} s after SIGKILL")


@dataclasses.dataclass(frozen=True)
class _Stat:
    state: str
    parent: int
    started: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The program's name stands in parentheses and may hold anything, spaces and parentheses too.
    after_name = text[text.rindex(")") + 2 :].split()
    return _Stat(state=after_name[0], parent=int(after_name[1]), started=int(after_name[19]))
