"""The planted bugs of the simulator (tests/sim/planted/) still fit the tree."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/sim/planted"))

import planting  # noqa: E402

CODE = "int a();\n\nint b();\n\nint c();\n"
PATCH = """# Breaks T2. Somebody mistakes b for d.
--- a/box/code.cc
+++ b/box/code.cc
@@ -2,3 +2,3 @@
 
-int b();
+int b() {{ return troth::planted("{name}") ? d() : e(); }}
 
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "box").mkdir()
    (tmp_path / "box/code.cc").write_text(CODE)
    (tmp_path / "patches").mkdir()
    return tmp_path


def _wrong(tree):
    return planting.check(tree, tree / "patches")


def test_every_planted_bug_applies_to_the_tree():
    assert planting.check() == []


def test_a_patch_that_applies_is_not_complained_of(tree):
    (tree / "patches/swapped.patch").write_text(PATCH.format(name="swapped"))
    (tree / "box/code.cc").write_text("int before();\n\n" + CODE)
    assert _wrong(tree) == []


def test_a_patch_of_code_that_has_changed_is_named(tree):
    (tree / "patches/swapped.patch").write_text(PATCH.format(name="swapped"))
    (tree / "box/code.cc").write_text(CODE.replace("int b();", "long b();"))
    (wrong,) = _wrong(tree)
    assert wrong.startswith("swapped: it does not apply to the tree any more")


def test_a_patch_that_asks_for_another_name_is_named(tree):
    (tree / "patches/swapped.patch").write_text(PATCH.format(name="swoped"))
    (wrong,) = _wrong(tree)
    assert wrong.startswith('swapped: its change must ask planted("swapped")')


def test_a_patch_that_breaks_nothing_by_name_is_named(tree):
    (tree / "patches/swapped.patch").write_text(PATCH.format(name="swapped").replace("Breaks", "Spoils"))
    (wrong,) = _wrong(tree)
    assert wrong.startswith("swapped: its first line does not say `# Breaks RULE: how`")


def test_two_that_change_the_same_lines_are_named(tree):
    for name in ("first", "second"):
        (tree / f"patches/{name}.patch").write_text(PATCH.format(name=name))
    (wrong,) = _wrong(tree)
    assert wrong == "second: it changes lines of box/code.cc that another plant changes, or the next ones"


def test_two_may_change_one_file(tree):
    (tree / "patches/swapped.patch").write_text(PATCH.format(name="swapped"))
    other = PATCH.format(name="other").replace("-2,3 +2,3", "-4,2 +4,2").replace("int b()", "int c()")
    (tree / "patches/other.patch").write_text(other.removesuffix(" \n"))
    assert _wrong(tree) == []
    merged = planting.planted_files(tree, planting.all_plants(tree / "patches"), tree / "work")
    text = merged["box/code.cc"].read_text()
    assert 'planted("swapped")' in text and 'planted("other")' in text
