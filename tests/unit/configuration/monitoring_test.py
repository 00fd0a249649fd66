#!/usr/bin/python3
"""Alert rules and dashboard: they parse, name only what docs/metrics.md names, and each alert is explained."""

import json
import re
import subprocess
import sys
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))
from harness.monitoring import described, expressions, family_of, named_in  # noqa: E402

MONITORING = ROOT / "deploy" / "monitoring"
# What Prometheus itself adds to every series.
OF_THE_SCRAPE = {"job", "instance"}


def rules() -> list[dict]:
    loaded = yaml.safe_load((MONITORING / "troth-alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"]]


class Monitoring(unittest.TestCase):
    def setUp(self):
        self.known = described("troth-coordinator") | described("troth-agent")

    def test_the_page_is_read(self):
        self.assertIn("troth_agent_in_doubt", self.known)
        self.assertEqual(self.known["troth_agent_step_seconds"].labels, {"resource", "step"})
        self.assertGreater(len(self.known), 60)

    def test_names_follow_prometheus_conventions(self):
        for name, row in self.known.items():
            with self.subTest(name):
                self.assertEqual(row.type == "counter", name.endswith("_total"))
                self.assertNotRegex(name, r"_(ms|milliseconds|micros|kb|mb|percent)(_|$)")
                self.assertNotIn("le", row.labels)

    def test_every_expression_names_what_is_there(self):
        for place, expression in expressions():
            with self.subTest(place=place, expression=expression):
                named = named_in(expression)
                self.assertTrue(named or "up{" in expression, "names no metric")
                for name, labels in named.items():
                    row = family_of(name, self.known)
                    self.assertIsNotNone(row, f"{name} is no metric of docs/metrics.md")
                    self.assertLessEqual(labels, row.labels | OF_THE_SCRAPE)

    def test_counters_are_asked_for_their_rate(self):
        for place, expression in expressions():
            for name in re.findall(r"troth_\w+_total|\w+_seconds_(?:bucket|sum|count)", expression):
                with self.subTest(place=place, name=name):
                    self.assertRegex(expression, rf"(rate|increase)\({name}")

    def test_each_alert_says_how_bad_and_is_explained(self):
        page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
        for rule in rules():
            with self.subTest(rule["alert"]):
                self.assertIn(rule["labels"]["severity"], ("critical", "warning"))
                self.assertTrue(rule["annotations"]["summary"])
                self.assertIn(f"| `{rule['alert']}` |", page)
        explained = set(re.findall(r"^\| `(Troth\w+)` \|", page, re.MULTILINE))
        self.assertEqual(explained, {rule["alert"] for rule in rules()})

    def test_summaries_name_labels_that_the_alert_keeps(self):
        for rule in rules():
            of_all = (
                set().union(*(family_of(n, self.known).labels for n in named_in(rule["expr"])))
                | OF_THE_SCRAPE
            )
            for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
                with self.subTest(rule["alert"], label=label):
                    self.assertIn(label, of_all)
                    kept = re.search(r"sum by \(([^)]*)\)", rule["expr"])
                    if kept:
                        self.assertIn(label, kept[1])

    def test_the_dashboard_is_what_its_program_makes(self):
        made = subprocess.run(
            [MONITORING / "make_dashboard.py"], capture_output=True, text=True, check=True
        ).stdout
        self.assertEqual(made, (MONITORING / "troth-dashboard.json").read_text(encoding="utf-8"))
        panels = [p for p in json.loads(made)["panels"] if p["type"] != "row"]
        places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels]
        self.assertEqual(len(set(places)), len(places), "panels that lie on each other")

    def test_a_wrong_name_would_be_found(self):
        self.assertIsNone(family_of("troth_agent_in_doubts", self.known))
        self.assertIsNone(
            family_of("troth_agent_step_seconds", self.known), "a histogram has no series of its own name"
        )
        self.assertEqual(
            named_in('rate(troth_agent_votes_total{vot="yes"}[5m])'), {"troth_agent_votes_total": {"vot"}}
        )
        with self.assertRaises(AssertionError):
            named_in("sum(troth_agent_in_doubt")

    def test_promtool_takes_them(self):
        found = subprocess.run([ROOT / "deploy" / "promtool.sh"], capture_output=True, text=True, check=False)
        self.assertEqual(found.returncode, 0, found.stderr)
        promtool = found.stdout.strip()
        subprocess.run([promtool, "check", "config", MONITORING / "prometheus.yml"], check=True)


if __name__ == "__main__":
    unittest.main()
