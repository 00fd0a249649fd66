"""What a program shows over HTTP, read as strictly as Prometheus reads it."""

from __future__ import annotations

import json
import math
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import yaml
from prometheus_client.parser import text_string_to_metric_families

from harness import ROOT
from harness.programs import Program
from harness.waiting import eventually

_SERIES_OF_A_HISTOGRAM = ("_bucket", "_sum", "_count")


@dataclass(frozen=True)
class Described:
    """A row of docs/metrics.md."""

    type: str
    labels: frozenset[str]


def described(program: str) -> dict[str, Described]:
    """Name to row, of one program's table."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    part = page.split(f"# Metrics of {program}\n", 1)[1].split("\n# ", 1)[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| ([^|]*) \|", part, re.MULTILINE)
    return {name: Described(kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


@dataclass
class Page:
    """
    page = scrape(agent)
    page.value("troth_agent_in_doubt", resource="pg")
    """

    types: dict[str, str] = field(default_factory=dict)
    samples: dict[str, dict[frozenset, float]] = field(default_factory=dict)

    def value(self, name: str, **labels: str) -> float:
        """Of all samples that have these labels, together; 0 where there is none."""
        wanted = frozenset(labels.items())
        return sum(value for each, value in self.samples.get(name, {}).items() if wanted <= each)


def parse(text: str) -> Page:
    """Refuses what Prometheus would refuse, and what would surprise it."""
    page = Page()
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        assert family.documentation, f"{name} says nothing of itself"
        assert name not in page.types, f"{name} stands there twice"
        page.types[name] = family.type
        for sample in family.samples:
            series = page.samples.setdefault(sample.name, {})
            labels = frozenset(sample.labels.items())
            assert labels not in series, f"{sample.name}{dict(labels)} stands there twice"
            series[labels] = sample.value
        if family.type == "histogram":
            _check_histogram(family)
    return page


def _check_histogram(family) -> None:
    buckets: dict[frozenset, list[tuple[float, float]]] = {}
    counts: dict[frozenset, float] = {}
    for sample in family.samples:
        labels = frozenset((k, v) for k, v in sample.labels.items() if k != "le")
        if sample.name.endswith("_bucket"):
            buckets.setdefault(labels, []).append((float(sample.labels["le"]), sample.value))
        if sample.name.endswith("_count"):
            counts[labels] = sample.value
    for labels, steps in buckets.items():
        assert steps == sorted(steps), f"{family.name}{dict(labels)}: buckets fall"
        assert [value for _, value in steps] == sorted(value for _, value in steps), f"{family.name}: {steps}"
        assert steps[-1] == (math.inf, counts[labels]), f"{family.name}{dict(labels)}: {steps[-1]}"


def address(program: Program) -> str:
    return re.search(r"^ready .*http=(\S+)", program.output(), re.MULTILINE)[1]


def get(program: Program, path: str, timeout_s: float = 10) -> tuple[int, str]:
    """The status and the body; an error status is an answer."""
    try:
        with urllib.request.urlopen(f"http://{address(program)}{path}", timeout=timeout_s) as answer:
            return answer.status, answer.read().decode("utf-8")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8")


def scrape(program: Program) -> Page:
    """With every state as it was not before this call: the program looks at itself twice in a second at most."""
    looks = "troth_event_loop_looks_total"
    before = scrape_at_once(program).value(looks)
    return eventually(
        lambda: (page := scrape_at_once(program)).value(looks) > before and page, "a fresh look at the loop"
    )


def scrape_at_once(program: Program) -> Page:
    status, text = get(program, "/metrics")
    assert status == 200, text
    return parse(text)


def named_in(expression: str) -> dict[str, set[str]]:
    """The metrics of a PromQL expression, each with the labels that its matchers and the expression's groupings name.
    Refuses brackets that do not close."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"', '""', expression)
    for opening, closing in ("()", "{}", "[]"):
        assert bare.count(opening) == bare.count(closing), f"unbalanced {opening}{closing}: {expression}"
    groupings = {
        label.strip()
        for inside in re.findall(r"\b(?:by|on|without|group_left|group_right|ignoring)\s*\(([^)]*)\)", bare)
        for label in inside.split(",")
        if label.strip()
    }
    found: dict[str, set[str]] = {}
    for name, matchers in re.findall(r"\b((?:troth|process)_[a-z_]+)\b\s*(\{[^}]*\})?", bare):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        found.setdefault(name, set()).update(labels | groupings)
    return found


def family_of(name: str, known: dict[str, Described]) -> Described | None:
    """The row of a series: of a histogram's also under its three series' names."""
    if name in known and known[name].type != "histogram":
        return known[name]
    for suffix in _SERIES_OF_A_HISTOGRAM:
        base = known.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
        if base is not None and base.type == "histogram":
            extra = {"le"} if suffix == "_bucket" else set()
            return Described("histogram", base.labels | extra)
    return None


def expressions() -> list[tuple[str, str]]:
    """Every PromQL expression of deploy/monitoring/, with the name of its alert or panel."""
    directory = ROOT / "deploy" / "monitoring"
    rules = yaml.safe_load((directory / "troth-alerts.yml").read_text(encoding="utf-8"))
    dashboard = json.loads((directory / "troth-dashboard.json").read_text(encoding="utf-8"))
    return [
        *((rule["alert"], rule["expr"]) for group in rules["groups"] for rule in group["rules"]),
        *(
            (panel["title"], target["expr"])
            for panel in dashboard["panels"]
            for target in panel.get("targets", [])
        ),
    ]
