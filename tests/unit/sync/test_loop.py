"""Listings that come back to where they were."""

import pytest

from worker.sync.listings import Loop


@pytest.mark.parametrize("lead", [0, 1, 5, 40])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 50])
def test_a_circle_is_noticed_however_long(lead, length):
    loop, steps = Loop(), 0
    while not loop.closes(f"lead{steps}" if steps < lead else f"{(steps - lead) % length}"):
        steps += 1
        assert steps <= 8 * (lead + length) + 8


def test_a_row_that_comes_twice_is_no_circle():
    loop = Loop()
    assert not any(loop.closes(str(n // 2)) for n in range(1_000))


def test_rows_that_differ_are_no_circle():
    loop = Loop()
    assert not any(loop.closes(str(n)) for n in range(10_000))
