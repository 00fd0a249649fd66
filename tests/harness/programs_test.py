"""Programs, with the smallest one that is built on base/runtime/process.h."""

import pytest

from harness import Program, ProcessError, eventually


@pytest.fixture
def program(workspace):
    program = Program("example_process", workspace / "example", {})
    program.init("bank")
    yield program
    program.kill()


def test_it_serves_at_the_address_of_its_ready_line_and_stops_cleanly(program):
    program.start()
    assert program.address == f"127.0.0.1:{program.port}"
    program.stop()


def test_it_dies_at_the_armed_point_and_lives_again_once_disarmed(program):
    assert "example.before_ready" in program.crash_points()
    program.arm("example.before_ready")
    program.launch()
    program.expect_exit(-9)
    program.disarm()
    program.start()


def test_it_stands_still_at_a_point_that_stops_and_goes_on_when_resumed(program):
    program.arm("example.before_ready", action="stop")
    program.launch()
    eventually(program.is_paused, "it stands still at the crash point")
    assert "ready" not in program.output().split()
    program.resume()
    program.wait_ready()


def test_a_wrong_configuration_is_told_with_its_exit_code(program):
    program.settings["no_such_key"] = 1
    with pytest.raises(ProcessError, match="ended with 2 before it was ready:(?s:.*)no_such_key"):
        program.start()
