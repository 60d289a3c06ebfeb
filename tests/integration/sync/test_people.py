"""Labels and names, one call a person."""

import pytest

from deploy.simulator.config import Config
from deploy.simulator.faults import Fault
from shared.facebook.graph.limits import Priority
from shared.store import runs

WORN = (
    "select c.participant_id, t.name from conversation_tags w"
    " join conversations c using (page_id, participant_id)"
    " join tags t using (page_id, source, key) where w.active"
)


async def labels(it):
    return await it.sync(it.only_page(), "labels", priority=Priority.HISTORY)


async def worn(it) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in await it.fetch(WORN):
        found.setdefault(row["participant_id"], set()).add(row["name"])
    return found


def truth(it) -> dict[str, set[str]]:
    return {
        person.id: set(person.labels.values())
        for person in it.sim.truth.people.values()
        if person.labels
    }


async def test_a_walk_is_followed_by_labels_and_names_where_there_are_any_to_ask_for(desk):
    async with desk(Config(conversations=5, messages=1)) as it:
        await it.sync(it.only_page())
        rows = await it.fetch("select mode, priority from sync_runs where status = 'queued'")
        assert {(row["mode"], row["priority"]) for row in rows} >= {("labels", 2)}


async def test_labels_become_tags_of_conversations(desk):
    async with desk(Config(conversations=40, messages=1)) as it:
        await it.sync(it.only_page())
        assert (await labels(it)).status == "complete"
        assert await worn(it) == truth(it) != {}


async def test_people_are_asked_for_in_batches(desk):
    async with desk(Config(conversations=60, messages=1)) as it:
        await it.sync(it.only_page())
        it.sim.calls.clear()
        await labels(it)
        assert len(it.sim.calls.list("custom_labels$")) == 60
        assert it.sim.calls.requests() <= 3


async def test_only_people_whose_conversation_changed_are_asked_about_again(desk):
    async with desk(Config(conversations=10, messages=1)) as it:
        page = it.only_page()
        await it.sync(page)
        await labels(it)
        it.sim.clock.skew += 300
        it.sim.happen(page, conversations=2, webhook=False)
        await it.sync(page)
        it.sim.calls.clear()
        await labels(it)
        assert len(it.sim.calls.list("custom_labels$")) == 2


async def test_a_label_that_was_taken_off_is_taken_off(desk):
    async with desk(Config(conversations=40, messages=1)) as it:
        page = it.only_page()
        await it.sync(page)
        await labels(it)
        bare = next(person for person in it.sim.truth.people.values() if person.labels)
        bare.labels.clear()
        conversation = next(
            one for one in it.sim.truth.page(page).conversations() if one.person is bare
        )
        it.sim.clock.skew += 300
        it.sim.happen(page, conversations=[conversation.thread], webhook=False)
        await it.sync(page)
        await labels(it)
        assert bare.id not in await worn(it)
        assert await worn(it) == truth(it)


async def test_terms_that_were_not_accepted_switch_labels_off_for_the_page_with_a_reason(desk):
    async with desk(Config(conversations=10, messages=1)) as it:
        page = it.only_page()
        await it.sync(page)
        it.sim.faults.add(Fault(kind="error", error="2/2018344", path="custom_labels$"))
        assert (await labels(it)).status == "complete"
        aside = await it.value("select set_aside from sync_points where folder = 'labels'")
        assert "terms" in aside
        assert await it.value("select status from facebook_pages") == "active"
        assert await it.value("select last_synced_at from facebook_pages") is not None
        it.sim.happen(page, conversations=1, webhook=False)
        await it.sync(page)
        open_labels = (
            "select count(*) from sync_runs where mode = 'labels' and status <> 'complete'"
        )
        assert await it.value(open_labels) == 0


@pytest.fixture
def nameless():
    """Simulate a Page whose conversations name nobody."""

    def without_names(sim) -> None:
        for person in sim.truth.people.values():
            person.name = None

    return without_names


async def test_names_come_from_participants_and_profiles_are_not_asked_for(desk):
    async with desk(Config(conversations=10, messages=1)) as it:
        for person in it.sim.truth.people.values():
            person.name = person.name or "Jane Doe"
        await it.sync(it.only_page())
        assert (
            await it.value("select count(*) from conversations where participant_name is null") == 0
        )
        assert await it.value("select count(*) from sync_runs where mode = 'profiles'") == 0


async def test_who_was_not_named_is_asked_for_once_and_the_no_is_remembered(desk, nameless):
    async with desk(Config(conversations=6, messages=1)) as it:
        page = it.only_page()
        nameless(it.sim)
        await it.sync(page)
        (run,) = await it.fetch("select id from sync_runs where mode = 'profiles'")
        found = next(iter(it.sim.truth.people.values()))
        found.name = "Jane Doe"
        it.sim.calls.clear()
        await it.finish(await runs.find(it.database, run["id"]))
        assert len(it.sim.calls.list(r"^/\d+$")) == 6
        named = await it.fetch("select participant_id, participant_name from conversations")
        assert {row[0]: row[1] for row in named if row[1]} == {found.id: "Jane Doe"}
        await it.sync(page)
        assert await it.value("select count(*) from sync_runs where mode = 'profiles'") == 1
