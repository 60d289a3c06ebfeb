"""Cycles are looked for seldom, and still found."""

import subprocess
import sys

PROGRAM = """
import gc
from shared import garbage

class Node:
    alive = 0
    def __init__(self):
        Node.alive += 1
        self.me = self
    def __del__(self):
        Node.alive -= 1

garbage.search_seldom()
assert gc.get_freeze_count() > 1000 and gc.get_count()[0] < 100
most = 0
for _ in range(100_000):
    Node()
    most = max(most, Node.alive)
print(most)
"""


def test_cycles_are_searched_for_seldom_and_found():
    """In a process of its own: what is frozen stays so."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert 1_000 < int(done.stdout) < 20_000
