"""What a program says of its configuration and its directory: always the thing, the place and the remedy."""

import shutil

import pytest
from harness import Program, free_port

PROGRAMS = ["troth-coordinator", "troth-agent"]


def settings_of(program: str) -> dict:
    if program == "troth-coordinator":
        return {"listen": "127.0.0.1:0"}
    return {
        "listen": "127.0.0.1:0",
        "coordinators": [f"127.0.0.1:{free_port()}"],
        "resource": [{"name": "pg", "kind": "postgres", "port": 1, "database": "bank", "user": "agent"}],
    }


@pytest.fixture(params=PROGRAMS)
def program(request, workspace) -> Program:
    return Program(request.param, workspace / "one", settings_of(request.param))


def complaint(program: Program, *arguments: str, exit_code: int) -> str:
    program.configure()
    return program.run(*arguments, exit_code=exit_code)


def test_check_config_shows_what_is_in_force(program):
    assert "listen" in complaint(program, "--check-config", exit_code=0)


def test_an_unknown_key_is_refused_with_the_nearest_name(program):
    program.settings["lisden"] = "127.0.0.1:1"
    said = complaint(program, "--check-config", exit_code=2)
    assert "lisden" in said and "listen" in said and "config.toml:" in said


def test_every_problem_is_told_at_once(program):
    program.settings["times"] = {"shutdown_grace_ms": -1}
    program.settings["limits"] = {"frame_bytes": "many"}
    said = complaint(program, "--check-config", exit_code=2)
    assert "shutdown_grace_ms" in said and "frame_bytes" in said


def test_a_password_in_the_file_itself_is_refused(workspace):
    agent = Program("troth-agent", workspace / "one", settings_of("troth-agent"))
    agent.settings["resource"][0]["password"] = "hunter2"
    said = complaint(agent, "--check-config", exit_code=2)
    assert "password_file" in said and "hunter2" not in said


def test_a_missing_configuration_names_the_file(program):
    said = program.run(exit_code=2)
    assert str(program.configuration) in said


def test_a_directory_that_was_never_initialised_names_the_remedy(program):
    said = complaint(program, exit_code=1)
    assert "init" in said and program.settings["data_directory"] in said


def test_init_refuses_a_directory_that_holds_something(program):
    program.init("one")
    said = complaint(program, "init", "--name", "two", exit_code=1)
    assert program.settings["data_directory"] in said


def test_a_directory_in_use_is_refused(workspace):
    first = Program("troth-coordinator", workspace / "one", settings_of("troth-coordinator"))
    first.init("bank")
    first.start()
    said = first.run(exit_code=1)
    assert "in use" in said and first.settings["data_directory"] in said
    first.stop()


def test_the_log_of_another_cluster_is_refused(workspace):
    one = Program("troth-coordinator", workspace / "one", settings_of("troth-coordinator"))
    other = Program("troth-coordinator", workspace / "other", settings_of("troth-coordinator"))
    for each in (one, other):
        each.init("bank")
        each.start()
        each.stop()
    mine, theirs = (f"{each.settings['data_directory']}/log" for each in (one, other))
    shutil.rmtree(mine)
    shutil.copytree(theirs, mine)
    said = one.run(exit_code=1)
    assert "cluster" in said and mine in said


def test_sigterm_is_a_clean_end(workspace):
    coordinator = Program("troth-coordinator", workspace / "one", settings_of("troth-coordinator"))
    coordinator.init("bank")
    coordinator.start()
    coordinator.stop()
