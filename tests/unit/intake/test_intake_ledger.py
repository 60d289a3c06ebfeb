import re

from hypothesis import given
from hypothesis import strategies as st

from ingress.webhook.ledger import Ledger

# How many envelopes at a time, and how it ended for them (None: not yet).
HISTORIES = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from([True, False, None])), max_size=30
)


def numbers(multirange: str) -> set[int]:
    spans = re.findall(r"\[(\d+),(\d+)\)", multirange)
    return {number for first, end in spans for number in range(int(first), int(end))}


@given(HISTORIES, st.randoms())
def test_exactly_the_acknowledged_numbers_are_told(
    history: list[tuple[int, bool | None]], order: object
) -> None:
    ledger, spans = Ledger(), []
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
    ledger = Ledger()
    assert [ledger.number(3), ledger.number(2)] == [0, 3]
    ledger.settle(0, 3, acked=False)
    assert ledger.number(1) == 5


def test_a_long_outage_is_one_hole() -> None:
    ledger = Ledger()
    for _ in range(1000):
        ledger.settle(ledger.number(1), 1, acked=False)
    ledger.settle(ledger.number(1), 1, acked=True)
    assert ledger.acked() == "{[1000,1001)}"
    assert len(ledger._refused) == 1
