#!/usr/bin/python3
"""The house rules that a machine can see. Each test names its rule; run: tests/style/style_test.py [-v]"""

import collections
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# base <- txlog <- coordinator, participant_agent <- recovery. A pure folder sees pure folders to its left;
# a runtime/ sees its own folder, what that sees, their runtimes, and thrift.
PURE_SEES = {
    "base": {"base"},
    "txlog": {"base", "txlog"},
    "coordinator": {"base", "coordinator"},
    "participant_agent": {"base", "participant_agent"},
    "recovery": {"base", "coordinator", "participant_agent", "recovery"},
}
RUNTIME_SEES = {
    "base": {"base"},
    "thrift": {"base", "thrift"},
    "txlog": {"base", "txlog"},
    "coordinator": {"base", "txlog", "thrift", "coordinator"},
    "participant_agent": {"base", "txlog", "thrift", "participant_agent"},
    "recovery": {"base", "txlog", "thrift", "coordinator", "participant_agent", "recovery"},
}
# What waits, or differs from run to run, has no place in a pure folder.
IMPURE_INCLUDES = re.compile(
    r"#include\s+<(thread|mutex|shared_mutex|atomic|condition_variable|future|semaphore|latch|barrier|fstream|"
    r"iostream|filesystem|random|unistd\.h|fcntl\.h|sys/.*|netinet/.*|poll\.h|signal\.h|csignal|ctime|time\.h|"
    r"asio.*|prometheus.*|thrift/.*|pqxx.*|libpq.*|mysql.*|cppconn.*|spdlog.*|toml.*|CLI.*|openssl/.*|nlohmann.*)>"
)
IMPURE_WORDS = re.compile(
    r"\b(_clock::now|random_device|\w+_distribution\b|this_thread|getenv|std::unordered_(map|set))"
)
WEAK_NAMES = re.compile(
    r"\b(?:class|struct|enum class)\s+(\w*(?:Manager|Helper|Util|Utils|Common|Misc|Handler|Processor|Default|Impl))\b"
)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def tracked(*suffixes):
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    return [pathlib.PurePosixPath(n) for n in names if n.endswith(suffixes) and (ROOT / n).is_file()]


def code():
    return [(p, (ROOT / p).read_text()) for p in tracked(".h", ".cc")]


def is_runtime(path):
    return "runtime" in path.parts


def lines_matching(pattern, path, text):
    return [
        f"{path}:{number}: {line.strip()}"
        for number, line in enumerate(text.split("\n"), 1)
        if pattern.search(line)
    ]


class Style(unittest.TestCase):
    maxDiff = None

    def none(self, found, rule):
        self.assertEqual([], found, f"\n{rule}\n  " + "\n  ".join(found))

    def test_pure_folders_include_nothing_that_waits(self):
        found = []
        for path, text in code():
            if path.parts[0] in PURE_SEES and not is_runtime(path):
                found += lines_matching(IMPURE_INCLUDES, path, text)
                found += lines_matching(IMPURE_WORDS, path, re.sub(r"//.*", "", text))
        self.none(found, "Files directly in a folder are pure; what waits or differs lives in runtime/.")

    def test_arrows_between_folders_point_one_way(self):
        found = []
        for path, text in code():
            sees = (RUNTIME_SEES if is_runtime(path) else PURE_SEES).get(path.parts[0])
            if sees is None:
                continue
            for target in re.findall(r'#include "([^"]+)"', text):
                parts = pathlib.PurePosixPath(target).parts
                if parts[0] not in sees or ("runtime" in parts and not is_runtime(path)):
                    found.append(f"{path} includes {target}")
        self.none(
            found, "base <- txlog <- coordinator, participant_agent <- recovery; pure never sees runtime/."
        )

    def test_each_row_of_the_types_is_shown_by_a_test(self):
        page = (ROOT / "docs/types.md").read_text()
        tests_of_types = ROOT / "tests/unit/participant_agent_runtime"
        code = "".join((tests_of_types / f"types{kind}_test.cc").read_text() for kind in ("", "_settings"))
        tests = set(re.findall(r"^TEST_P\(\w+, (\w+)\)", code, re.MULTILINE))
        rows = [line.rsplit("|", 2)[1].strip() for line in page.split("\n") if line.startswith("| ")]
        named = {name for cell in rows if cell != "test" for name in re.split(r",\s*", cell)}
        loose = {name for name in tests if f"({name})" in page}
        self.none(sorted(named - tests), "docs/types.md names a test that is not there.")
        self.none(sorted(tests - named - loose), "A test of a type is not on docs/types.md.")

    def test_a_switch_over_states_has_no_default(self):
        found = []
        for path, text in code():
            if path.parts[0] in PURE_SEES and not is_runtime(path):
                found += lines_matching(re.compile(r"^\s*default:"), path, text)
        self.none(found, "A new state must break the build where it is not thought of (-Werror=switch).")

    def test_names_are_nouns_of_the_field(self):
        found = []
        for path, text in code():
            found += lines_matching(WEAK_NAMES, path, text)
        self.none(found, "A name ending so says that the noun was not found.")

    def test_a_namespace_defines_a_name_once(self):
        """Two classes of one name in one namespace, in files that no file includes together: the linker keeps the functions
        of one of them for both."""
        places = collections.defaultdict(list)
        for path, text in code():
            namespace = re.search(r"^namespace ([\w:]+) \{", text, re.MULTILINE)
            if path.suffix == ".h" and "tests" not in path.parts and namespace:
                for name in re.findall(
                    r"^(?:struct|class) (\w+)(?: final)? ?(?:\{|:[^:])", text, re.MULTILINE
                ):
                    places[namespace[1], name].append(str(path))
        self.assertFalse({name: found for name, found in places.items() if len(found) > 1})

    def test_files_are_one_thing(self):
        found = []
        for path, text in code():
            is_interface = path.suffix == ".h" and path.parts[0] != "tests"
            count, limit = text.count("\n"), 250 if is_interface else 800
            if count > limit:
                found.append(f"{path}: {count} lines, at most {limit}")
        self.none(found, "A longer file is two things.")

    def test_nothing_is_left_unfinished(self):
        found = []
        for path in tracked(".h", ".cc", ".py", ".sh", ".thrift", ".cmake", "CMakeLists.txt"):
            if path.parts[:2] != ("tests", "style"):
                found += lines_matching(UNFINISHED, path, (ROOT / path).read_text())
        self.none(found, "Unfinished work is an issue, not a mark in the code.")

    def test_unit_tests_and_scripts_never_sleep(self):
        found = []
        for path in tracked(".h", ".cc", ".py"):
            if path.parts[:2] in (("tests", "unit"), ("tests", "scripts")):
                found += lines_matching(
                    re.compile(r"sleep_for|usleep\(|time\.sleep\("), path, (ROOT / path).read_text()
                )
        self.none(found, "Wait for a condition, with a bound.")

    def test_processes_are_ended_by_id_only(self):
        found = []
        for path in tracked(".h", ".cc", ".py", ".sh", "Makefile", "run"):
            if path.parts[:2] != ("tests", "style"):
                found += lines_matching(re.compile(r"\b(pkill|killall)\b"), path, (ROOT / path).read_text())
        self.none(found, "A script ends exactly the processes that it started.")

    def test_readme_and_architecture_name_every_folder(self):
        folders = {
            p.parts[0] + "/" for p in tracked("") if len(p.parts) > 1 and not p.parts[0].startswith(".")
        }
        table = re.findall(r"^\| \[?`([a-z_]+/)`", (ROOT / "README.md").read_text(), re.M)
        self.assertEqual(sorted(folders), sorted(set(table)), "README's table of folders is the folders.")
        architecture = (ROOT / "ARCHITECTURE.md").read_text()
        self.none(
            [f for f in sorted(folders) if f not in architecture], "ARCHITECTURE.md names every folder."
        )

    def test_each_rule_is_kept_somewhere_and_shown_somewhere(self):
        """T1 to T12 are quoted by the code that keeps them and by a test that shows them."""
        kept, shown = set(), set()
        for path in tracked(".h", ".cc", ".txt", ".py"):
            rules = set(re.findall(r"\bT(\d{1,2})\b", (ROOT / path).read_text()))
            (shown if path.parts[0] == "tests" else kept).update(rules)
        rules = {str(n) for n in range(1, 13)}
        self.assertEqual(set(), rules - kept, "rules that no code quotes")
        self.assertEqual(set(), rules - shown, "rules that no test quotes")

    def test_each_attack_has_its_test(self):
        """docs/attacks.md promises for each number a test that says `Attack N`."""
        listed = set(re.findall(r"^\| (\d+) \|", (ROOT / "docs/attacks.md").read_text(), re.M))
        shown = set()
        for path in tracked(".h", ".cc", ".txt", ".py"):
            if path.parts[0] == "tests":
                for numbers in re.findall(r"[Aa]ttacks? ([\d, and]+)", (ROOT / path).read_text()):
                    shown.update(re.findall(r"\d+", numbers))
        self.assertEqual([], sorted(listed - shown, key=int), "attacks without a test")


if __name__ == "__main__":
    unittest.main()
