"""Pages: added, found, stopped and removed; a token never shows."""

from uuid import uuid4

import pytest

from shared.errors import Conflict, NotFound
from shared.store import pages
from shared.store.database import Database
from shared.store.pages import KnownPages, Page, StoredToken


async def add(store: Database, facebook_page_id: str = "100", **more: object) -> Page:
    given = {"name": "Shop", "instagram_id": None, "token": b"sealed"} | more
    return await pages.add(store, facebook_page_id=facebook_page_id, **given)


async def park(store: Database, page: Page, reason: str) -> None:
    async with store.connection() as connection:
        await connection.execute(
            "update facebook_pages set status = 'parked', status_reason = $2 where id = $1",
            page.id,
            reason,
        )


async def test_a_page_is_found_by_each_of_its_three_ids(store: Database) -> None:
    added = await add(store, instagram_id="178")
    for any_id in (added.id, str(added.id), "100", "178"):
        assert await pages.find(store, any_id) == added
    assert (added.name, added.status, added.is_active) == ("Shop", "active", True)


@pytest.mark.parametrize(
    "strange", ["", "101", "not-an-id", "0f5a3c52-5f0e-4b1e-9d3c-7a0f1f0f9f11", "1' or true --"]
)
async def test_another_id_finds_nothing(store: Database, strange: str) -> None:
    await add(store)
    with pytest.raises(NotFound):
        await pages.find(store, strange)


async def test_who_sees_some_pages_finds_and_lists_no_other(store: Database) -> None:
    mine, other = await add(store), await add(store, "200", name="Other")
    assert await pages.find(store, other.id) == other
    for unseen in (other.id, "200"):
        with pytest.raises(NotFound):
            await pages.find(store, unseen, only=["100"])
    assert await pages.listing(store) == [other, mine]
    assert await pages.listing(store, only=["100"]) == [mine]
    assert await pages.listing(store, only=[]) == []


async def test_adding_a_known_page_renews_it_under_its_old_id(store: Database) -> None:
    first = await add(store, instagram_id="178")
    await park(store, first, "the token expired")
    again = await add(store, name="New name", token=b"newer")
    assert (again.id, again.name, again.status, again.status_reason) == (
        *(first.id, "New name"),
        *("active", None),
    )
    assert again.instagram_id == "178"
    assert await pages.token(store, first.id) == b"newer"


async def test_an_instagram_account_belongs_to_one_page(store: Database) -> None:
    await add(store, instagram_id="178")
    with pytest.raises(Conflict):
        await add(store, "200", instagram_id="178")
    other = await add(store, "200", instagram_id="179")
    assert other.entry_ids == ["200", "179"]


async def test_a_page_rests_and_goes_on(store: Database) -> None:
    page = await add(store)
    assert (await pages.pause(store, page.id)).status == "paused"
    assert (await pages.resume(store, page.id)).is_active
    await park(store, page, "code 190")
    resumed = await pages.resume(store, page.id)
    assert (resumed.is_active, resumed.status_reason) == (True, None)


@pytest.mark.parametrize("change", [pages.pause, pages.resume])
async def test_what_is_not_there_cannot_be_changed(store: Database, change: object) -> None:
    with pytest.raises(NotFound):
        await change(store, uuid4())
    page = (await add(store)).id
    await pages.remove(store, page)
    with pytest.raises(Conflict):
        await change(store, page)


async def test_a_removed_page_has_no_token_and_comes_back_under_its_id(store: Database) -> None:
    page = await add(store)
    await pages.remove(store, page.id)
    assert (await pages.find(store, "100")).status == "removed"
    assert await pages.token(store, page.id) is None
    assert await pages.tokens(store) == []
    assert (await add(store)).id == page.id


async def test_a_purge_takes_a_pages_rows_and_no_others(store: Database) -> None:
    page = await add(store, instagram_id="178")
    await add(store, "200")
    async with store.connection() as connection:
        for page_id in ("100", "178", "200"):
            await connection.execute(
                "insert into messages (page_id, mid, platform, source, source_rank)"
                " select $1, 'm_' || n, 'messenger', 'message', 60 from generate_series(1, 1500) n",
                page_id,
            )
            await connection.execute(
                "insert into raw_events (received_at, identity, object, page_id)"
                " values (now(), gen_random_uuid(), 'page', $1)",
                page_id,
            )
    await pages.remove(store, page.id, purge=True)
    async with store.connection() as connection:
        for table in ("messages", "raw_events", "facebook_pages"):
            column = "facebook_page_id" if table == "facebook_pages" else "page_id"
            left = await connection.fetch(f"select distinct {column} from {table}")
            assert [row[0] for row in left] == ["200"]


async def test_every_table_with_a_pages_rows_is_purged(store: Database) -> None:
    async with store.connection() as connection:
        rows = await connection.fetch(
            "select c.table_name from information_schema.columns c"
            " left join pg_inherits i on i.inhrelid = c.table_name::regclass"
            " where c.table_schema = 'public' and c.column_name = 'page_id' and i is null"
        )
    # Who was erased stays so when the Page is added again.
    assert {row[0] for row in rows} - {"erased", "audit", "expiry"} == set(pages._PURGED)


async def test_a_token_is_encrypted_anew_only_while_it_is_still_the_same(store: Database) -> None:
    page = await add(store)
    [old] = await pages.tokens(store)
    assert old == StoredToken(page=page.id, facebook_page_id="100", token=b"sealed")
    await add(store, token=b"given by a person")
    assert not await pages.replace_token(store, old, b"sealed anew")
    assert await pages.token(store, page.id) == b"given by a person"
    [now] = await pages.tokens(store)
    assert await pages.replace_token(store, now, b"sealed anew")
    assert await pages.token(store, page.id) == b"sealed anew"


async def test_a_page_is_known_from_when_it_is_added_until_a_minute_after_its_purge(
    store: Database,
) -> None:
    known = KnownPages(store)
    assert await known.unknown(["100", "178", "300"]) == {"100", "178", "300"}
    page = await add(store, instagram_id="178")
    known._asked.clear()
    assert await known.unknown(["100", "178", "300"]) == {"300"}
    await pages.remove(store, page.id)
    await pages.remove(store, page.id, purge=True)
    assert await known.unknown(["100"]) == set()
    known._known_since -= 61
    known._asked.clear()
    assert await known.unknown(["100"]) == {"100"}
