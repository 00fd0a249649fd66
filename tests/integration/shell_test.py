"""`troth shell` over real databases: scripts through a pipe, and a person at a terminal."""

import re
import signal
import stat
from pathlib import Path

import pytest

from harness import ROOT, Cluster, Proxy, connected, eventually, free_port, rows
from harness.shell import Terminal, run_json, run_script, start_script

TRANSFER = """
-- rent
pg: UPDATE account SET balance = balance - 7 WHERE id = 101;
pg: INSERT INTO transfer_line VALUES ('{name}', 101, -7);
\\on my
UPDATE account SET balance = balance + 7
  WHERE id = 101;
INSERT INTO transfer_line VALUES ('{name}', 101, 7);
"""
ID = r"bank-[a-z0-9]{6}\.\d+\.\d+(\.s\d+)?"


def balances(cluster: Cluster, account: int, resources=("pg", "my")) -> list[int]:
    found = []
    for resource in resources:
        vault = cluster.bank.vaults[resource]
        with connected(vault.server, vault.database) as session:
            found.append(rows(session, f"SELECT balance FROM account WHERE id = {account}")[0][0])
    return found


def locked_by_nobody(cluster: Cluster, resource: str, account: int) -> None:
    """Waits until somebody else can have the row: the shell's branch has gone."""

    def free() -> bool:
        script = f"{resource}: SELECT balance FROM account WHERE id = {account} FOR UPDATE;\nROLLBACK;\n"
        run_script(cluster, script)
        return True

    eventually(free, f"account {account} of {resource} is free", 20)


def wait_until_it_sleeps(cluster: Cluster, resource: str, seconds: int) -> None:
    """The statement that sleeps for so long runs in the database."""
    vault = cluster.bank.vaults[resource]
    if resource == "pg":
        listed = "SELECT query FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
    else:
        listed = "SELECT info FROM information_schema.processlist WHERE info IS NOT NULL"

    def sleeps() -> bool:
        with connected(vault.server, vault.database) as session:
            running = [row[0] for row in rows(session, listed)]
        assert any(f"sleep({seconds})" in each.lower() for each in running), running
        return True

    eventually(sleeps, f"sleep({seconds}) runs in {resource}", 20)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path


# A script.


def test_a_transfer_commits_in_both_resources(cluster):
    before = balances(cluster, 101)
    done = run_script(cluster, TRANSFER.format(name="shell-1") + "COMMIT;\n")
    assert re.fullmatch(
        f"begun ({ID})\n1 row\n1 row\n1 row\n1 row\ncommitted ({ID})\n", done.stdout
    ), done.stdout
    assert done.stderr == ""
    assert balances(cluster, 101) == [before[0] - 7, before[1] + 7]
    assert cluster.bank.stands_in("shell-1") == ["pg", "my"]


@pytest.mark.parametrize("word", ["ROLLBACK;", "rollback", "\\rollback", "abort;"])
def test_a_transfer_is_rolled_back_in_both(cluster, word):
    before = balances(cluster, 101)
    done = run_script(cluster, TRANSFER.format(name="shell-2") + word + "\n")
    assert re.search(f"rolled back {ID}\n$", done.stdout), done.stdout
    assert balances(cluster, 101) == before
    assert cluster.bank.stands_in("shell-2") == []


def test_the_end_of_the_input_rolls_an_open_transaction_back(cluster):
    before = balances(cluster, 101)
    done = run_script(cluster, TRANSFER.format(name="shell-3"), exit_code=1)
    assert re.search(f"rolled back {ID}: the input ended\n$", done.stdout), done.stdout
    assert balances(cluster, 101) == before
    locked_by_nobody(cluster, "pg", 101)


def test_a_script_stops_at_the_first_error_with_its_exit_code(cluster):
    before = balances(cluster, 102)
    script = "pg: UPDATE account SET balance = balance + 1 WHERE id = 102;\n\n"
    script += "my: UPDATE account SET balance = -1 WHERE id = 102; COMMIT;\nCOMMIT;\npg: SELECT 1;\n"
    done = run_script(cluster, script, exit_code=1)
    assert done.stdout.splitlines()[1:] == ["1 row"], "nothing behind the error ran"
    assert re.search(r"^error: statement_failed: .*no_overdraft", done.stderr), done.stderr
    assert "  where: line 3, resource my, branch 2, statement 1\n" in done.stderr
    assert re.search(r"^  database: SQLSTATE \w{5}, code \d+", done.stderr, re.MULTILINE)
    assert "  effect: none: " in done.stderr
    assert re.search(f"  transaction: {ID} has ended: rolled back in all resources", done.stderr), done.stderr
    assert balances(cluster, 102) == before


def test_with_keep_going_no_half_of_what_failed_is_committed(cluster):
    """Neither after an error that ended the transaction, nor after one that only refused a statement."""
    before = balances(cluster, 103)
    half = "my: UPDATE account SET balance = balance + 5 WHERE id = 103;\n"
    cases = [(half, "pg: UPDATE account SET balance = -1 WHERE id = 103;"), (half, "pg: SAVEPOINT a;")]
    cases += [(half, "nowhere: SELECT 1;"), ("", "nowhere: SELECT 1;"), ("", "\\on nowhere")]
    for first, wrong in cases:
        script = first + wrong
        script += "\nmy: UPDATE account SET balance = balance + 9 WHERE id = 103;\nCOMMIT;\n"
        script += "BEGIN;\nmy: UPDATE account SET balance = balance + 0 WHERE id = 103;\nCOMMIT;\n"
        code = 2 if "nowhere" in wrong else 1
        done = run_script(cluster, script, "--keep-going", exit_code=code)
        assert "the transaction has ended, and this would begin another one" in done.stderr
        assert "nothing was committed: the transaction had ended before" in done.stderr
        assert re.search(f"committed {ID}\n$", done.stdout), "the next transaction is one of its own"
    assert balances(cluster, 103) == before


@pytest.mark.parametrize("options", [(), ("--keep-going",)], ids=["", "keep-going"])
def test_an_interrupted_script_stops_and_rolls_back(cluster, options):
    before = balances(cluster, 106)
    shell = start_script(cluster, *options)
    shell.stdin.write(
        "pg: UPDATE account SET balance = balance + 1 WHERE id = 106;\npg: SELECT pg_sleep(61);\n"
    )
    shell.stdin.write("ROLLBACK;\nmy: UPDATE account SET balance = 0 WHERE id = 106;\nCOMMIT;\n")
    shell.stdin.close()
    wait_until_it_sleeps(cluster, "pg", 61)
    shell.send_signal(signal.SIGINT)
    told = shell.stdout.read()
    assert shell.wait(60) == 1 and "the statement was interrupted" in told and "committed" not in told, told
    locked_by_nobody(cluster, "pg", 106)
    assert balances(cluster, 106) == before


def test_what_is_refused_before_it_runs_leaves_the_transaction(cluster):
    with Terminal(cluster, Path("/nonexistent"), "--no-history") as shell:
        shell.say("pg: SELECT 1;")
        told = shell.say("pg: XA END 'x';")
        assert "error: forbidden_statement" in told and "this statement changed nothing" in told
        assert re.search(f"transaction: {ID} goes on", told), told
        assert shell.prompt == "bank*> "
        assert re.search("committed", shell.say("commit"))
        assert shell.prompt == "bank> "


def test_json_is_one_object_for_each_statement(cluster):
    script = (
        "BEGIN;\npg: SELECT id, balance AS b, NULL AS n, 'ž\t' AS t FROM account WHERE id <= 2 ORDER BY id;\n"
    )
    script += "my: UPDATE account SET balance = balance WHERE id = 1;\nCOMMIT;\n"
    begun, selected, updated, committed = run_json(cluster, script)
    assert begun["outcome"] == "begun"
    assert (selected["line"], selected["resource"], selected["statement"]) == (2, "pg", 1)
    assert [column["name"] for column in selected["columns"]] == ["id", "b", "n", "t"]
    assert [[row[0], *row[2:]] for row in selected["rows"]] == [[1, None, "ž\t"], [2, None, "ž\t"]]
    assert (selected["affected_rows"], updated["rows"]) == (2, [])
    assert updated["transaction_id"] == begun["transaction_id"]
    assert (committed["outcome"], committed["pending_resources"]) == ("committed", [])
    (selected, failed) = run_json(
        cluster, "pg: SELECT 1;\npg: SELECT FROM WHERE;\npg: SELECT 2;\n", exit_code=1
    )
    assert selected["rows"] == [[1]]
    assert failed["error"]["code"] == "statement_failed" and failed["error"]["sqlstate"] == "42601"
    assert (failed["line"], failed["transaction"]) == (2, "ended")


def test_strings_end_where_the_database_says(cluster):
    """The shell cuts its input into statements as the agent and the database read them."""
    script = "pg: SELECT E'a' -- c;\n'\\';' AS s; pg: SELECT $x$;$$;'$x$ AS s, ';' /* ; /* ; */ */ AS t;\n"
    script += "my: SELECT 'a\\';' AS s, \";\" AS t # ;\n; my: SELECT 2--1 AS s; ROLLBACK;\n"
    answers = run_json(cluster, script)
    assert [answer["rows"] for answer in answers[:-1]] == [[["a';"]], [[";$$;'", ";"]], [["a';", ";"]], [[3]]]


def test_answers_of_many_rows_come_whole(cluster):
    many = "SELECT i FROM generate_series(1, 2345) AS i ORDER BY i"
    answer, over = run_json(cluster, f"pg: {many};\nROLLBACK;\n")
    assert [row[0] for row in answer["rows"]] == list(range(1, 2346)) and over["outcome"] == "rolled back"
    done = run_script(cluster, f"pg: {many};\nROLLBACK;\n")
    lines = done.stdout.splitlines()
    assert lines[1:4] == ["   i", "----", "   1"] and lines[-3:-1] == ["2345", "(2345 rows)"]


def test_wrong_input_is_named_and_asks_nobody(cluster):
    for script, told in {
        "nowhere: SELECT 1;": "there is no resource nowhere; there are: ma, my, pg",
        "SELECT 1;": "which resource? Write `ma: ...;`, or choose it: \\on ma",
        "\\comit": "there is no command \\comit, perhaps \\commit",
        "\\pages many": "\\pages takes a number",
        "pg: COMMIT;": "COMMIT is for all resources together",
        "pg: SELECT 'abc;": "the input ended inside a statement",
        "\\on nowhere": "there is no resource nowhere",
    }.items():
        done = run_script(cluster, script + "\n", exit_code=2)
        assert told in done.stderr and done.stdout == "", done
        assert "effect: none: nothing was asked for" in done.stderr
    run_script(cluster, "", "--on", "nowhere", exit_code=2)


def test_nobody_at_the_coordinators_address(cluster):
    address = f"127.0.0.1:{free_port()}"
    done = run_script(cluster, "pg: SELECT 1;\n", address=address, exit_code=4)
    assert "error: unavailable" in done.stderr and address in done.stderr


def test_options_reach_the_transaction(cluster):
    done = run_script(cluster, "pg: UPDATE account SET balance = 0;\n", "--read-only", exit_code=1)
    assert "forbidden_statement" in done.stderr
    answer, _ = run_json(
        cluster, "SHOW transaction_isolation;\ncommit\n", "--isolation", "serializable", "--on", "pg"
    )
    assert answer["rows"] == [["serializable"]]
    slow = run_script(cluster, "pg: SELECT pg_sleep(20);\n", "--timeout-ms", "500", exit_code=1)
    assert "error: timeout" in slow.stderr and "has ended" in slow.stderr


def test_a_coordinator_that_dies_in_the_commit_is_asked_until_it_knows(servers, workspace):
    """[T2] Attack 6: no answer is not a no, and "committed" is said only by whoever knows."""
    with Cluster(workspace, servers, resources=("pg", "my")) as cluster:
        for point, ends in (
            ("coordinator.after_choose_durable", "committed"),
            ("coordinator.before_choose", "not committed"),
        ):
            cluster.coordinator.arm(point)
            cluster.coordinator.restart()
            cluster.wait_serving()
            name = f"shell-{ends.replace(' ', '-')}"
            shell = start_script(cluster)
            shell.stdin.write(TRANSFER.format(name=name) + "COMMIT;\n")
            shell.stdin.close()
            cluster.coordinator.expect_exit(None)
            cluster.coordinator.disarm()
            cluster.coordinator.start()
            cluster.wait_serving()
            told = shell.stdout.read()
            code = shell.wait(60)
            if ends == "committed":
                assert code == 0 and re.search(f"^committed {ID}$", told, re.MULTILINE), told
                assert cluster.bank.stands_in(name) == ["pg", "my"]
            else:
                assert code == 1 and "is not committed anywhere" in told, told
                assert not re.search("^committed", told, re.MULTILINE)
                assert cluster.bank.stands_in(name) == []


def test_an_answer_that_is_lost_is_asked_for_again_and_nothing_runs_twice(cluster):
    """[T10] Attack 64: the connection goes after the statement ran, and again after the commit was decided."""
    before = balances(cluster, 108)
    with Proxy(cluster.coordinator_port) as proxy:
        query = proxy.cut_before("query", kind="reply")
        commit = proxy.cut_before("commit", kind="reply")
        script = "pg: UPDATE account SET balance = balance - 3 WHERE id = 108;\n"
        script += "my: UPDATE account SET balance = balance + 3 WHERE id = 108;\nCOMMIT;\n"
        done = run_script(cluster, script, address=f"127.0.0.1:{proxy.port}")
        query.wait()
        commit.wait()
    assert re.fullmatch(f"begun {ID}\n1 row\n1 row\ncommitted {ID}\n", done.stdout), done.stdout
    assert balances(cluster, 108) == [before[0] - 3, before[1] + 3]
    undo = "pg: UPDATE account SET balance = balance + 3 WHERE id = 108;\n"
    run_script(cluster, undo + "my: UPDATE account SET balance = balance - 3 WHERE id = 108;\nCOMMIT;\n")


def test_a_coordinator_that_stays_away_leaves_the_outcome_open(servers, workspace):
    with Cluster(workspace, servers, resources=("pg", "my")) as cluster:
        cluster.coordinator.arm("coordinator.after_choose_durable")
        cluster.coordinator.restart()
        cluster.wait_serving()
        with Terminal(cluster, workspace, "--no-history") as shell:
            for line in TRANSFER.format(name="shell-away").splitlines():
                shell.say(line)
            told = shell.say("COMMIT;")
            assert (
                "it is not known whether it happened, or will" in told and "committed bank" not in told
            ), told
            assert shell.prompt == "bank my?> "
            assert "COMMIT asks again" in shell.say("pg: SELECT 1;")
            assert "may have committed" in shell.say("ROLLBACK;")
            cluster.coordinator.expect_exit(None)
            cluster.coordinator.disarm()
            cluster.coordinator.start()
            cluster.wait_serving()
            assert re.search(f"^committed {ID}$", shell.say("COMMIT;"), re.MULTILINE)
            assert shell.prompt == "bank my> "
            shell.say("pg: SELECT 1;")
            cluster.coordinator.restart()
            cluster.wait_serving()
            told = shell.say("pg: SELECT 2;")
            assert "has ended: rolled back in all resources" in told, told
            assert shell.prompt == "bank my!> "
        assert cluster.bank.stands_in("shell-away") == ["pg", "my"]


# A person.


def test_the_prompt_and_the_table(cluster, state):
    with Terminal(cluster, state, "--on", "pg") as shell:
        assert "cluster bank: ma (mariadb), my (mysql), pg (postgres)" in shell.greeting
        assert shell.prompt == "bank pg> "
        told = shell.say("SELECT 1 AS one, 'zażółć 東京' AS name, NULL AS nothing, E'a\\x1b[2Jb' AS evil;")
        assert told.splitlines()[1:4] == [
            "one | name        | nothing | evil",
            "----+-------------+---------+----------",
            "  1 | zażółć 東京 | NULL    | a\\x1b[2Jb",
        ]
        assert re.fullmatch(r"\(1 row, \d+ ms\)", told.splitlines()[4]), told
        assert shell.prompt == "bank pg*> "
        shell.say("SELECT 'open")
        assert shell.prompt == "bank pg*'> "
        assert "open\\nline" in shell.say("line';")
        assert "-[ row 1 ]\na | 1\n" in (shell.say("\\x") + shell.say("SELECT 1 AS a;"))
        shell.say("\\x")
        told = shell.say("\\status")
        assert re.search(rf"^active {ID}$", told, re.MULTILINE) and "3 statements answered" in told
        assert "serving" in shell.say("\\resources")
        shell.say("\\on my")
        assert shell.prompt == "bank my*> "
        told = shell.say("SELECT nothing FROM nowhere;")
        assert "error: statement_failed" in told and "has ended: rolled back in all resources" in told
        assert shell.prompt == "bank my!> "
        assert "ROLLBACK (or BEGIN) first" in shell.say("UPDATE account SET balance = 0;")
        assert re.search(f"rolled back {ID}: it had ended before", shell.say("ROLLBACK;"))
        assert "begun" in shell.say("\\begin the rent")
        assert "label the rent" in shell.say("\\status")
        shell.say("commit")
        assert shell.prompt == "bank my> "
        shell.type("\\quit\r")
        assert shell.end()[0] == 0


def test_generated_keys_are_told(cluster, state):
    vault = cluster.bank.vaults["my"]
    vault.server.sql("CREATE TABLE keyed (id INT AUTO_INCREMENT PRIMARY KEY, n INT)", vault.database)
    with Terminal(cluster, state, "--on", "my") as shell:
        assert "1 row, generated key 1, " in shell.say("INSERT INTO keyed (n) VALUES (5);")
        shell.say("ROLLBACK;")


def test_long_answers_come_in_pages_and_fit_the_screen(cluster, state):
    with Terminal(cluster, state, "--on", "pg", columns=60) as shell:
        shell.say("\\pages 10")
        shell.type("SELECT i, repeat('x', 300) AS long FROM generate_series(1, 25) AS i;\r")
        first = shell.expect(r"-- more: 10 of 25 rows; q: enough --")
        assert re.search(r"^10 \| x+…$", first, re.MULTILINE) and " 11 | " not in first
        assert max(len(line) for line in first.splitlines() if " | " in line) <= 60
        shell.type(" ")
        second = shell.expect(r"-- more: 20 of 25 rows; q: enough --")
        assert re.search(r"^20 \| x+…$", second, re.MULTILINE)
        shell.type("q")
        assert "(20 of 25 rows, " in shell.wait_prompt()
        shell.type("SELECT i FROM generate_series(1, 15) AS i;\r")
        shell.expect(r"-- more: 10 of 15 rows; q: enough --")
        shell.type(" ")
        last = shell.wait_prompt()
        assert "\n15\n(15 rows, " in last, last


def test_ctrl_c_at_the_prompt_clears_what_was_begun(cluster, state):
    with Terminal(cluster, state, "--on", "pg") as shell:
        shell.say("SELECT 'half")
        assert shell.prompt == "bank pg'> "
        shell.type("and more")
        shell.interrupt()
        shell.wait_prompt()
        assert shell.prompt == "bank pg> "
        assert "\n  7\n" in shell.say("SELECT 7 AS seven;").replace("    7", "  7"), "nothing of it is left"
        shell.interrupt()
        shell.wait_prompt()
        assert shell.prompt == "bank pg*> ", "the transaction goes on"


def test_ctrl_c_between_two_keys_is_never_lost(cluster, state):
    # The terminal throws away what was typed and not read yet: a key that was there a moment ago may be gone.
    with Terminal(cluster, state, "--on", "pg") as shell:
        for _ in range(300):
            shell.type("and more")
            shell.interrupt()
            shell.wait_prompt()


@pytest.mark.parametrize("resource", ["pg", "my", "ma"])
def test_ctrl_c_while_a_statement_runs_rolls_back(cluster, state, resource):
    before = balances(cluster, 104, (resource,))
    sleep = "SELECT pg_sleep(60);" if resource == "pg" else "SELECT SLEEP(60);"
    with Terminal(cluster, state, "--on", resource) as shell:
        shell.say("UPDATE account SET balance = balance + 1 WHERE id = 104;")
        shell.type(sleep + "\r")
        wait_until_it_sleeps(cluster, resource, 60)
        shell.interrupt()
        told = shell.wait_prompt()
        assert "the statement was interrupted" in told and "was rolled back in all resources" in told, told
        assert shell.prompt == f"bank {resource}!> "
        locked_by_nobody(cluster, resource, 104)
        shell.say("rollback")
        assert shell.prompt == f"bank {resource}> "
    assert balances(cluster, 104, (resource,)) == before


def test_a_terminal_that_goes_away_under_a_statement_leaves_nothing(cluster, state):
    before = balances(cluster, 107)
    with Terminal(cluster, state, "--on", "pg") as shell:
        shell.say("UPDATE account SET balance = balance + 1 WHERE id = 107;")
        shell.type("SELECT pg_sleep(62);\r")
        wait_until_it_sleeps(cluster, "pg", 62)
        shell.signal(signal.SIGHUP)
        code, told = shell.end()
        assert code == 0 and "was rolled back in all resources" in told, told
    locked_by_nobody(cluster, "pg", 107)
    assert balances(cluster, 107) == before


@pytest.mark.parametrize("how", ["ctrl-d", "quit", "hang-up"])
def test_leaving_with_an_open_transaction_rolls_it_back(cluster, state, how):
    before = balances(cluster, 105)
    with Terminal(cluster, state, "--on", "pg") as shell:
        shell.say("UPDATE account SET balance = balance + 1 WHERE id = 105;")
        if how == "ctrl-d":
            shell.type("\x04")
        elif how == "quit":
            shell.type("quit\r")
        else:
            shell.signal(signal.SIGHUP)
        code, told = shell.end()
        assert code == 0 and re.search(f"rolled back {ID}: ", told), told
    locked_by_nobody(cluster, "pg", 105)
    assert balances(cluster, 105) == before


def test_history_is_kept_for_its_owner_alone(cluster, state):
    file = state / "troth" / "shell_history"
    with Terminal(cluster, state, "--on", "pg") as shell:
        shell.say("SELECT 41 + 1 AS answer;")
        shell.say("ROLLBACK;")
    assert file.read_text(encoding="utf-8") == "SELECT 41 + 1 AS answer;\nROLLBACK;\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text(
        "".join(f"SELECT {n};\n" for n in range(1500)) + "SELECT 'zażółć' AS z;\n", encoding="utf-8"
    )
    file.chmod(0o644)
    with Terminal(cluster, state, "--on", "pg") as shell:
        shell.type("\x10")  # Ctrl-P: the line before
        shell.expect("bank pg> SELECT 'zażółć' AS z;")
        told = shell.say("")
        assert "------\nzażółć\n(1 row" in told, told
        shell.say("ROLLBACK;")
    lines = file.read_text(encoding="utf-8").splitlines()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(lines) <= 1002 and lines[-3:] == ["SELECT 'zażółć' AS z;"] * 2 + ["ROLLBACK;"]
    with Terminal(cluster, state, "--no-history") as shell:
        shell.say("\\help")
    assert file.read_text(encoding="utf-8").splitlines() == lines
    run_script(cluster, "\\help\n")
    assert file.read_text(encoding="utf-8").splitlines() == lines


def test_tab_completes_commands_and_resources(cluster, state):
    with Terminal(cluster, state) as shell:
        shell.type("\\on p\t")
        shell.expect(r"\\on pg")
        shell.say("")
        assert shell.prompt == "bank pg> "
        shell.type("\\reso\t")
        shell.expect(r"\\resources")
        assert "serving" in shell.say("")


# The page.


def test_the_session_in_the_documentation_is_a_real_one(servers, workspace):
    """docs/tool.md: each line behind a prompt is typed, and what stands between two is what the shell prints."""
    page = (ROOT / "docs" / "tool.md").read_text(encoding="utf-8")
    (session,) = re.findall(r"```\n\$ troth shell --on pg\n(.*?)```", page, re.DOTALL)

    def comparable(text: str) -> list[str]:
        text = re.sub(r"bank-[a-z0-9]{6}\.\d+\.\d+", "ID", text)
        text = re.sub(r"\d+ ms", "N ms", text)
        return [line.rstrip() for line in text.splitlines()]

    parts = re.split(r"^(bank pg[*!]?-?> )(.*)\n", session, flags=re.MULTILINE)
    with Cluster(workspace, servers, resources=("pg", "my")) as cluster:
        for resource in ("pg", "my"):
            vault = cluster.bank.vaults[resource]
            vault.server.sql("UPDATE account SET balance = 1000", vault.database)
        with Terminal(cluster, workspace, "--on", "pg") as shell:
            assert comparable(shell.greeting) == comparable(parts[0])
            for prompt, typed, printed in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
                assert shell.prompt == prompt
                if typed == "\\quit":
                    shell.type(typed + "\r")
                    code, rest = shell.end()
                    assert (code, comparable(rest.partition("\n")[2])) == (0, comparable(printed))
                else:
                    assert comparable(shell.say(typed)) == comparable(printed), typed
