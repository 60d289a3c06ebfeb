"""The merge rules as pure functions: properties that hold, and that break when a rule is broken."""

import importlib.util
import random
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.events import Event, Item
from shared.facebook.webhook.body import parse
from shared.store import rows
from tests.faults import facebook, oracle
from tests.faults.length import scaled
from tests.faults.report import Report
from tests.integration.store.histories import history
from worker import merge

EXAMPLES = scaled(200_000, 300)
TABLES = ("messages", "reactions", "conversations", "tags", "conversation_tags", "events")

thorough = settings(
    max_examples=EXAMPLES // 2,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

Reduce = Callable[[Iterable[Event]], Any]
Rule = Callable[[Reduce, int, int], None]
seeds, lengths = st.integers(0, 2**40), st.integers(1, 16)


def joined(batches: list[Any]) -> dict[str, dict[Any, Any]]:
    """The rows of batches as those of one."""
    together: dict[str, dict[Any, Any]] = {table: {} for table in TABLES}
    for batch in batches:
        for table in TABLES:
            for key, row in getattr(batch, table).items():
                known = together[table].setdefault(key, row)
                # An event is its key: telling it again tells nothing.
                if known is not row and table != "events":
                    known.join(row)
    return together


def order_does_not_matter(reduce: Reduce, seed: int, length: int) -> None:
    """Shuffled, repeated and cut anywhere, the same events make the same rows."""
    told = history(seed, length, mids=2)
    dice = random.Random(seed)
    again = told + dice.choices(told, k=length // 2)
    dice.shuffle(again)
    cut = dice.randrange(len(again) + 1)
    straight = joined([reduce(told)])
    assert joined([reduce(again[:cut]), reduce(again[cut:])]) == straight


def rows_are_those_expected(reduce: Reduce, seed: int, length: int) -> None:
    """Parsed and reduced, the items of a life make the rows the oracle picks."""
    told = facebook.Life(seed, ["501", "502"]).items(length * 3)
    random.Random(seed).shuffle(told)
    found = parse(facebook.body(told), told[0].told["timestamp"])
    batch = reduce(event for one in found if isinstance(one, Item) for event in one.events)
    wanted = oracle.expected(told)
    for table in ("messages", "reactions"):
        columns = oracle.COLUMNS[table][1].split(", ")
        values = {
            key: tuple(getattr(row, column) for column in columns)
            for key, row in getattr(batch, table).items()
        }
        assert values == wanted[table]
    watermarks = {
        key: (row.read_event_ms, row.delivered_watermark_ms)
        for key, row in batch.conversations.items()
    }
    assert watermarks == {
        key: row[2:] for key, row in wanted["conversations"].items() if key in watermarks
    }


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("rule", [order_does_not_matter, rows_are_those_expected])
def test_the_rules_hold_whatever_happens(rule: Rule, report: Report) -> None:
    """Order, repetition and cuts do not matter; the rows are those the oracle expects."""

    @thorough
    @given(seeds, lengths)
    def holds(seed: int, length: int) -> None:
        rule(merge.reduce, seed, length)

    holds()
    report.count("examples of the merge rules", EXAMPLES // 2)


MUTATIONS = {
    "equal texts are not ordered by their content": (
        "return row.text_as_of_ms, row.text_num_edit, row.text_rank, row.text\n",
        "return row.text_as_of_ms, row.text_num_edit, row.text_rank\n",
    ),
    "the text of a nearer source wins over a later one": (
        "return row.text_as_of_ms, row.text_num_edit, row.text_rank, row.text\n",
        "return row.text_rank, row.text_as_of_ms, row.text_num_edit, row.text\n",
    ),
    "equal attachments are not ordered": (
        "row.attachments_as_of_ms, row.attachments_rank, row.attachments_digest",
        "row.attachments_as_of_ms, row.attachments_rank",
    ),
    "the last edit told counts, not the highest": (
        "self.num_edit = max(self.num_edit, other.num_edit)",
        "self.num_edit = other.num_edit",
    ),
    "an unsent message keeps its content": (
        "        if self.deleted_ms is not None:\n            self.forget()",
        "",
    ),
    "an unsend is forgotten by what comes later": (
        "self.deleted_ms = least(self.deleted_ms, other.deleted_ms)",
        "self.deleted_ms = other.deleted_ms",
    ),
    "reactions of one time are not ordered": (
        'return row.acted_ms, row.active, row.reaction or "", row.emoji or "", row.participant_id',
        "return (row.acted_ms,)",
    ),
    "a read moves back": (
        "self.read_event_ms = greatest(self.read_event_ms, other.read_event_ms)",
        "self.read_event_ms = other.read_event_ms or self.read_event_ms",
    ),
    "a delivery takes the least": (
        "self.delivered_watermark_ms = greatest(",
        "self.delivered_watermark_ms = least(",
    ),
    "a farther source is believed as much as a nearer": (
        "if other.source_rank < self.source_rank:\n            return",
        "if False:\n            return",
    ),
    "seconds beat milliseconds": (
        "(other.sent_exact, -other.sent_ms) > (",
        "(not other.sent_exact, -other.sent_ms) > (",
    ),
    "the last label told counts": (
        "(self.acted_ms, self.active), (other.acted_ms, other.active)",
        "(other.acted_ms, other.active), (other.acted_ms, other.active)",
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_rule_that_is_broken_on_purpose_is_noticed(
    mutation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    before, after = MUTATIONS[mutation]
    reduce = mutant(before, after, tmp_path, monkeypatch).reduce
    with pytest.raises(AssertionError):
        hold(reduce, 3000)
    report.count(f"rules broken on purpose and noticed, of {len(MUTATIONS)}", 1)


def test_a_copy_with_no_rule_broken_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the mutations would be noticed for being copies."""
    hold(mutant("def least(", "def least(", tmp_path, monkeypatch).reduce, 100)


def hold(reduce: Reduce, examples: int) -> None:
    for seed in range(examples):
        order_does_not_matter(reduce, seed, 12)
        rows_are_those_expected(reduce, seed, 12)


def mutant(before: str, after: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`worker.merge` over rows in which one piece of the source was replaced."""
    source = Path(rows.__file__).read_text()
    assert source.count(before) == 1, before
    (folder / "rows.py").write_text(source.replace(before, after))
    monkeypatch.setitem(sys.modules, rows.__name__, _loaded(rows.__name__, folder / "rows.py"))
    return _loaded("mutant_merge", Path(merge.__file__))


def _loaded(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
