"""The bank finds what it is there to find."""

import pytest

import harness
from harness import Bank, Vault


@pytest.fixture
def bank(servers):
    vaults = [Vault(kind, server, harness.fresh_database(server)) for kind, server in servers.items()]
    bank = Bank(vaults, accounts=10, opening=100)
    bank.create()
    return bank


def move(bank, resource, transfer, account, amount, line=True):
    vault = bank.vaults[resource]
    lines = f"INSERT INTO transfer_line VALUES ('{transfer}', {account}, {amount});" if line else ""
    vault.server.sql(
        f"UPDATE account SET balance = balance + {amount} WHERE id = {account};{lines}", vault.database
    )


def test_a_whole_transfer_passes(bank):
    move(bank, "postgres", "t1", 1, -5)
    move(bank, "mysql", "t1", 2, 5)
    bank.check()
    assert bank.totals() == {"postgres": 995, "mariadb": 1000, "mysql": 1005}
    assert bank.stands_in("t1") == ["postgres", "mysql"]


def test_half_a_transfer_is_found(bank):
    move(bank, "postgres", "t1", 1, -5)
    with pytest.raises(AssertionError, match="3000 became 2995"):
        bank.check()


def test_two_halves_that_make_a_right_total_are_found(bank):
    move(bank, "postgres", "t1", 1, -5)
    move(bank, "mysql", "t2", 2, 5)
    with pytest.raises(AssertionError, match="in a part of the bank only: .*t1.*t2"):
        bank.check()


def test_money_that_moved_without_a_line_is_found(bank):
    move(bank, "mariadb", "", 1, -5, line=False)
    move(bank, "mariadb", "", 2, 5, line=False)
    with pytest.raises(AssertionError, match="mariadb: accounts .* do not add up"):
        bank.check()


def test_a_branch_in_doubt_is_found(bank):
    vault = bank.vaults["mysql"]
    vault.server.sql(
        "XA START 'x'; UPDATE account SET balance = balance - 1; XA END 'x'; XA PREPARE 'x'", vault.database
    )
    with pytest.raises(AssertionError, match="not within 0.1 s: nothing is in doubt: prepared: .*mysql1"):
        bank.check(within_s=0.1)


def test_an_overdraft_is_refused_by_every_database(bank):
    for resource in bank.vaults:
        with pytest.raises(harness.ServerError, match="no_overdraft"):
            move(bank, resource, "t1", 1, -101)
    bank.check()
