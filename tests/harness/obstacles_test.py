"""Obstacles stop what they are there to stop, and nothing once they are gone."""

import threading

import pytest

import harness
from harness import Vault, backends, connected, create_account, eventually, fresh_database, obstacles, rows


@pytest.fixture
def vault(server, workspace):
    vault = Vault("it", server, fresh_database(server))
    harness.Bank([vault]).create()
    return vault


@pytest.fixture
def worker(vault, workspace):
    """An account whose statements wait at obstacles."""
    account, password = f"worker_{vault.database}", workspace / "password"
    create_account(vault.server, vault.database, account, password)
    if vault.server.kind == "postgres":
        vault.server.sql(f"GRANT ALL ON account, transfer_line TO {account}", vault.database)
    return account, password.read_text().strip()


def write(vault, worker, *statements):
    """In a thread; returns it once it waits."""
    account, password = worker

    def run():
        with harness.connect(vault.server, vault.database, False, account, password) as session:
            for sql in statements:
                rows(session, sql)
            session.commit()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    eventually(lambda: any(b.waits_for for b in backends(vault.server, account)), "it waits")
    return thread


ROW = "UPDATE account SET balance = balance + 1 WHERE id = 7"
LINE = "INSERT INTO transfer_line VALUES ('t', 7, 1)"


@pytest.mark.parametrize(
    ("place", "statement"),
    [
        (lambda vault: obstacles.AccountRow(vault, 7), ROW),
        (lambda vault: obstacles.LineKey(vault, "t", 7), LINE),
        (obstacles.EndOfBranch, LINE),
    ],
    ids=["row", "key", "end"],
)
def test_a_write_waits_until_the_obstacle_is_removed(vault, worker, place, statement):
    obstacles.EndOfBranch.make_possible(vault)
    with place(vault):
        thread = write(vault, worker, statement)
    thread.join(20)
    assert not thread.is_alive()


def test_postgres_commits_and_does_not_say_so(servers, workspace):
    vault = Vault("it", servers["postgres"], fresh_database(servers["postgres"]))
    harness.Bank([vault]).create()
    account, password = f"worker_{vault.database}", workspace / "password"
    create_account(vault.server, vault.database, account, password)
    vault.server.sql(f"GRANT ALL ON account, transfer_line TO {account}", vault.database)
    with obstacles.AnswerOfCommit(vault):
        thread = write(vault, (account, password.read_text().strip()), LINE)
        assert [b.waits_for for b in backends(vault.server, account)] == ["SyncRep"]
    thread.join(20)
    assert not thread.is_alive()
    with connected(vault.server, vault.database) as session:
        assert rows(session, "SELECT count(*) FROM transfer_line") == [(1,)]
