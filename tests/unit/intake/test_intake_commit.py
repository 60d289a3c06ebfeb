"""Group commit and the breaker, with places that keep entries in a list."""

import asyncio

import pytest

from ingress.webhook import intake
from ingress.webhook.intake import GroupCommit, Intake
from ingress.webhook.keeper import Keeper, Turns
from ingress.webhook.ledger import Ledger
from shared.backlog.envelope import Envelope, unpack
from shared.errors import Unavailable


class Place:
    """Somewhere to keep entries, which may refuse, hang, or wait to be told to go on."""

    def __init__(self, name: str = "place", patience: float = 5.0) -> None:
        self.entries: list[bytes] = []
        self.offered = 0
        self.at_once = self.most_at_once = 0
        self.fails: Exception | None = None
        self.barred: str | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.keeper = Keeper(name, self.append, self.probe, patience)

    async def append(self, packed: bytes) -> None:
        self.offered += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.go_on.wait()
        finally:
            self.at_once -= 1
        if self.fails:
            raise self.fails
        self.entries.append(packed)

    async def probe(self) -> str | None:
        if self.fails:
            raise self.fails
        return self.barred

    def bodies(self) -> list[list[bytes]]:
        return [[envelope.body for envelope in unpack(entry)[1]] for entry in self.entries]


async def well(*places: Place) -> None:
    for place in places:
        await place.keeper.probe()


def lane(*places: Place, every: bool = False) -> GroupCommit:
    ledger = Ledger("door", "boot", lambda *_: None)
    return GroupCommit(ledger, [place.keeper for place in places], every=every)


def envelope(body: bytes) -> Envelope:
    return Envelope("webhook", 0, body)


async def test_nothing_is_answered_before_it_is_kept() -> None:
    place = Place()
    await well(place)
    commit = lane(place)
    place.go_on.clear()
    answer = commit.put(envelope(b"x"))
    running = asyncio.create_task(commit.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert place.offered == 1
    assert not answer.done()
    place.go_on.set()
    assert await answer is True
    running.cancel()


async def test_what_comes_while_an_entry_is_under_way_is_the_next_entry() -> None:
    place = Place()
    await well(place)
    commit = lane(place)
    running = asyncio.create_task(commit.run())
    place.go_on.clear()
    answers = [commit.put(envelope(b"0"))]
    while not place.offered:
        await asyncio.sleep(0)
    answers += [commit.put(envelope(b"%d" % n)) for n in range(1, 10)]
    place.go_on.set()
    assert await asyncio.gather(*answers) == [True] * 10
    assert place.bodies() == [[b"0"], [b"%d" % n for n in range(1, 10)]]
    assert place.most_at_once == 1
    running.cancel()


async def test_entries_number_their_envelopes_without_gap() -> None:
    place = Place()
    await well(place)
    commit = lane(place)
    for size in (3, 1, 2):
        for _ in range(size):
            commit.put(envelope(b"x"))
        await commit.flush()
    assert [unpack(entry)[0].first_sequence for entry in place.entries] == [0, 3, 4]


async def test_an_entry_is_cut_at_its_size_and_no_envelope_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake, "ENTRY_BYTES", 10)
    place = Place()
    await well(place)
    commit = lane(place)
    for body in (b"xxxx", b"xxxx", b"xxxx", b"y" * 20, b"z"):
        commit.put(envelope(body))
    await commit.flush()
    assert [[len(body) for body in bodies] for bodies in place.bodies()] == [[4, 4], [4], [20], [1]]


async def test_under_a_load_that_never_pauses_nobody_waits_beyond_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The time an envelope waits is its own, not that of the first that ever waited."""
    monkeypatch.setattr(intake, "ENTRY_BYTES", 10)
    monkeypatch.setattr(intake, "BUDGET", 0.2)
    place = Place()
    await well(place)
    commit = lane(place)
    running = asyncio.create_task(commit.run())
    loop = asyncio.get_running_loop()
    end, answers = loop.time() + 0.5, []
    while loop.time() < end:
        answers += [commit.put(envelope(b"x" * 9)) for _ in range(3)]
        await answers[-2]
    assert set(await asyncio.gather(*answers)) == {True}
    running.cancel()


async def test_the_second_place_is_asked_when_the_first_refuses() -> None:
    first, second = Place("first"), Place("second")
    await well(first, second)
    first.fails = Unavailable("away")
    commit = lane(first, second)
    answer = commit.put(envelope(b"x"))
    await commit.flush()
    assert await answer is True
    assert second.bodies() == [[b"x"]]


async def test_the_same_bytes_go_to_the_second_place() -> None:
    first, second = Place("first", patience=0.02), Place("second")
    await well(first, second)
    first.go_on.clear()
    commit = lane(first, second)
    commit.put(envelope(b"x"))
    commit.put(envelope(b"y"))
    await commit.flush()
    assert second.bodies() == [[b"x", b"y"]]
    assert unpack(second.entries[0])[0].first_sequence == 0


async def test_when_both_refuse_the_answer_is_no() -> None:
    places = Place("first"), Place("second")
    await well(*places)
    for place in places:
        place.fails = Unavailable("away")
    commit = lane(*places)
    answer = commit.put(envelope(b"x"))
    await commit.flush()
    assert await answer is False


async def test_an_error_nobody_foresaw_is_a_refusal_like_any_other() -> None:
    first, second = Place("first"), Place("second")
    await well(first, second)
    first.fails = AttributeError("a bug in a driver")
    commit = lane(first, second)
    answer = commit.put(envelope(b"x"))
    await commit.flush()
    assert await answer is True


async def test_with_every_all_places_get_each_entry_and_one_is_enough() -> None:
    places = Place("first"), Place("second")
    await well(*places)
    commit = lane(*places, every=True)
    commit.put(envelope(b"x"))
    await commit.flush()
    assert [place.bodies() for place in places] == [[[b"x"]]] * 2
    places[0].fails = Unavailable("away")
    answer = commit.put(envelope(b"y"))
    await commit.flush()
    assert await answer is True
    assert places[1].bodies() == [[b"x"], [b"y"]]


async def test_after_three_failures_a_place_is_left_alone_until_a_probe_finds_it_well() -> None:
    first, second = Place("first"), Place("second")
    await well(first, second)
    first.fails = Unavailable("away")
    commit = lane(first, second)
    for _ in range(5):
        commit.put(envelope(b"x"))
        await commit.flush()
    assert (first.offered, first.keeper.usable) == (3, False)
    await first.keeper.probe()
    assert not first.keeper.usable
    first.fails = None
    await first.keeper.probe()
    assert first.keeper.usable
    commit.put(envelope(b"y"))
    await commit.flush()
    assert first.bodies() == [[b"y"]]


async def test_failures_that_are_not_in_a_row_do_not_add_up() -> None:
    place = Place()
    await well(place)
    commit = lane(place)
    for fails in (True, True, False) * 3:
        place.fails = Unavailable("away") if fails else None
        commit.put(envelope(b"x"))
        await commit.flush()
    assert place.keeper.usable


async def test_a_place_that_answers_but_is_barred_is_not_used() -> None:
    first, second = Place("first"), Place("second")
    first.barred = "full"
    await well(first, second)
    commit = lane(first, second)
    commit.put(envelope(b"x"))
    await commit.flush()
    assert (first.offered, second.offered) == (0, 1)


async def test_a_place_that_fails_its_first_probe_is_not_used() -> None:
    place = Place()
    place.fails = Unavailable("away")
    await place.keeper.probe()
    assert not place.keeper.usable


async def test_a_place_that_will_not_be_cancelled_holds_nobody_up() -> None:
    stubborn = asyncio.Event()

    async def append(_: bytes) -> None:
        while not stubborn.is_set():
            try:
                await stubborn.wait()
            except asyncio.CancelledError:
                continue

    keeper = Keeper("stubborn", append, Place().probe, 0.02)
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert await keeper.keep(b"x", started + 3) is False
    assert loop.time() - started < 3  # what it had
    stubborn.set()
    while keeper._left_behind:
        await asyncio.sleep(0)


async def test_too_little_time_left_is_no_fault_of_the_place() -> None:
    place = Place(patience=5.0)
    await well(place)
    place.go_on.clear()
    loop = asyncio.get_running_loop()
    for _ in range(4):
        assert await place.keeper.keep(b"x", loop.time() + 0.005) is False
    assert await place.keeper.keep(b"x", loop.time() - 1) is False
    assert place.keeper.usable


async def test_large_bodies_have_a_lane_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "LARGE", 5)
    small, large = Place("small"), Place("large")
    await well(small, large)
    door = Intake(small=lane(small), large=lane(large))
    large.go_on.clear()
    slow, quick = door.put("webhook", b"123456"), door.put("webhook", b"12345")
    running = asyncio.create_task(door.run())
    assert await quick is True
    assert not slow.done()
    large.go_on.set()
    assert await slow is True
    running.cancel()


async def test_a_flush_at_the_end_keeps_what_still_waits() -> None:
    place = Place()
    await well(place)
    door = Intake(small=lane(place), large=lane(place))
    answer = door.put("webhook", b"last")
    await door.flush()
    assert await answer is True


async def test_several_take_turns_and_nobody_waits_for_one_that_is_away() -> None:
    first, second, spare = places = [Place("first"), Place("second"), Place("spare")]
    await well(*places)
    turns = Turns([first.keeper, second.keeper])
    ledger = Ledger("door", "boot", lambda *_: None)
    commit = GroupCommit(ledger, [turns, spare.keeper], every=False)

    async def store(*bodies: bytes) -> None:
        for body in bodies:
            answer = commit.put(envelope(body))
            await commit.flush()
            assert await answer

    await store(b"1", b"2", b"3", b"4")
    assert [first.bodies(), second.bodies()] == [[[b"1"], [b"3"]], [[b"2"], [b"4"]]]
    first.fails = Unavailable("gone")
    await store(b"5", b"6", b"7")
    assert second.bodies()[2:] == [[b"5"], [b"6"], [b"7"]]
    second.fails = Unavailable("gone, too")
    await store(b"8")
    assert spare.bodies() == [[b"8"]]
