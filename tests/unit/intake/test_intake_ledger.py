import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.webhook import ledger as module
from ingress.webhook.ledger import Ledger, Span
from ingress.webhook.will import Will

# How many envelopes at a time, and how it ended for them (None: not yet).
HISTORIES = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from([True, False, None])), max_size=30
)


def book(write: Callable[[int, list[Span]], None] = lambda *_: None) -> Ledger:
    return Ledger("door", "boot", write)


def numbers(multirange: str) -> set[int]:
    spans = re.findall(r"\[(\d+),(\d+)\)", multirange)
    return {number for first, end in spans for number in range(int(first), int(end))}


@given(HISTORIES, st.randoms())
def test_exactly_the_acknowledged_numbers_are_told(
    history: list[tuple[int, bool | None]], order: object
) -> None:
    ledger, spans = book(), []
    for count, acked in history:
        first = ledger.number(count)
        spans.append((first, count, acked))
    order.shuffle(spans)  # type: ignore[attr-defined]
    for first, count, acked in spans:
        if acked is not None:
            ledger.settle(first, count, acked=acked)
    expected = {
        number for first, count, acked in spans if acked for number in range(first, first + count)
    }
    assert numbers(ledger.acked()) == expected


def test_numbers_are_never_used_twice() -> None:
    ledger = book()
    assert [ledger.number(3), ledger.number(2)] == [0, 3]
    ledger.settle(0, 3, acked=False)
    assert ledger.number(1) == 5


def test_a_long_outage_is_one_hole() -> None:
    ledger = book()
    for _ in range(1000):
        ledger.settle(ledger.number(1), 1, acked=False)
    ledger.settle(ledger.number(1), 1, acked=True)
    assert ledger.acked() == "{[1000,1001)}"


def test_what_settles_out_of_turn_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_SPANS", 10)
    told: list[Span] = []

    def write(place: int, spans: list[Span]) -> None:
        told[place:] = spans

    ledger = book(write)
    for _ in range(100):
        first, second = ledger.number(1), ledger.number(1)
        ledger.settle(second, 1, acked=True)
        ledger.settle(first, 1, acked=True)
        assert len(ledger._acked) <= 10
        assert told == ledger._acked
    assert ledger.acked() == "{[0,200)}"


DIES = """
import os, signal, sys
from pathlib import Path
from ingress.webhook.ledger import Ledger
from ingress.webhook.will import Will
will = Will("a door", "dead", deployment=sys.argv[2], folder=Path(sys.argv[1]))
ledger = Ledger("a door", "dead", will.write)
for acked in (True, True, False, True):
    ledger.settle(ledger.number(5), 5, acked=acked)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_what_it_acknowledged(tmp_path: Path) -> None:
    for deployment in ("ours", "theirs"):
        died = subprocess.run([sys.executable, "-c", DIES, str(tmp_path), deployment], check=False)
        assert died.returncode == -9
        (tmp_path / "pagewire-dead.acked").rename(tmp_path / f"pagewire-{deployment}.acked")
    will = Will("a door", "next", deployment="ours", folder=tmp_path)
    ((left, path),) = will.others()
    assert (left.ingress, left.boot, left.acked) == ("a door", "dead", "{[0,10),[15,20)}")
    assert path.name == "pagewire-ours.acked"
    # And not of one that lives: this one.
    will.close()
    after = Will("a door", "after", deployment="ours", folder=tmp_path)
    assert sorted(left.boot for left, _ in after.others()) == ["dead", "next"]
    after.told()
    after.close()


def test_without_a_place_for_the_file_an_ingress_starts_all_the_same(tmp_path: Path) -> None:
    will = Will("a door", "boot", deployment="ours", folder=tmp_path / "none")
    will.write(0, [(0, 5)])
    assert list(will.others()) == []
    will.told()
    will.close()
