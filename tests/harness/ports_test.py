"""A port that was handed out is nobody else's, whether or not somebody listens on it."""

from __future__ import annotations

import subprocess
import sys

from harness import ROOT
from throwaway.ports import PortBlocks

_PRINT_PORTS = """
import sys
sys.path.insert(0, sys.argv[1])
from throwaway.ports import PortBlocks
blocks = PortBlocks()
print(*(blocks.next_port() for _ in range(int(sys.argv[2]))), flush=True)
sys.stdin.read()
"""


def test_processes_beside_each_other_share_no_port() -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _PRINT_PORTS, str(ROOT / "deploy"), "1500"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ports = [set(process.stdout.readline().split()) for process in started]
    for process in started:
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert [len(each) for each in ports] == [1500] * 3
    assert len(set.union(*ports)) == 4500, "chosen at random, hundreds of them would be the same"


def test_a_block_is_free_again_when_its_process_has_ended() -> None:
    for _ in range(3):
        # Together more than there are, if each kept its own.
        done = subprocess.run(
            [sys.executable, "-c", _PRINT_PORTS, str(ROOT / "deploy"), "8000"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert len(set(done.stdout.split())) == 8000


def test_no_port_is_handed_out_twice() -> None:
    blocks = PortBlocks()
    ports = [blocks.next_port() for _ in range(1000)]
    assert len(set(ports)) == len(ports)
