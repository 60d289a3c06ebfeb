from deploy.check import targets
from deploy.check.measured import Figures
from deploy.check.targets import Target
from tests.bench import figures
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


def test_a_target_says_whether_it_is_met_or_by_how_much_it_is_missed():
    assert Target("", 0.6, least=0.55).verdict == "met"
    assert Target("", 15_000, least=20_000).verdict == "missed by 25 %"
    assert Target("", 15, most=12).verdict == "missed by 25 %"
    assert Target("", 3, most=0).verdict == "missed by 3"
    assert Target("", 3).verdict == ""
    assert Target("", None, most=0).verdict == ""


def test_every_target_that_was_measured_is_told_and_none_is_made_up():
    rounds = [{"cpu_percent": 1.0}, {"cpu_percent": 1.4}]
    idle = {"load": "idle", "system": "pagewire", "rounds": rounds}
    told = targets.written(Figures({"machine": {}, "figures": [idle]}))
    assert "| idle: % of one core | at most 2 | 1.2 | met |" in told
    assert "| acknowledged at 600/s: p99, ms | at most 10 | not measured |  |" in told
