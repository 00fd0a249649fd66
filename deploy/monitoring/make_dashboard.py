#!/usr/bin/python3
"""Prints troth-dashboard.json, so that forty panels are forty lines and not four thousand.

    deploy/monitoring/make_dashboard.py > deploy/monitoring/troth-dashboard.json
"""

from __future__ import annotations

import json

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT, COLUMNS = 8, 7, 24


def quantile(q: float, metric: str, by: str, match: str = "") -> str:
    return f"histogram_quantile({q}, sum by ({by}, le) (rate({metric}_bucket{match}[$__rate_interval])))"


def rate(metric: str, by: str, match: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{match}[$__rate_interval]))"


# Row -> panels: title, unit, then expression and legend, once or more.
ROWS = {
    "Is everything well": [
        ("Resources that serve", "short", ('troth_coordinator_resource_state{state="serving"}', "{{resource}}")),
        ("In doubt: branches", "short", ("troth_agent_in_doubt", "{{resource}}")),
        ("In doubt: age of the oldest", "s", ("troth_agent_oldest_in_doubt_seconds", "{{resource}}")),
        ("Decided, not acknowledged", "short", ("troth_coordinator_commits_waiting", "{{resource}}")),
        ("... age of the oldest", "s", ("troth_coordinator_oldest_commit_waiting_seconds", "{{resource}}")),
        (
            "Branches that ended otherwise than decided, last day",
            "short",
            ("sum by (resource, end) (increase(troth_coordinator_unexpected_ends_total[1d]))", "{{resource}} {{end}}"),
        ),
    ],
    "Transactions": [
        ("Decided", "ops", (rate("troth_coordinator_transactions_total", "outcome"), "{{outcome}}")),
        ("Aborts, by reason", "ops", (rate("troth_coordinator_aborts_total", "code"), "{{code}}")),
        ("Answers", "ops", (rate("troth_coordinator_answers_total", "outcome, code"), "{{outcome}} {{code}}")),
        ("Steps, median", "s", (quantile(0.5, "troth_coordinator_step_seconds", "step"), "{{step}}")),
        ("Steps, 99 %", "s", (quantile(0.99, "troth_coordinator_step_seconds", "step"), "{{step}}")),
        (
            "Open",
            "short",
            ("troth_coordinator_undecided", "undecided"),
            ("troth_coordinator_open", "open"),
            ("troth_coordinator_waiting_calls", "calls that wait"),
        ),
        ("Oldest open", "s", ("troth_coordinator_oldest_open_seconds", "{{instance}}")),
        ("Watermark lag", "short", ("troth_coordinator_watermark_lag", "{{agent}}")),
        ("Records in the store", "short", ("troth_coordinator_store_records", "{{state}}")),
    ],
    "Branches": [
        ("Votes", "ops", (rate("troth_agent_votes_total", "resource, vote, code"), "{{resource}} {{vote}} {{code}}")),
        ("Ends", "ops", (rate("troth_agent_ends_total", "resource, end"), "{{resource}} {{end}}")),
        ("Steps, median", "s", (quantile(0.5, "troth_agent_step_seconds", "resource, step"), "{{resource}} {{step}}")),
        ("Steps, 99 %", "s", (quantile(0.99, "troth_agent_step_seconds", "resource, step"), "{{resource}} {{step}}")),
        (
            "Sessions",
            "short",
            ('troth_agent_sessions{pool="work"}', "{{resource}} {{state}}"),
            ('troth_agent_sessions_limit{pool="work"}', "{{resource}} {{state}}, limit"),
        ),
        ("Waiting for a session", "short", ("troth_agent_queued", "{{resource}} {{pool}}")),
        ("Sessions lost", "ops", (rate("troth_agent_lost_sessions_total", "resource"), "{{resource}}")),
        ("Inquiries", "ops", (rate("troth_agent_inquiries_total", "resource"), "{{resource}}")),
        ("Refused calls", "ops", (rate("troth_agent_refused_total", "code"), "{{code}}")),
        ("Live branches", "short", ("troth_agent_live_branches", "{{resource}}")),
        ("Remembered branches", "short", ("troth_agent_remembered_branches", "{{instance}}")),
        ("Since a coordinator was heard", "s", ("troth_agent_leader_silence_seconds", "{{instance}}")),
    ],
    "Disks": [
        ("Decision store, 99 %", "s", (quantile(0.99, "troth_coordinator_store_seconds", "request"), "{{request}}")),
        ("Oldest request to the store", "s", ("troth_coordinator_store_oldest_wait_seconds", "{{instance}}")),
        ("Sync, 99 %", "s", (quantile(0.99, "troth_txlog_sync_seconds", "job, instance"), "{{job}} {{instance}}")),
        ("Syncs", "ops", (rate("troth_txlog_syncs_total", "job, instance"), "{{job}} {{instance}}")),
        (
            "Records that share a sync",
            "short",
            (
                "sum by (job, instance) (rate(troth_txlog_batch_records_sum[$__rate_interval])) / "
                "sum by (job, instance) (rate(troth_txlog_batch_records_count[$__rate_interval]))",
                "{{job}} {{instance}}",
            ),
        ),
        ("Log files", "bytes", ("troth_txlog_bytes", "{{job}} {{instance}}")),
    ],
    "Processes": [
        ("CPU", "percentunit", (rate("process_cpu_seconds_total", "job, instance", '{job=~"troth-.*"}'), "{{job}} {{instance}}")),
        ("Memory", "bytes", ('process_resident_memory_bytes{job=~"troth-.*"}', "{{job}} {{instance}}")),
        (
            "Event loop",
            "s",
            ("troth_event_loop_delay_seconds", "{{job}} {{instance}} delay"),
            ("troth_event_loop_stalled_seconds", "{{job}} {{instance}} stalled"),
        ),
        ("Connections", "short", ("troth_rpc_connections", "{{job}} {{instance}}")),
        ("Calls in flight", "short", ("troth_rpc_calls_in_flight", "{{job}} {{instance}}")),
        ("Calls refused", "ops", (rate("troth_rpc_calls_refused_total", "job, reason"), "{{job}} {{reason}}")),
        ("Lines held back", "ops", (rate("troth_log_lines_held_back_total", "job, instance"), "{{job}} {{instance}}")),
        ("Epoch and incarnation", "short", ("troth_coordinator_epoch", "epoch"), ("troth_agent_incarnation", "{{instance}}")),
        ("Version", "short", ("troth_build_info", "{{job}} {{instance}} {{version}}")),
    ],
}  # fmt: skip


def panel(number: int, place: dict, title: str, unit: str, queries: list[tuple[str, str]]) -> dict:
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + n), "expr": expression, "legendFormat": legend, "datasource": SOURCE}
            for n, (expression, legend) in enumerate(queries)
        ],
    }


def panels() -> list[dict]:
    made: list[dict] = []
    y = 0
    for row, contents in ROWS.items():
        made.append(
            {
                "id": len(made) + 1,
                "type": "row",
                "title": row,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
            }
        )
        y += 1
        for n, (title, unit, *queries) in enumerate(contents):
            place = {
                "x": n * WIDTH % COLUMNS,
                "y": y + n * WIDTH // COLUMNS * HEIGHT,
                "w": WIDTH,
                "h": HEIGHT,
            }
            made.append(panel(len(made) + 1, place, title, unit, queries))
        y += -(-len(contents) * WIDTH // COLUMNS) * HEIGHT
    return made


def dashboard() -> dict:
    return {
        "uid": "troth",
        "title": "Troth",
        "schemaVersion": 36,
        "version": 1,
        "editable": True,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "10s",
        "tags": ["troth"],
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": panels(),
    }


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=1))
