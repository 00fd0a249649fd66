"""A copy of a server's data directory, and the server set back to it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from throwaway import Server


class Backup:
    """
    backup = Backup(server, directory)     # the server is ended for it, and started again
    ...
    backup.restore()                       # it runs again, and knows nothing of what happened since
    """

    def __init__(self, server: Server, directory: Path) -> None:
        self._server = server
        self._copy = directory / f"{server.name}.backup"
        self._end()
        _copy(server.data, self._copy)
        server.restart()

    def _end(self) -> None:
        # What a killed server left is a copy as good as any, and MySQL takes seconds to go in an orderly way; a killed
        # Postgres leaves a lock file that would go into the copy.
        if self._server.kind == "postgres":
            self._server.stop()
        else:
            self._server.kill()

    def restore(self) -> None:
        self._end()
        # The directory itself stays: Postgres knows its shared memory by it.
        for path in self._server.data.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        _copy(self._copy, self._server.data)
        self._server.restart()


def _copy(source: Path, target: Path) -> None:
    """With owners and modes, into a directory that may be there already."""
    target.mkdir(exist_ok=True, mode=0o700)
    subprocess.run(["cp", "-a", "--reflink=auto", f"{source}/.", target], check=True)
