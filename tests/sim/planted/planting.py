"""Applies planted bugs to copies of the tree. See plants.py."""

import dataclasses
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


class PlantError(Exception):
    """What is wrong with a plant, by its name."""


@dataclasses.dataclass(frozen=True)
class Plant:
    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def breaks(self) -> str:
        """What its first line says that it breaks: rules, attacks, or a promise; empty if it says nothing."""
        first = self.path.read_text(encoding="utf-8").split("\n", 1)[0]
        found = re.match(r"# Breaks (.+?)(?:: .*|\.)?$", first)
        return found.group(1) if found else ""

    @property
    def files(self) -> list[str]:
        return re.findall(r"^\+\+\+ b/(\S+)", self.path.read_text(encoding="utf-8"), re.MULTILINE)

    def check_form(self) -> None:
        text = self.path.read_text(encoding="utf-8")
        if not self.breaks:
            raise PlantError(f"{self.name}: its first line does not say `# Breaks RULE: how`")
        if not self.files:
            raise PlantError(f"{self.name}: it changes no file; write paths as `git diff` does (+++ b/...)")
        asked = set(re.findall(r'\bplanted\("([^"]*)"\)', text))
        if asked != {self.name}:
            raise PlantError(
                f'{self.name}: its change must ask planted("{self.name}"), and nothing else; it asks '
                f"{sorted(asked) or 'nothing'}"
            )

    def apply_alone(self, tree: Path, directory: Path) -> dict[str, Path]:
        """Its files, changed by nobody else, by name."""
        for name in self.files:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            if (tree / name).exists():
                shutil.copy(tree / name, directory / name)
        done = run(
            ["patch", "--strip=1", "--fuzz=0", "--force", "--no-backup-if-mismatch", "--reject-file=-"]
            + [f"--directory={directory}", f"--input={self.path}"]
        )
        if done.returncode != 0:
            raise PlantError(
                f"{self.name}: it does not apply to the tree any more:\n{done.stdout}{done.stderr}"
            )
        return {name: directory / name for name in self.files}


def run(command: list, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def all_plants(directory: Path = HERE) -> list[Plant]:
    return [Plant(path) for path in sorted(directory.glob("*.patch"))]


def planted_files(tree: Path, plants: list[Plant], work: Path) -> dict[str, Path]:
    """The files of the tree that plants change, with all of them in it. Each is applied to the clean file, and the results
    are merged: so each depends on the tree alone, not on those before it."""
    merged: dict[str, Path] = {}
    for plant in plants:
        plant.check_form()
        for name, changed in plant.apply_alone(tree, work / plant.name).items():
            if name not in merged:
                merged[name] = changed
                continue
            done = run(["git", "merge-file", merged[name], tree / name, changed])
            if done.returncode != 0:
                raise PlantError(
                    f"{plant.name}: it changes lines of {name} that another plant changes, or the next ones"
                )
    return merged


def check(tree: Path = ROOT, directory: Path = HERE) -> list[str]:
    """What is wrong: empty if nothing is."""
    wrong = []
    sound = []
    with tempfile.TemporaryDirectory(prefix="troth-plants-") as work:
        for plant in all_plants(directory):
            try:
                planted_files(tree, [plant], Path(work) / "alone")
                sound.append(plant)
            except PlantError as error:
                wrong.append(str(error))
        try:
            planted_files(tree, sound, Path(work) / "together")
        except PlantError as error:
            wrong.append(str(error))
    return wrong


def write_if_changed(path: Path, content: bytes) -> None:
    """What did not change is not compiled again."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


NAMES_FILE = "tests/sim/planted/names.cc"
NAMES_TEXT = """#include "tests/sim/planted/names.h"

#include <array>

namespace troth::sim {{

std::span<const std::string_view> planted_names() {{
  static constexpr std::array<std::string_view, {count}> kNames{{{names}}};
  return kNames;
}}

}}  // namespace troth::sim
"""


def lay_out(target: Path) -> None:
    plants = all_plants()
    if not plants:
        raise PlantError(f"no bug is planted: {HERE} has no patch")
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    if listed.returncode != 0:
        raise PlantError(f"git does not list the tree: {listed.stderr.strip()}")
    names = {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    with tempfile.TemporaryDirectory(prefix="troth-plants-") as work:
        planted = planted_files(ROOT, plants, Path(work))
        for name in names | set(planted):
            source = planted.get(name, ROOT / name)
            if name != NAMES_FILE:
                write_if_changed(target / name, source.read_bytes())
                shutil.copymode(source, target / name)
    words = ", ".join(f'"{plant.name}"' for plant in plants)
    write_if_changed(target / NAMES_FILE, NAMES_TEXT.format(count=len(plants), names=words).encode())
    # What is gone from the tree is gone from the copy; what was built there stays.
    for path in target.rglob("*"):
        name = str(path.relative_to(target))
        if path.is_file() and not name.startswith("build/") and name not in names | set(planted):
            path.unlink()
