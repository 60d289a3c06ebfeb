"""Dead letters: counted, shown, discarded, retried; none is lost on the way."""

import pytest

from shared.errors import NotFound
from shared.store import applying, dead, pages
from shared.store.database import Database
from shared.store.rows import DeadLetter


async def keep(store: Database, *items: bytes, reason: str = "refused", page_id: str = "1") -> None:
    letters = [
        DeadLetter(
            source="webhook",
            reason=reason,
            error="why",
            object="page",
            page_id=page_id,
            bytes=item,
            received_ms=1_700_000_000_000,
        )
        for item in items
    ]
    async with store.transaction() as connection:
        await applying.insert_dead_letters(connection, letters)


async def open_items(store: Database) -> list[bytes]:
    letters = await dead.listing(store)
    return sorted([(await dead.show(store, letter.id))[1] for letter in letters])


async def test_letters_are_counted_by_reason_and_listed_newest_first(store: Database) -> None:
    await keep(store, b"a")
    await keep(store, b"bb")
    await keep(store, b"ccc", reason="unreadable", page_id="2")
    assert [(g.reason, g.count) for g in await dead.groups(store)] == [
        ("refused", 2),
        ("unreadable", 1),
    ]
    assert [(g.reason, g.count) for g in await dead.groups(store, page_ids=["2"])] == [
        ("unreadable", 1)
    ]
    sizes = [letter.size for letter in await dead.listing(store)]
    assert sizes == [3, 2, 1]
    newest, *_ = await dead.listing(store, limit=1)
    assert [letter.size for letter in await dead.listing(store, before=newest.id)] == [2, 1]
    assert [letter.size for letter in await dead.listing(store, reason="refused")] == [2, 1]


async def test_a_letter_is_shown_with_its_bytes_to_those_who_may_see_it(store: Database) -> None:
    await keep(store, b"\x00 not text", page_id="2")
    [listed] = await dead.listing(store)
    assert await dead.show(store, listed.id) == (listed, b"\x00 not text")
    for letter, page_ids in ((listed.id, ["1"]), (listed.id + 1, None)):
        with pytest.raises(NotFound):
            await dead.show(store, letter, page_ids=page_ids)


async def test_the_same_bytes_for_the_same_reason_are_one_letter(store: Database) -> None:
    await keep(store, b"a", b"a")
    await keep(store, b"a")
    [letter] = await dead.listing(store)
    assert letter.tries == 1


async def test_a_discarded_letter_stays_discarded_when_it_comes_again(store: Database) -> None:
    await keep(store, b"a")
    await keep(store, b"b")
    _, oldest = await dead.listing(store)
    assert await dead.discard(store, ids=[oldest.id]) == 1
    await keep(store, b"a")
    assert await open_items(store) == [b"b"]
    assert (await dead.show(store, oldest.id))[0].resolution == "discarded"


async def test_discarding_touches_only_what_fits_all_that_is_given(store: Database) -> None:
    await keep(store, b"a")
    await keep(store, b"b", page_id="2")
    await keep(store, b"c", reason="unreadable")
    assert await dead.discard(store, reason="refused", page_ids=["2"]) == 1
    assert await open_items(store) == [b"a", b"c"]
    assert await dead.discard(store, reason="refused") == 1
    assert await dead.discard(store, ids=[]) == 0
    assert await open_items(store) == [b"c"]


async def test_letters_are_taken_oldest_first_and_each_once_a_walk(store: Database) -> None:
    for item in (b"a", b"b", b"c"):
        await keep(store, item)
    first = await dead.take(store, limit=2)
    assert [letter.bytes for letter in first] == [b"a", b"b"]
    rest = await dead.take(store, after=first[-1].id)
    assert [letter.bytes for letter in rest] == [b"c"]
    assert rest[0].received_ms == 1_700_000_000_000


async def test_a_letter_stays_open_until_its_bytes_are_in_the_backlog(store: Database) -> None:
    await keep(store, b"a")
    taken = await dead.take(store)
    assert await open_items(store) == [b"a"]
    await dead.retried(store, taken)
    assert await open_items(store) == []
    assert await dead.take(store) == []


async def test_a_letter_that_fails_again_is_open_again(store: Database) -> None:
    await keep(store, b"fails soon", b"fails late")
    taken = await dead.take(store)
    await keep(store, b"fails soon")
    await dead.retried(store, taken)
    assert await open_items(store) == [b"fails soon"]
    await keep(store, b"fails late")
    assert await open_items(store) == [b"fails late", b"fails soon"]
    assert {letter.tries for letter in await dead.listing(store)} == {2}


async def test_what_waited_for_a_page_is_taken_when_the_page_is_known(store: Database) -> None:
    await keep(store, b"page", reason="unknown_page", page_id="100")
    await keep(store, b"instagram", reason="unknown_page", page_id="178")
    await keep(store, b"other", reason="unknown_page", page_id="200")
    await keep(store, b"refused", page_id="100")
    assert await dead.waiting(store) == []
    for page_id, instagram_id in (("100", "178"), ("200", None)):
        await pages.add(
            store, facebook_page_id=page_id, name="x", instagram_id=instagram_id, token=None
        )
    waited = await dead.waiting(store, page="100")
    assert [letter.bytes for letter in waited] == [b"page", b"instagram"]
    assert [letter.bytes for letter in await dead.waiting(store, after=waited[-1].id)] == [b"other"]
