"""Where things that are slow to make are kept between runs, outside the source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from throwaway.identity import ProcessIdentity


def cache_directory() -> Path:
    """The same rule as deploy/mysql-tree.sh."""
    if "TROTH_CACHE" in os.environ:
        return Path(os.environ["TROTH_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "troth"


def copy_tree(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--archive", "--reflink=auto", str(source), str(target)], check=True)


def copy_of_template(key: str, target: Path, make: Callable[[Path], None]) -> None:
    """Fills `target` from the template `key`, or by `make`, whose work becomes the template.

    A template appears by rename, whole or not at all, so runs may race: the loser's copy is dropped.
    """
    templates = cache_directory() / "templates"
    template = templates / key
    if template.is_dir():
        copy_tree(template, target)
        return
    make(target)
    templates.mkdir(parents=True, exist_ok=True, mode=0o700)
    _drop_unfinished(templates)
    me = ProcessIdentity.of(os.getpid())
    making = templates / f".making-{me.pid}-{me.started}-{key}-{id(target)}"
    copy_tree(target, making)
    try:
        making.rename(template)
    except OSError:
        shutil.rmtree(making)


def _drop_unfinished(templates: Path) -> None:
    for path in templates.glob(".making-*"):
        pid, started = path.name.split("-")[1:3]
        maker = ProcessIdentity.of(int(pid))
        if maker is None or maker.started != int(started):
            shutil.rmtree(path, ignore_errors=True)
