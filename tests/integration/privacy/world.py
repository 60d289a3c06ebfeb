"""A worker's parts over fresh servers, and eyes that look into every table."""

import json
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from shared.backlog.envelope import Envelope, Kind
from shared.cache import Cache
from shared.queue import Queue
from shared.store.applying import Within
from shared.store.database import Database
from worker.erase import Erasures
from worker.replay import Replays
from worker.writing import MAX_ITEMS, Writer, read

PAGE, INSTAGRAM = "102938475610293", "17841400000000001"
PERSON, OTHER = "7392015648120394", "8392015648120395"
WORDS = "canary-7c1f"
"""What the person writes, or is called; a table that holds it holds content."""

NOW_MS = 1_764_000_000_000


class World(Struct):
    """One worker, driven by hand."""

    database: Database
    cache: Cache
    queue: Queue
    writer: Writer
    erasures: Erasures
    replays: Replays

    async def receive(
        self, *bodies: bytes, kind: Kind = "webhook", within: Within | None = None
    ) -> None:
        """Take bodies as the ingest loop does."""
        told = [one for body in bodies for one in read(Envelope(kind, NOW_MS, body))]
        for start in range(0, len(told), MAX_ITEMS):
            part = told[start : start + MAX_ITEMS]
            await self.writer.write(part, again=False, waiting=_never, within=within)

    async def rows(self, sql: str, *values: object) -> list[Any]:
        async with self.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(sql, *values)]

    async def holding(self, needle: str) -> list[str]:
        return await holding(self.database, needle)


async def holding(database: Database, needle: str) -> list[str]:
    """Return the tables in which a text stands, as text, as JSON or as bytes."""
    found = []
    async with database.connection() as connection:
        tables = await connection.fetch(
            "select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = 'public'"
        )
        for (table,) in tables:
            rows = await connection.fetchval(
                f"select count(*) from {table} t where position($1 in t::text) > 0"
                f" or position(encode(convert_to($1, 'UTF8'), 'hex') in t::text) > 0",
                needle,
            )
            if rows:
                found.append(table)
    return sorted(found)


async def _never() -> None:
    raise AssertionError


def item(person: str, number: int, **what: Any) -> dict[str, Any]:
    return {
        "sender": {"id": person},
        "recipient": {"id": PAGE},
        "timestamp": NOW_MS + number,
        **what,
    }


def message(person: str, number: int, text: str = WORDS) -> dict[str, Any]:
    return item(person, number, message={"mid": f"m_{person}-{number}", "text": text})


def unsend(person: str, number: int) -> dict[str, Any]:
    gone = {"mid": f"m_{person}-{number}", "is_deleted": True}
    return item(person, number + 50, message=gone)


def body(*items: Any, of: str = "messaging") -> bytes:
    entry = {"id": PAGE, "time": NOW_MS, of: list(items)}
    return json.dumps({"object": "page", "entry": [entry]}).encode()


def everything(person: str) -> list[bytes]:
    """One body of each kind that tells of a person, the last ones unreadable or unnamed."""
    mid = f"m_{person}-1"
    echo = message(person, 2) | {"sender": {"id": PAGE}, "recipient": {"id": person}}
    echo["message"]["is_echo"] = True
    told = [
        message(person, 1),
        echo,
        item(person, 3, postback={"title": WORDS, "payload": WORDS}),
        item(person, 4, reaction={"mid": mid, "action": "react", "emoji": "x", "reaction": "love"}),
        item(person, 5, read={"watermark": NOW_MS}),
        item(person, 6, delivery={"mids": [f"m_{person}-2"], "watermark": NOW_MS}),
        item(person, 7, message_edit={"mid": mid, "text": f"{WORDS} again", "num_edit": 1}),
        item(person, 8, optin={"ref": WORDS}),
        item(person, 9, something_new={"words": WORDS}),
        item(person, 10, message={"mid": {}, "text": WORDS}),
    ]
    label = {
        "action": "add",
        "user": {"id": person},
        "label": {"id": "77", "page_label_name": "VIP"},
    }
    comment = {"from": {"id": person, "name": WORDS}, "message": WORDS}
    changes = [
        {"field": "inbox_labels", "value": label},
        {"field": "feed", "value": comment},
    ]
    standby = message(person, 11)
    cut_off = body(message(person, 12))[:-40]
    return [
        *(body(one) for one in told),
        *(body(change, of="changes") for change in changes),
        body(standby, of="standby"),
        cut_off,
    ]


def of_both(bodies: Iterable[bytes]) -> list[bytes]:
    """Return bodies about the person, and the same about somebody else."""
    return [
        one.replace(PERSON.encode(), who.encode()).replace(WORDS.encode(), words.encode())
        for one in bodies
        for who, words in ((PERSON, WORDS), (OTHER, "other"))
    ]
