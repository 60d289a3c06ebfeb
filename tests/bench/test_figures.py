from tests.bench import figures, report
from tests.bench.follower import Row, Snapshot, visible
from tests.bench.sender import Answer
from tests.bench.traffic import events


def test_a_row_is_visible_when_a_reader_first_sees_its_transaction():
    snapshots = [
        Snapshot(1.0, 10, frozenset()),
        Snapshot(2.0, 12, frozenset({11})),
        Snapshot(3.0, 13, frozenset()),
    ]
    rows = [Row("a", 10, 0.5), Row("b", 11, 0.6), Row("c", 13, 2.5)]
    assert visible(rows, snapshots) == {"a": 2.0, "b": 3.0}


def test_what_was_acked_before_the_next_was_sent_must_be_visible_no_later():
    happened = events(3, hot=True)
    answers = [Answer([one.mid], at, at + 0.5, 200) for at, one in enumerate(happened)]
    in_order = {one.mid: at + 0.6 for at, one in enumerate(happened)}
    overtaken = in_order | {happened[0].mid: 1.7}
    assert figures.visible(answers, in_order, happened)["out_of_order"] == 0
    assert figures.visible(answers, overtaken, happened)["out_of_order"] == 1


def test_what_was_acknowledged_and_never_seen_is_lost_and_what_was_refused_is_not():
    happened = events(2)
    answers = [
        Answer([one.mid], 0.0, 1.0, status)
        for one, status in zip(happened, (200, 503), strict=True)
    ]
    assert figures.visible(answers, {}, happened)["lost"] == 1
    assert figures.acks(answers)["refused"] == 1


def test_percentiles_are_measured_values():
    assert figures.percentile(range(100), 50) == 50
    assert figures.percentile(range(100), 99) == 99
    assert figures.percentile([], 50) == 0


def test_a_document_gets_the_ratios_between_its_markers_and_keeps_the_rest():
    rounds = {("idle", "pagewire"): [{"cpu_percent": 1.0}, {"cpu_percent": 1.4}]}
    old = f"# Title\n{report.BEGIN}\nold\n{report.END}\nmore\n"
    new = report.into(old, {"command": "python -m tests.bench"}, rounds)
    assert "| idle, % of one core | 1.2 | under 2 |" in new
    assert "old" not in new
    assert new.startswith("# Title\n")
    assert new.endswith("\nmore\n")
    assert report.into(new, {"command": "python -m tests.bench"}, rounds) == new
