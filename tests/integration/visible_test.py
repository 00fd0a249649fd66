"""What an operator sees of running programs: metrics, health, lines, and the transaction's name in the databases' own
views."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cluster, Server, branch, eventually, new_request_id, rows, statement
from harness.group import METRICS as OF_A_GROUP
from harness.monitoring import address, described, expressions, family_of, get, named_in, scrape
from harness.obstacles import AccountRow
from harness.sessions import connected
from harness.thrift_api import api
from thrift.Thrift import TException

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
# All that would end a comment, a quote or a line.
LABEL = "pay*/ DROP TABLE account; -- ' \" ? $1 \n\x1b\u00e4"


@pytest.fixture
def own_cluster(servers: dict[str, Server], workspace: Path) -> Iterator[Cluster]:
    """One of the test's own, not started: these tests change its settings, and kill it."""
    made = Cluster(workspace, servers, resources=("pg", "my"))
    yield made
    made.close()


def some_of_everything(cluster: Cluster) -> None:
    """Commits in one and two phases, reads, an abort, a refused and a repeated request."""
    bank = cluster.bank
    with cluster.client(name="visible") as client:
        request_id = new_request_id()
        client.run(bank.transfer(new_request_id(), "pg", 41, "my", 42, amount=1), request_id=request_id)
        client.run(bank.shift(new_request_id(), "ma", 41, 42, amount=1))
        client.run([branch(name, "SELECT count(*) FROM account", read_only=True) for name in bank.vaults])
        transfer = bank.transfer(new_request_id(), "ma", 41, "pg", 42, amount=10**9)
        with pytest.raises(api("common").TrothError):
            client.run(transfer)
        with pytest.raises(api("common").TrothError):
            client.run([branch("nowhere", "SELECT 1")])


def test_what_is_exported_is_what_the_page_names(cluster):
    some_of_everything(cluster)
    for program, name in ((cluster.coordinator, "troth-coordinator"), (cluster.agent, "troth-agent")):
        page, rows_of_page = scrape(program), described(name)
        assert set(page.types) <= set(rows_of_page), "exported, and not in docs/metrics.md"
        for metric, kind in page.types.items():
            assert kind == rows_of_page[metric].type, metric
        for sample, series in page.samples.items():
            row = family_of(sample, rows_of_page)
            for labels in series:
                assert {key for key, _ in labels} == row.labels, f"{sample}{dict(labels)}"
        missing = set(rows_of_page) - set(page.types) - OF_A_GROUP
        assert not missing, "in docs/metrics.md, and not exported"


def test_rules_and_dashboard_name_what_is_exported(cluster):
    some_of_everything(cluster)
    pages = [scrape(program) for program in (cluster.coordinator, cluster.agent)]
    series = {name for page in pages for name in page.samples}
    for place, expression in expressions():
        missing = set(named_in(expression)) - series
        assert not missing, f"{place}: {missing}"


def test_each_outcome_is_counted_with_its_reason(cluster):
    def counts() -> dict[str, float]:
        page = scrape(cluster.coordinator)
        answers = "troth_coordinator_answers_total"
        return {
            "committed": page.value(answers, outcome="committed"),
            "aborted": page.value(answers, outcome="aborted", code="statement_failed"),
            "refused": page.value(answers, outcome="refused", code="unknown_resource"),
            "aborts": page.value("troth_coordinator_aborts_total", code="statement_failed"),
            "decided": page.value("troth_coordinator_transactions_total", outcome="committed"),
            "prepare": page.value("troth_coordinator_step_seconds_count", step="prepare"),
            "commit": page.value("troth_coordinator_step_seconds_count", step="commit"),
            "one_phase": page.value("troth_coordinator_step_seconds_count", step="one_phase"),
            "whole": page.value("troth_coordinator_step_seconds_count", step="whole"),
        }

    before = counts()
    some_of_everything(cluster)
    expected = {
        "committed": 3, "aborted": 1, "refused": 1, "aborts": 1, "decided": 3,
        "prepare": 1, "commit": 1, "one_phase": 1, "whole": 5,
    }  # fmt: skip

    def counted() -> bool:
        now = counts()
        assert {key: now[key] - before[key] for key in now} == expected
        return True

    eventually(counted, "everything is counted once", 10)


def test_the_agent_measures_each_step(cluster):
    def steps() -> dict[tuple[str, str], float]:
        page = scrape(cluster.agent)
        return {
            (resource, step): page.value("troth_agent_step_seconds_count", resource=resource, step=step)
            for resource in cluster.bank.vaults
            for step in ("queue", "begin", "statements", "prepare", "one_phase", "commit")
        }

    # What no session knows yet goes step by step.
    transfer = cluster.bank.transfer(new_request_id(), "ma", 43, "my", 44, amount=1)
    for branch in transfer:
        for statement in branch.statements:
            statement.sql += "  "
    before = steps()
    with cluster.client() as client:
        client.run(transfer)
        client.run(cluster.bank.shift(new_request_id(), "pg", 43, 44, amount=1))
    two_phase = ("queue", "begin", "statements", "prepare", "commit")
    expected = {(resource, step) for resource in ("ma", "my") for step in two_phase}
    expected |= {("pg", step) for step in ("queue", "begin", "statements", "one_phase")}

    def measured() -> bool:
        now = steps()
        assert {key for key in now if now[key] == before[key] + 1} == expected
        assert scrape(cluster.agent).value("troth_txlog_syncs_total") > 0
        return True

    eventually(measured, "each step is measured once", 10)

    def run_in_one_trip() -> bool:
        """Its prepare is part of its statements' time."""
        before = steps()
        with cluster.client() as client:
            client.run(cluster.bank.transfer(new_request_id(), "ma", 43, "my", 44, amount=1))
        now = eventually(
            lambda: (page := steps())["my", "commit"] > before["my", "commit"] and page, "committed", 10
        )
        return all(
            now[resource, "statements"] == before[resource, "statements"] + 1
            and now[resource, "prepare"] == before[resource, "prepare"]
            for resource in ("ma", "my")
        )

    assert any(run_in_one_trip() for _ in range(100)), "no session ever knew the statements"


def test_health_and_readiness(cluster):
    for program in (cluster.coordinator, cluster.agent):
        assert get(program, "/healthz") == (200, "ok\n")
        assert get(program, "/readyz") == (200, "ready\n")
        assert get(program, "/nothing")[0] == 404


def test_a_scrape_that_hangs_harms_nobody(cluster):
    """More connections than are taken, each silent or half said; transactions go on, and so do scrapes."""
    host, port = address(cluster.coordinator).rsplit(":", 1)
    rude = []
    try:
        for n in range(100):
            one = socket.create_connection((host, int(port)), timeout=10)
            one.sendall(b"GET /metrics HTTP/1.1\r\n" if n % 2 else b"")
            rude.append(one)
        with cluster.client() as client:
            for _ in range(20):
                client.run(cluster.bank.transfer(new_request_id(), "pg", 45, "my", 46, amount=1))
        assert scrape(cluster.coordinator).value("troth_coordinator_epoch") >= 1
    finally:
        for one in rude:
            one.close()


def test_a_killed_coordinator_shows_in_the_agents_gauges_and_readiness(own_cluster):
    cluster = own_cluster
    cluster.agent.settings["times"] |= {"leader_silence_ms": 500, "first_inquiry_ms": 200}
    cluster.start()
    cluster.coordinator.arm("coordinator.before_choose")
    cluster.coordinator.restart()
    cluster.wait_serving()
    with cluster.client() as client, pytest.raises((TException, EOFError, OSError)):
        client.run(cluster.bank.transfer("t1", "pg", 1, "my", 2, amount=10), label="payroll")
    cluster.coordinator.expect_exit(None)

    def in_doubt() -> bool:
        page = scrape(cluster.agent)
        for resource in ("pg", "my"):
            assert page.value("troth_agent_in_doubt", resource=resource) == 1
            assert page.value("troth_agent_oldest_in_doubt_seconds", resource=resource) > 0
            assert page.value("troth_agent_inquiries_total", resource=resource) >= 1
        return True

    eventually(in_doubt, "both branches show as in doubt", 20)
    status, why = eventually(
        lambda: (got := get(cluster.agent, "/readyz"))[0] == 503 and got, "the agent is not ready", 20
    )
    assert "no coordinator was heard" in why and "remedy: " in why
    assert get(cluster.agent, "/healthz")[0] == 200
    assert re.search(
        r'level=warning .*msg="branch in doubt asks the coordinators" transaction=\S+ .*label=payroll',
        cluster.agent.output(),
    )

    cluster.coordinator.disarm()
    cluster.coordinator.start()
    cluster.wait_serving()
    eventually(lambda: get(cluster.agent, "/readyz")[0] == 200, "the agent is ready again", 20)
    eventually(
        lambda: scrape(cluster.agent).value("troth_agent_in_doubt") == 0, "nothing is in doubt any more", 20
    )
    cluster.bank.check()


def test_a_killed_agent_shows_in_the_coordinators_gauges(own_cluster):
    cluster = own_cluster.start()
    cluster.agent.arm("agent.after_commit_received")
    cluster.agent.restart()
    cluster.wait_serving()
    with cluster.client() as client:
        client.run(
            cluster.bank.transfer("t1", "pg", 1, "my", 2, amount=10),
            acknowledgement=api("transactions").Acknowledgement.DECIDED,
        )
    cluster.agent.expect_exit(None)

    def waiting() -> bool:
        page = scrape(cluster.coordinator)
        assert page.value("troth_coordinator_commits_waiting") == 2
        assert page.value("troth_coordinator_oldest_commit_waiting_seconds", resource="pg") > 0
        assert page.value("troth_coordinator_agent_connected") == 0
        assert page.value("troth_coordinator_resource_state", resource="my", state="unreachable") == 1
        assert page.value("troth_coordinator_resource_state", resource="my", state="serving") == 0
        return True

    eventually(waiting, "two decided commits wait for a lost agent", 20)
    assert get(cluster.coordinator, "/readyz") == (200, "ready\n"), "it rules, and can write"
    cluster.agent.disarm()
    cluster.agent.start()
    cluster.wait_serving()

    def done() -> bool:
        page = scrape(cluster.coordinator)
        assert page.value("troth_coordinator_commits_waiting") == 0
        assert page.value("troth_coordinator_agent_connected") == 1
        assert page.value("troth_coordinator_resource_state", state="serving") == 2
        return True

    eventually(done, "both commits are acknowledged", 20)
    cluster.bank.check()


def test_a_database_that_is_away_makes_the_agent_not_ready(own_cluster):
    cluster = own_cluster.start()
    server = cluster.bank.vaults["my"].server
    server.kill()
    try:
        status, why = eventually(
            lambda: "resource my" in (got := get(cluster.agent, "/readyz"))[1] and got, "it is not ready", 30
        )
        assert status == 503
        assert "resource my is unreachable" in why and "remedy: my: see that the server runs" in why
        page = scrape(cluster.agent)
        assert page.value("troth_agent_resource_state", resource="my", state="unreachable") == 1
        assert page.value("troth_agent_resource_state", resource="pg", state="serving") == 1
    finally:
        server.restart()
    eventually(lambda: get(cluster.agent, "/readyz")[0] == 200, "the agent is ready again", 30)


def lines_of(program) -> list[dict]:
    """Standard error as JSON; the ready line is standard output's."""
    text = [line for line in program.output().splitlines() if not line.startswith("ready ")]
    return [json.loads(line) for line in text]


def test_lines_name_their_transaction_in_json_too(own_cluster):
    cluster = own_cluster
    for program in (cluster.coordinator, cluster.agent):
        program.settings["log"] = {"format": "json", "level": "debug"}
    cluster.coordinator.settings["times"]["slow_transaction_ms"] = 1
    cluster.agent.settings["times"]["slow_branch_ms"] = 1
    cluster.start()
    committed, aborted = new_request_id(), new_request_id()
    request = api("transactions").ExecuteRequest
    with cluster.client(name="tellers") as client:
        client.execute(
            request(
                branches=cluster.bank.transfer("t1", "pg", 1, "my", 2, amount=10),
                client_name="tellers", request_id=committed, label=LABEL, traceparent=TRACE,
            )  # fmt: skip
        )
        with pytest.raises(api("common").TrothError):
            client.execute(
                request(
                    branches=cluster.bank.transfer("t1", "pg", 3, "my", 4, amount=10**9),
                    client_name="tellers", request_id=aborted, label=LABEL, traceparent=TRACE,
                )  # fmt: skip
            )
        with pytest.raises(api("common").TrothError):
            client.run([branch("nowhere", "SELECT 1")], label=LABEL)

    def named(program, message: str) -> dict:
        """The first such line, when it is there."""

        def found() -> dict:
            lines = [line for line in lines_of(program) if line["msg"] == message]
            assert lines, f"no line '{message}'"
            return lines[0]

        line = eventually(found, message, 10)
        assert (line["label"], line["client"]) == (LABEL, "tellers")
        return line

    for message in ("transaction committed", "slow transaction"):
        line = named(cluster.coordinator, message)
        assert (line["request_id"], line["traceparent"]) == (committed, TRACE)
        assert re.fullmatch(r"bank-\w+\.\d+\.\d+", line["transaction"])
    assert {"admission_ms", "prepare_ms", "choose_ms", "commit_ms", "whole_ms"} <= set(line)
    line = named(cluster.coordinator, "transaction aborted")
    assert (line["request_id"], line["code"], line["constraint"]) == (
        aborted,
        "statement_failed",
        "no_overdraft",
    )
    assert (line["resource"], line["statement"], line["effect"]) == ("pg", 1, "none")
    assert named(cluster.coordinator, "request refused")["code"] == "unknown_resource"
    line = named(cluster.agent, "branch refused")
    assert (line["request_id"], line["traceparent"], line["resource"]) == (aborted, TRACE, "pg")
    line = named(cluster.agent, "slow branch")
    assert (line["request_id"], line["traceparent"]) == (committed, TRACE)
    assert {"queue_ms", "begin_ms", "statements_ms", "prepare_ms"} <= set(line)


def test_a_client_cannot_fill_the_log(own_cluster):
    cluster = own_cluster
    cluster.coordinator.settings["log"] = {"lines_per_second": 5}
    cluster.start()
    with cluster.client() as client:
        for _ in range(200):
            with pytest.raises(api("common").TrothError):
                client.run([branch("nowhere", "SELECT 1")])
    refusals = [line for line in cluster.coordinator.output().splitlines() if "request refused" in line]
    assert 0 < len(refusals) < 150
    held_back = eventually(
        lambda: scrape(cluster.coordinator).value("troth_log_lines_held_back_total"),
        "lines were held back",
        10,
    )
    assert held_back + len(refusals) >= 200


VIEWS = {
    "postgres": "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND state = 'active'",
    "mysql": "SELECT processlist_info FROM performance_schema.threads WHERE processlist_command <> 'Sleep'",
    "mariadb": "SELECT info FROM information_schema.processlist WHERE command <> 'Sleep'",
}


@pytest.mark.parametrize("resource", ["pg", "my", "ma"])
def test_the_databases_own_views_name_the_transaction(servers, workspace, resource):
    """While a client's statement waits for a lock, which is when a DBA looks."""
    cluster = Cluster(workspace, servers, resources=(resource, "my" if resource != "my" else "pg"))
    for one in cluster.agent.settings["resource"]:
        one["comment"] = ["transaction", "label", "traceparent"]
    vault = cluster.bank.vaults[resource]
    other = next(name for name in cluster.bank.vaults if name != resource)
    with cluster:
        request = api("transactions").ExecuteRequest(
            branches=cluster.bank.transfer("t1", resource, 7, other, 8, amount=10),
            client_name="tellers", label=LABEL, traceparent=TRACE,
        )  # fmt: skip
        results: list = []

        def run() -> None:
            with cluster.client() as client:
                results.append(client.execute(request))

        with AccountRow(vault, account=7), connected(vault.server, vault.database) as session:
            running = threading.Thread(target=run)
            running.start()

            def named() -> str:
                texts = [str(each[0]) for each in rows(session, VIEWS[vault.server.kind])]
                found = [text for text in texts if "UPDATE account" in text and "transaction=" in text]
                assert found, texts
                return found[0]

            text = eventually(named, "the view names the transaction", 10)
        running.join(30)
        assert results, "the transaction committed when the lock was free"
        said = re.match(
            r"/\*label='([^']*)',traceparent='([^']*)',transaction='([^']*)'\*/ UPDATE account ", text
        )
        assert said, text
        assert said[2] == TRACE and said[3] == results[0].transaction_id
        assert said[1].startswith("pay%2A%2F%20DROP%20TABLE%20account%3B")
        # Again, and with parameters of every use, over a session that has seen the text before.
        with cluster.client() as client:
            for n in range(3):
                client.run(cluster.bank.transfer(f"again{n}", resource, 7, other, 8, amount=1), label=LABEL)
            read = client.run(
                [branch(resource, statement("SELECT balance FROM account WHERE id = 7"), read_only=True)],
                label=LABEL,
            )
        balance = read.branches[0].statements[0].rows[0].values[0]
        assert (balance.int64 or int(balance.decimal or 0)) == 1000 - 13
        cluster.bank.check()


class Interactive:
    """An interactive transaction of one service."""

    def __init__(self, client, **names: str) -> None:
        self.types = api("transactions")
        self.client = client
        self.who = names.pop("client_name", "tellers")
        begun = client.begin_transaction(self.types.BeginRequest(client_name=self.who, **names))
        self.id = begun.transaction_id
        self.numbers: dict[str, int] = {}

    def query(self, resource: str, made) -> object:
        self.numbers[resource] = self.numbers.get(resource, 0) + 1
        return self.client.query(
            self.types.QueryRequest(
                transaction_id=self.id,
                client_name=self.who,
                resource=resource,
                number=self.numbers[resource],
                statement=made,
            )
        )

    def commit(self):
        return self.client.commit(self.types.CommitRequest(transaction_id=self.id, client_name=self.who))

    def rollback(self):
        return self.client.rollback(self.types.RollbackRequest(transaction_id=self.id, client_name=self.who))


def test_interactive_transactions_are_counted_and_named(own_cluster):
    cluster = own_cluster
    for one in cluster.agent.settings["resource"]:
        one["comment"] = ["transaction", "label"]
    cluster.start()
    moves = {name: cluster.bank.move(name, "i1", 7, 10 if name == "pg" else -10) for name in ("pg", "my")}
    vault = cluster.bank.vaults["my"]
    with cluster.client() as client:
        committed = Interactive(client, label="payroll", traceparent=TRACE)
        for made in moves["pg"]:
            committed.query("pg", made)
        with AccountRow(vault, account=7), connected(vault.server, vault.database) as session:

            def wait() -> None:
                committed.query("my", moves["my"][0])

            waiting = threading.Thread(target=wait)
            waiting.start()

            def named() -> bool:
                texts = [str(each[0]) for each in rows(session, VIEWS["mysql"])]
                assert any(
                    f"/*label='payroll',transaction='{committed.id}'*/ UPDATE account" in t for t in texts
                ), texts
                return True

            eventually(named, "the view names the transaction", 10)
        waiting.join(30)
        committed.query("my", moves["my"][1])
        committed.commit()
        Interactive(client, label="nothing").rollback()
        failing = Interactive(client, label="overdraft")
        with pytest.raises(api("common").TrothError):
            failing.query("pg", cluster.bank.move("pg", "i2", 9, -(10**9))[0])

    page = scrape(cluster.coordinator)
    answers, steps = "troth_coordinator_answers_total", "troth_coordinator_step_seconds_count"
    assert page.value(answers, outcome="begun") == 3
    assert page.value(answers, outcome="committed") == 1
    assert page.value(answers, outcome="rolled_back") == 1
    assert page.value(answers, outcome="aborted", code="statement_failed") == 1
    assert page.value("troth_coordinator_aborts_total", code="statement_failed") == 1
    assert page.value(steps, step="statement") == 5
    assert page.value(steps, step="prepare") == page.value(steps, step="choose") == 1
    page = scrape(cluster.agent)
    for resource, statements in (("pg", 3), ("my", 2)):
        labels = {"resource": resource, "step": "statements"}
        assert page.value("troth_agent_step_seconds_count", **labels) >= statements - 1
        assert page.value("troth_agent_step_seconds_count", resource=resource, step="prepare") == 1
    aborted = [line for line in cluster.coordinator.output().splitlines() if "transaction aborted" in line]
    assert len(aborted) == 1 and "label=overdraft" in aborted[0] and "constraint=no_overdraft" in aborted[0]
    cluster.bank.check()
