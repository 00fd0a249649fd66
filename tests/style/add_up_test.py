"""What long runs of the simulator come to together (tests/sim/tool/add_up.py)."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/sim/tool"))

import add_up  # noqa: E402


def _line(commit, first, seeds, failures=()):
    return json.dumps(
        {
            "commit": commit,
            "from": first,
            "seeds": seeds,
            "virtual_hours": 2.0,
            "decisions": 10 * seeds,
            "faults": {"pause": seeds},
            "rare": {"a request was barred": 1},
            "failures": list(failures),
        }
    )


def test_seeds_add_up_by_commit():
    sums = add_up.add_up([_line("a", 1, 100), _line("b", 1, 5), _line("a", 101, 50)])
    assert (sums["a"].seeds, sums["b"].seeds) == (150, 5)
    assert sums["a"].decisions == 1500
    assert sums["a"].faults == {"pause": 150}


def test_a_seed_counts_once():
    sums = add_up.add_up([_line("a", 50, 10), _line("a", 1, 100), _line("a", 1, 100)])
    assert (sums["a"].seeds, sums["a"].left_out) == (100, 2)
    assert "2 lines left out" in sums["a"].text("a")


def test_what_failed_is_told():
    failure = {"seed": 7, "broken": ["T3: told"], "replay": "make sim SEED=7"}
    sums = add_up.add_up([_line("a", 1, 100, [failure])])
    assert "100 seeds, 1 failed" in sums["a"].text("a")
    assert "seed 7: T3: told" in sums["a"].text("a")
