import tomllib
from pathlib import Path

from harness.toml import to_toml


def test_what_is_written_is_what_a_toml_reader_reads():
    settings = {
        "name": 'a "quoted" \\ name\nwith two lines',
        "path": Path("/tmp/x"),
        "limit": 5,
        "on": True,
        "addresses": ["127.0.0.1:1", "127.0.0.1:2"],
        "testing": {"crash_point": "agent.after_prepare", "crash_hit": 1},
        "resources": [{"name": "pg"}, {"name": "my", "pool": 4}],
    }
    assert tomllib.loads(to_toml(settings)) == {**settings, "path": "/tmp/x"}
