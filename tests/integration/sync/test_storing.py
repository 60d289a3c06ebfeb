"""What Postgres refuses, and what cannot be understood, costs no neighbour."""

import json

import pytest
from msgspec import structs

from deploy.simulator import messages as simulated
from deploy.simulator.config import Config
from shared import events
from shared.errors import Unavailable


def message(number: int) -> events.Message:
    return events.Message(
        platform="messenger",
        page_id="1",
        participant_id="7",
        mid=f"m_{number}",
        direction="in",
        source="graph",
        sent_ms=1_700_000_000_000 + number,
        exact=False,
        as_of_ms=1_700_000_100_000,
        text=f"text {number}",
    )


async def nothing(_) -> None:
    return


@pytest.mark.parametrize("bad", [(0,), (3,), (9,), (2, 3), (0, 5, 9), tuple(range(10))])
async def test_the_good_go_in_and_the_bad_become_dead_letters(desk, bad):
    async with desk(Config(conversations=0)) as it:
        told = [message(number) for number in range(10)]
        for number in bad:
            told[number] = structs.replace(told[number], sent_ms=2**70)
        calls = 0

        async def within(_) -> None:
            nonlocal calls
            calls += 1

        applied = await it.tools.storing.write(told, [], within)
        good = {f"m_{number}" for number in range(10) if number not in bad}
        assert set(await it.stored_mids()) == good
        assert applied.new_messages == len(good)
        assert calls == 1
        letters = await it.fetch("select * from dead_letters")
        assert len(letters) == len(bad)
        for letter in letters:
            assert (letter["source"], letter["reason"]) == ("graph", "refused")
            assert json.loads(letter["bytes"])["sent_ms"] == 2**70
            assert "text" not in letter["error"]


async def test_trouble_of_the_store_is_nobodys_fault(desk):
    async with desk(Config(conversations=0)) as it:

        async def away(_) -> None:
            raise Unavailable

        with pytest.raises(Unavailable):
            await it.tools.storing.write([message(1)], [], away)
        assert await it.stored_mids() == {}
        assert await it.value("select count(*) from dead_letters") == 0


async def test_a_node_nobody_understands_is_kept_and_its_neighbours_are_stored(desk, monkeypatch):
    show = simulated.show_messages

    def with_a_broken_one(view, rows, asked):
        shown = show(view, rows, asked)
        if shown:
            shown[0] = {"id": {"what": "is this"}, "message": "text of the broken one"}
        return shown

    async with desk(Config(conversations=3, messages=4)) as it:
        monkeypatch.setattr(simulated, "show_messages", with_a_broken_one)
        run = await it.sync(it.only_page())
        assert run.status == "complete"
        assert len(await it.stored_mids()) == 3 * 3
        letters = await it.fetch("select reason, error, bytes from dead_letters")
        # The same bytes for the same reason are kept once.
        assert [letter["reason"] for letter in letters] == ["unreadable"]
        assert b"text of the broken one" in letters[0]["bytes"]
        assert "broken" not in letters[0]["error"]
