"""`troth doctor`: what it finds on servers that are made ill, and that what it says mends them does."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import (
    Cluster,
    Fleet,
    PgBouncer,
    Relay,
    Vault,
    connected,
    create_account,
    eventually,
    fresh_database,
    install,
    programs_directory,
    rows,
)
from harness.toml import to_toml


@dataclasses.dataclass(frozen=True)
class Report:
    code: int
    document: dict

    def ids(self, severity: str | None = None) -> list[str]:
        return [
            each["finding"]
            for each in self.document["findings"]
            if severity in (None, each["severity"])
        ]  # fmt: skip

    def examined(self) -> list[str]:
        return [each["where"] for each in self.document["examined"]]

    def find(self, finding: str) -> dict | None:
        found = [each for each in self.document["findings"] if each["finding"] == finding]
        return found[0] if found else None


def doctor(*words: str) -> Report:
    """Its exit code is what its findings say, whatever they are."""
    command = [programs_directory() / "troth", "--json", "doctor", *map(str, words)]
    environment = {name: value for name, value in os.environ.items() if name != "TROTH_COORDINATOR"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    document = json.loads(done.stdout)
    assert "findings" in document, document
    counted = [document["errors"], document["warnings"], document["notes"]]
    severities = [each["severity"] for each in document["findings"]]
    assert counted == [severities.count(each) for each in ("error", "warning", "note")]
    assert severities == sorted(severities, key=["error", "warning", "note"].index), "most severe first"
    assert done.returncode == (5 if counted[0] else 7 if counted[1] else 0), done.stdout + done.stderr
    for each in document["findings"]:
        assert list(each) == ["finding", "severity", "where", "seen", "why", "remedy", "mend"]
        assert all(each.values()), each
    return Report(done.returncode, document)


class Clinic:
    """One server of each kind, whose settings its tests may change, with Troth installed and running."""

    def __init__(self, directory: Path, fleet: Fleet) -> None:
        self.directory = directory
        self.cluster = Cluster(directory, {server.kind: server for server in fleet.servers})

    def vault(self, resource: str) -> Vault:
        return self.cluster.bank.vaults[resource]

    def role(self, resource: str) -> str:
        return self.cluster.role(resource)

    def look(self, resource: str, *words: str) -> Report:
        return doctor("--config", self.cluster.agent.configuration, resource, *words)

    def sql(self, resource: str, text: str) -> None:
        """As an administrator; several statements are separated by '; '."""
        vault = self.vault(resource)
        vault.server.sql(text, vault.database)

    def await_found(self, resource: str, finding: str, *words: str) -> dict:
        """A changed setting reaches new sessions a moment later."""
        return eventually(lambda: self.look(resource, *words).find(finding), f"{finding} is found", 30)

    def await_gone(self, resource: str, finding: str, *words: str) -> None:
        eventually(lambda: self.look(resource, *words).find(finding) is None, f"{finding} is gone", 30)

    def password(self, resource: str) -> str:
        return self.cluster.password_file(self.vault(resource)).read_text(encoding="ascii").strip()

    def configuration(self, name: str, resource: str, **changes) -> Path:
        """An agent's configuration with this resource alone, changed; its data directory is the agent's."""
        settings = dict(self.cluster.agent.settings)
        (described,) = [each for each in settings["resource"] if each["name"] == resource]
        settings["resource"] = [{**described, **changes}]
        path = self.directory / f"{name}.toml"
        path.write_text(to_toml(settings), encoding="utf-8")
        return path

    def agent_configuration(self, name: str, **changes) -> Path:
        path = self.directory / f"{name}.toml"
        path.write_text(to_toml({**self.cluster.agent.settings, **changes}), encoding="utf-8")
        return path


@pytest.fixture(scope="module")
def clinic(tmp_path_factory) -> Iterator[Clinic]:
    with Fleet.temporary(owner=os.getpid()) as fleet:
        fleet.start({"postgres": 1, "mariadb": 1, "mysql": 1})
        opened = Clinic(tmp_path_factory.mktemp("clinic"), fleet)
        with opened.cluster:
            yield opened


# ---- what is well


def test_a_healthy_cluster_has_no_error(clinic: Clinic):
    address = f"127.0.0.1:{clinic.cluster.coordinator_port}"
    report = doctor("--config", clinic.cluster.agent.configuration, "--coordinator", address)
    assert report.ids("error") == []
    assert report.examined() == [
        "resource pg", "resource my", "resource ma",
        f"directory {clinic.cluster.agent.settings['data_directory']}", "this machine", f"coordinator {address}",
    ]  # fmt: skip
    # One machine has one clock, and everything can be looked at.
    for finding in ("clock-apart", "clock-far-apart", "not-examined", "directory-unseen"):
        assert report.find(finding) is None
    coordinators = doctor("--config", clinic.cluster.coordinator.configuration)
    assert coordinators.ids("error") == []
    log = Path(clinic.cluster.coordinator.settings["data_directory"]) / "log"
    assert doctor("--log", log).ids("error") == []


def test_people_get_a_table_with_the_most_severe_first(clinic: Clinic):
    command = [programs_directory() / "troth", "doctor", "--config", clinic.cluster.agent.configuration, "my"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert re.match(r"resource my: MySQL .*, \d+ tables, 0 prepared, clock \S+ ms\n", done.stdout)
    syncs = r"sync \d+ us \(median of 100\), \d+ us \(99th percentile\)"
    assert re.search(
        rf"\ndirectory .*: log whole and in use, \S+ on /\S*, \d+ MiB free, {syncs}\n", done.stdout
    )
    assert "severity | finding" in done.stdout
    assert "   why   " in done.stdout and "   mend  " in done.stdout


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [((), 2), (("--config", "/nowhere.toml"), 1), (("--log", "/tmp", "--config", "x"), 2), (("pg",), 2)],
)
def test_a_wrong_command_line_is_refused(words: tuple[str, ...], exit_code: int):
    command = [programs_directory() / "troth", "doctor", *words]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == exit_code


def test_a_resource_that_is_not_configured_is_refused(clinic: Clinic):
    command = [
        programs_directory() / "troth",
        "doctor",
        "--config",
        clinic.cluster.agent.configuration,
        "pgg",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "did you mean 'pg'?" in done.stderr) == (1, True)


# ---- each illness, and its medicine

PG, MY, MA = "pg", "my", "ma"


@dataclasses.dataclass(frozen=True)
class Illness:
    """`made` by an administrator; empty: as shipped. <role> is the agent's, <database> the resource's."""

    resource: str
    finding: str
    made: str = ""
    restarts: bool = False
    leaves: str = ""  # what takes away that which illness and medicine leave


def role_setting(name: str, value: str) -> str:
    return f"ALTER ROLE <role> SET {name} = {value}"


ILLNESSES = [
    Illness(PG, "fsync-off", "ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf()"),
    Illness(PG, "full-page-writes-off", "ALTER SYSTEM SET full_page_writes = off; SELECT pg_reload_conf()"),
    Illness(PG, "synchronous-commit-off", role_setting("synchronous_commit", "off")),
    Illness(PG, "default-read-only", role_setting("default_transaction_read_only", "on")),
    Illness(PG, "default-isolation", role_setting("default_transaction_isolation", "serializable")),
    Illness(PG, "timeout-ends-branches", role_setting("idle_in_transaction_session_timeout", "60000")),
    Illness(PG, "timeout-ends-statements", role_setting("lock_timeout", "60000")),
    Illness(PG, "client-check-off"),
    Illness(PG, "role-superuser", "ALTER ROLE <role> SUPERUSER"),
    Illness(PG, "connections-few", "ALTER ROLE <role> CONNECTION LIMIT 50"),
    Illness(PG, "connections-few", "ALTER DATABASE <database> CONNECTION LIMIT 50"),
    Illness(PG, "table-without-key", "CREATE TABLE keyless (a int)", leaves="DROP TABLE keyless"),
    Illness(
        PG,
        "deferred-constraint",
        "CREATE TABLE late (id int PRIMARY KEY, a int, CONSTRAINT once UNIQUE (a) DEFERRABLE INITIALLY DEFERRED)",
        leaves="DROP TABLE late",
    ),
    Illness(
        PG,
        "table-privileges",
        'CREATE SCHEMA shut; CREATE TABLE shut."of strangers" (id serial PRIMARY KEY)',
        leaves="DROP SCHEMA shut CASCADE",
    ),
    Illness(PG, "troth-privileges", "REVOKE INSERT ON troth.troth_branch FROM <role>"),
    Illness(PG, "troth-privileges", "REVOKE USAGE ON SCHEMA troth FROM <role>"),
    Illness(PG, "prepared-transactions-few", "ALTER SYSTEM SET max_prepared_transactions = 3", restarts=True),
    Illness(PG, "prepared-transactions-off", "ALTER SYSTEM SET max_prepared_transactions = 0", restarts=True),
    Illness(MY, "xa-detach-off", "SET GLOBAL xa_detach_on_prepare = OFF"),
    Illness(MY, "flush-log", "SET GLOBAL innodb_flush_log_at_trx_commit = 2"),
    Illness(MA, "flush-log", "SET GLOBAL innodb_flush_log_at_trx_commit = 0"),
    Illness(MY, "sync-binlog", "SET GLOBAL sync_binlog = 0"),
    Illness(MY, "binlog-statement", "SET GLOBAL binlog_format = STATEMENT"),
    Illness(MY, "read-only-server", "SET GLOBAL read_only = ON"),
    Illness(MA, "read-only-server", "SET GLOBAL read_only = ON"),
    Illness(MY, "autocommit-off", "SET GLOBAL autocommit = OFF"),
    Illness(MA, "autocommit-off", "SET GLOBAL autocommit = OFF"),
    Illness(MY, "replica-gap-locks"),
    Illness(MY, "wait-timeout", "SET GLOBAL wait_timeout = 60"),
    Illness(MA, "wait-timeout", "SET GLOBAL wait_timeout = 60"),
    Illness(MA, "transaction-timeout", "SET GLOBAL idle_write_transaction_timeout = 60"),
    Illness(MY, "sql-mode-not-strict", "SET GLOBAL sql_mode = 'NO_ENGINE_SUBSTITUTION'"),
    Illness(MA, "sql-mode-not-strict", "SET GLOBAL sql_mode = ''"),
    Illness(MY, "xa-recover-denied", "REVOKE XA_RECOVER_ADMIN ON *.* FROM <role>"),
    Illness(
        MY, "variables-unseen", "REVOKE SELECT ON performance_schema.user_variables_by_thread FROM <role>"
    ),
    Illness(MY, "role-super", "GRANT SUPER ON *.* TO <role>"),
    Illness(MA, "role-super", "GRANT SUPER ON *.* TO <role>"),
    Illness(MY, "connections-few", "SET GLOBAL max_connections = 60"),
    Illness(MA, "connections-few", "SET GLOBAL max_connections = 60"),
    Illness(MY, "connections-few", "ALTER USER <role> WITH MAX_USER_CONNECTIONS 60"),
    Illness(MA, "connections-few", "ALTER USER <role> WITH MAX_USER_CONNECTIONS 60"),
    Illness(MY, "table-without-key", "CREATE TABLE keyless (a INT)", leaves="DROP TABLE keyless"),
    Illness(MA, "table-without-key", "CREATE TABLE keyless (a INT)", leaves="DROP TABLE keyless"),
    Illness(
        MY,
        "table-engine",
        "CREATE TABLE loose (a INT PRIMARY KEY) ENGINE = MyISAM",
        leaves="DROP TABLE loose",
    ),
    Illness(
        MA, "table-engine", "CREATE TABLE loose (a INT PRIMARY KEY) ENGINE = Aria", leaves="DROP TABLE loose"
    ),
    Illness(
        MY,
        "trigger-engine",
        "CREATE TABLE noted (a INT PRIMARY KEY) ENGINE = MyISAM; "
        "CREATE TRIGGER noting AFTER DELETE ON account FOR EACH ROW INSERT INTO noted VALUES (OLD.id)",
        leaves="DROP TRIGGER noting; DROP TABLE noted",
    ),
    Illness(
        MA,
        "trigger-engine",
        "CREATE TABLE noted (a INT PRIMARY KEY) ENGINE = MyISAM; "
        "CREATE TRIGGER noting AFTER DELETE ON account FOR EACH ROW INSERT INTO noted VALUES (OLD.id)",
        leaves="DROP TRIGGER noting; DROP TABLE noted",
    ),
    Illness(MY, "character-set", "ALTER DATABASE <database> CHARACTER SET latin1"),
    Illness(MA, "character-set", "ALTER DATABASE <database> CHARACTER SET latin1"),
    Illness(MY, "table-privileges", "REVOKE DELETE ON <database>.* FROM <role>"),
    Illness(MA, "table-privileges", "REVOKE DELETE ON <database>.* FROM <role>"),
]


def _filled(text: str, clinic: Clinic, resource: str) -> str:
    quote = '"' if resource == PG else "`"
    database = quote + clinic.vault(resource).database + quote
    return text.replace("<role>", clinic.role(resource)).replace("<database>", database)


@pytest.mark.parametrize(
    "illness", ILLNESSES, ids=lambda each: f"{each.resource}-{each.finding}-{ILLNESSES.index(each)}"
)
def test_an_illness_is_found_and_its_medicine_works(clinic: Clinic, illness: Illness):
    if illness.made:
        assert clinic.look(illness.resource).find(illness.finding) is None
        clinic.sql(illness.resource, _filled(illness.made, clinic, illness.resource))
    server = clinic.vault(illness.resource).server
    if illness.restarts:
        server.stop()
        server.restart()
    found = clinic.await_found(illness.resource, illness.finding)
    assert found["where"] == f"resource {illness.resource}"
    assert found["remedy"].startswith("statement"), found
    clinic.sql(illness.resource, found["mend"])
    assert found["remedy"].endswith("restart the database") == illness.restarts
    if illness.restarts:
        server.stop()
        server.restart()
    clinic.await_gone(illness.resource, illness.finding)
    if illness.leaves:
        clinic.sql(illness.resource, illness.leaves)


def test_connections_of_the_whole_server_are_counted(clinic: Clinic):
    server = clinic.vault(PG).server
    clinic.sql(PG, "ALTER SYSTEM SET max_connections = 60")
    server.stop()
    server.restart()
    found = clinic.await_found(PG, "connections-few")
    assert found["remedy"] == "statement, then restart the database"
    clinic.sql(PG, found["mend"])
    server.stop()
    server.restart()
    clinic.await_gone(PG, "connections-few")


FILE_ILLNESSES = [
    (MY, "doublewrite-off", {"innodb_doublewrite": "OFF"}),
    (MA, "doublewrite-off", {"innodb_doublewrite": "OFF"}),
    (MY, "flush-method", {"innodb_flush_method": "nosync"}),
    (MA, "flush-method", {"innodb_flush_method": "nosync"}),
    (MY, "gtid-off", {"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"}),
]


@pytest.mark.parametrize(("resource", "finding", "settings"), FILE_ILLNESSES)
def test_settings_of_a_configuration_file_are_judged(
    clinic: Clinic, resource: str, finding: str, settings: dict
):
    assert clinic.look(resource).find(finding) is None
    server = clinic.vault(resource).server
    server.reconfigure(settings)
    try:
        found = clinic.await_found(resource, finding)
        assert found["remedy"] == "the database's configuration, then restart it"
        medicine = dict(each.split(" = ") for each in found["mend"].split(" and "))
        assert medicine.keys() == settings.keys()
        server.reconfigure(medicine)
        clinic.await_gone(resource, finding)
    finally:
        server.reconfigure({})


def test_a_standby_is_told(clinic: Clinic):
    server = clinic.vault(PG).server
    server.stop()
    signal = server.data / "standby.signal"
    signal.touch()
    server.restart()
    try:
        assert clinic.await_found(PG, "standby")["severity"] == "error"
    finally:
        server.stop()
        signal.unlink()
        server.restart()
    clinic.await_gone(PG, "standby")


def test_a_strangers_prepared_transaction_is_told_with_its_owner(clinic: Clinic):
    clinic.sql(
        PG,
        "CREATE TABLE strange (a int); BEGIN; INSERT INTO strange VALUES (1); PREPARE TRANSACTION 'its own'",
    )
    older = ("--older-than-ms", "0")
    found = clinic.await_found(PG, "prepared-stranger", *older)
    assert "its own" in found["seen"] and clinic.vault(PG).server.admin in found["seen"]
    clinic.sql(PG, found["mend"].split(" or ")[1])
    clinic.await_gone(PG, "prepared-stranger", *older)
    clinic.sql(PG, "DROP TABLE strange")


@pytest.mark.parametrize("resource", [MY, MA])
def test_a_strangers_branch_is_told(clinic: Clinic, resource: str):
    clinic.sql(
        resource,
        "CREATE TABLE strange (a INT PRIMARY KEY); XA START 'its own', 'b', 7; INSERT INTO strange VALUES (1); "
        "XA END 'its own', 'b', 7; XA PREPARE 'its own', 'b', 7",
    )
    found = clinic.await_found(resource, "prepared-stranger")
    clinic.sql(resource, found["mend"].split(" or ")[1])
    clinic.await_gone(resource, "prepared-stranger")
    clinic.sql(resource, "DROP TABLE strange")


# ---- what is not there


@pytest.mark.parametrize("resource", [PG, MY, MA])
def test_an_unreachable_database_does_not_hide_the_others(clinic: Clinic, resource: str):
    settings = [dict(each) for each in clinic.cluster.agent.settings["resource"]]
    for each in settings:
        if each["name"] == resource:
            each["port"] = 1
    report = doctor("--config", clinic.agent_configuration("unreachable", resource=settings))
    assert report.find("unreachable")["where"] == f"resource {resource}"
    assert report.ids("error") == ["unreachable"] and report.code == 5
    assert [each for each in report.examined() if each.startswith("resource ")] == [
        "resource pg", "resource my", "resource ma",
    ]  # fmt: skip


@pytest.mark.parametrize("resource", [PG, MY, MA])
def test_a_wrong_password_is_told_and_never_shown(clinic: Clinic, resource: str):
    wrong = clinic.directory / "wrong.password"
    wrong.write_text("not-the-password\n", encoding="ascii")
    report = doctor("--config", clinic.configuration("refused", resource, password_file=str(wrong)))
    assert report.ids("error") == ["login-refused"]
    assert "not-the-password" not in json.dumps(report.document)
    missing = clinic.configuration("refused", resource, password_file=str(clinic.directory / "no.password"))
    assert doctor("--config", missing).ids("error") == ["login-refused"]


@pytest.mark.parametrize("resource", [PG, MY, MA])
def test_where_nothing_is_installed_the_way_to_do_it_is_told(clinic: Clinic, resource: str):
    server = clinic.vault(resource).server
    database = fresh_database(server)
    role = f"bare_{resource}"
    password_file = clinic.directory / f"{role}.password"
    create_account(server, database, role, password_file)
    changes = {"database": database, "user": role, "password_file": str(password_file)}
    configuration = clinic.configuration(f"bare_{resource}", resource, **changes)
    found = doctor("--config", configuration).find("not-installed")
    assert found["mend"].startswith(f"troth install {resource} --agent-config {configuration} ")
    install(Vault(resource, server, database), configuration)
    assert doctor("--config", configuration).ids("error") == []

    # A right that `troth install` gave, taken away again.
    if resource != PG:
        grants = f"REVOKE ALL ON `{database}`.* FROM {role}; REVOKE INSERT ON `{database}`.troth_branch FROM {role}"
        server.sql(grants)
        found = doctor("--config", configuration).find("troth-privileges")
        server.sql(found["mend"])
        assert doctor("--config", configuration).find("troth-privileges") is None

    schema = "troth." if resource == PG else ""
    server.sql(f"UPDATE {schema}troth_schema_version SET version = 99", database)
    assert doctor("--config", configuration).find("schema-version")["severity"] == "error"


# ---- poolers


@pytest.mark.parametrize(
    ("pool_mode", "finding", "severity"),
    [
        ("session", "pooler-keeps-sessions", "warning"),
        ("transaction", "pooler-moves-sessions", "error"),
        ("statement", "pooler-refuses-transactions", "error"),
    ],
)
def test_a_pooler_in_between_is_found(
    clinic: Clinic, workspace: Path, pool_mode: str, finding: str, severity: str
):
    server = clinic.vault(PG).server
    with PgBouncer(workspace / "pooler", server, pool_mode, clinic.role(PG), clinic.password(PG)) as pooler:
        report = doctor("--config", clinic.configuration("pooled", PG, port=pooler.port))
        found = report.find(finding)
        assert found is not None, report.document
        assert found["severity"] == severity
        assert "PgBouncer's console" in found["seen"]
        poolers = [each for each in report.ids() if each.startswith("pooler-")]
        assert poolers == [finding], "the worst is told alone"
        if pool_mode == "transaction":
            assert "lost between two transactions: a setting" in found["seen"]
    # The medicine: the database itself.
    direct = doctor("--config", clinic.configuration("direct", PG))
    assert not [each for each in direct.ids() if each.startswith("pooler-")]


def test_a_pooler_that_refuses_the_agents_login_is_found(clinic: Clinic, workspace: Path):
    server = clinic.vault(PG).server
    with PgBouncer(
        workspace / "pooler", server, "session", clinic.role(PG), clinic.password(PG), "extra_float_digits"
    ) as pooler:
        report = doctor("--config", clinic.configuration("pooled", PG, port=pooler.port))
        assert report.ids("error") == ["pooler-refuses-login"]


def test_the_experiment_leaves_nothing_behind(clinic: Clinic, workspace: Path):
    server = clinic.vault(PG).server
    with PgBouncer(
        workspace / "pooler", server, "transaction", clinic.role(PG), clinic.password(PG)
    ) as pooler:
        doctor("--config", clinic.configuration("pooled", PG, port=pooler.port))
        with connected(server) as session:
            assert rows(session, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


@pytest.mark.parametrize("resource", [PG, MY, MA])
def test_a_relay_in_between_is_no_pooler(clinic: Clinic, resource: str):
    with Relay(clinic.vault(resource).server.port) as relay:
        configuration = clinic.configuration("relayed", resource, port=relay.port)
        # Several times: what another session said last once stood for what this one says.
        for _ in range(5):
            report = doctor("--config", configuration)
            assert not [each for each in report.ids() if each.startswith(("pooler-", "proxy-"))]


@pytest.mark.parametrize("resource", [MY, MA])
def test_a_proxy_that_counts_for_itself_is_found(clinic: Clinic, resource: str):
    """As ProxySQL answers CONNECTION_ID() itself."""
    instead = (b"SELECT CONNECTION_ID()", b"SELECT          424242")
    with Relay(clinic.vault(resource).server.port, instead) as relay:
        report = doctor("--config", clinic.configuration("proxied", resource, port=relay.port))
        found = report.find("proxy-renames-sessions")
        assert found["severity"] == "error"
        assert "told that it is 424242, the server lists it as " in found["seen"]


# ---- directories, and this machine


@contextlib.contextmanager
def stopped_agent(clinic: Clinic) -> Iterator[Path]:
    """A copy of its data directory, to be made ill."""
    copy = clinic.directory / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(clinic.cluster.agent.settings["data_directory"], copy)
    copy.chmod(0o700)
    yield copy


def test_a_directory_that_others_can_read_is_told(clinic: Clinic):
    with stopped_agent(clinic) as data:
        configuration = clinic.agent_configuration("open", data_directory=str(data))
        data.chmod(0o755)
        found = doctor("--config", configuration, PG).find("directory-open")
        assert found["remedy"] == "command"
        subprocess.run(found["mend"], shell=True, check=True)
        assert doctor("--config", configuration, PG).find("directory-open") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_another_user_are_told(clinic: Clinic):
    with stopped_agent(clinic) as data:
        configuration = clinic.agent_configuration("foreign", data_directory=str(data))
        shutil.chown(data / "identity", "nobody")
        found = doctor("--config", configuration, PG).find("directory-owner")
        assert "identity (nobody)" in found["seen"]
        subprocess.run(found["mend"], shell=True, check=True)
        assert doctor("--config", configuration, PG).find("directory-owner") is None


def test_a_directory_that_is_lost_is_told(clinic: Clinic):
    configuration = clinic.agent_configuration("lost", data_directory=str(clinic.directory / "lost"))
    report = doctor("--config", configuration, PG)
    found = report.find("directory-missing")
    assert report.ids("error") == ["directory-missing"]
    words = found["mend"].replace("NAME", "lost").split()
    subprocess.run([programs_directory() / words[0], *words[1:]], check=True, capture_output=True)
    assert doctor("--config", configuration, PG).find("directory-missing") is None


def test_a_damaged_log_is_told(clinic: Clinic):
    with stopped_agent(clinic) as data:
        configuration = clinic.agent_configuration("damaged", data_directory=str(data))
        (segment, *_) = sorted(path for path in (data / "log").iterdir() if path.stat().st_size > 8192)
        with open(segment, "r+b") as file:
            file.write(bytes(64))
        found = doctor("--config", configuration, PG).find("log-damaged")
        assert found["severity"] == "error"
        assert found["mend"] == f"troth log verify {data}/log"


def test_a_disk_without_room_for_the_log_is_told(clinic: Clinic):
    free = shutil.disk_usage(clinic.directory).free
    huge = {"segment_bytes": 1 << 20, "journal_bytes": free * 4}
    report = doctor("--config", clinic.agent_configuration("huge", journal=huge), PG)
    assert report.find("disk-low")["severity"] == "warning"
    assert "journal.journal_bytes" in report.find("disk-low")["mend"]


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no file system in memory")
def test_a_file_system_in_memory_is_told():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        report = doctor("--log", directory)
        assert report.ids("error") == ["file-system-volatile"]
        assert report.find("directory-unseen")["seen"].startswith("the log: "), "there is none"
        assert report.code == 5
        assert list(Path(directory).iterdir()) == [], "what timed the syncs has no name"


# ---- the cluster


def test_a_lost_agent_and_a_lost_coordinator_are_told(clinic: Clinic):
    coordinator = f"127.0.0.1:{clinic.cluster.coordinator_port}"

    def found(finding: str) -> Callable[[], bool]:
        return lambda: finding in doctor("--coordinator", coordinator).ids("error")

    assert doctor("--coordinator", coordinator).ids("error") == []
    clinic.cluster.agent.kill()
    eventually(found("agent-unreachable"), "the lost agent is told", 30)
    clinic.cluster.coordinator.kill()
    assert found("coordinator-unreachable")()
    clinic.cluster.heal()
    assert doctor("--coordinator", coordinator).ids("error") == []
