"""Compares what stands in the tables with what the oracle expects; names every difference."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.events import Item as Parsed
from shared.facebook.webhook.body import parse
from tests.faults import oracle
from tests.faults.cluster import Cluster
from tests.faults.facebook import Acked, Item
from tests.faults.facebook import body as facebook_body


class Verdict(NamedTuple):
    """What a check found.

    `missing`: bodies of which something is nowhere; `lost`: how many of them nobody reported.
    `doubled` are items, `diverged` rows, the first few described.
    """

    items: int
    missing: list[Acked]
    lost: int
    doubled: int
    diverged: int
    letters: dict[str, int]
    unforgotten: int
    details: list[str]

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.diverged or self.unforgotten or self.letters)


async def check(
    cluster: Cluster, bodies: list[Acked], pages: list[str], *, reported: int = 0
) -> Verdict:
    """Compare everything about some Pages with the bodies that were acknowledged.

    So many may be missing as were `reported` lost, if a gap that is to be repaired covers them.
    """
    details: list[str] = []
    diverged = 0
    kept, missing = await _kept(cluster, bodies, pages)
    for table, rows in oracle.expected(kept).items():
        keys, values = oracle.COLUMNS[table]
        width = keys.count(",") + 1
        found = {
            row[:width]: row[width:]
            for row in await cluster.sql(
                f"select {keys}, {values} from {table} where page_id = any($1)", pages
            )
        }
        wrong = [key for key in rows.keys() | found.keys() if rows.get(key) != found.get(key)]
        diverged += len(wrong)
        details += [
            f"{table} {key}: expected {rows.get(key)}, found {found.get(key)}"
            for key in sorted(wrong)[:5]
        ]
    letters = await cluster.sql(
        "select reason, count(*) from dead_letters where page_id = any($1)"
        " and resolved_at is null group by 1",
        pages,
    )
    unforgotten = await _unforgotten(cluster, pages)
    covered = [body for body in missing if await _in_a_gap(cluster, body)]
    return Verdict(
        items=sum(len(body.items) for body in bodies),
        missing=missing,
        lost=max(len(missing) - reported, len(missing) - len(covered)),
        doubled=await _doubled(cluster, pages),
        diverged=diverged,
        letters=dict(letters),  # type: ignore[arg-type]
        unforgotten=len(unforgotten),
        details=details + unforgotten[:5],
    )


async def reported_lost(cluster: Cluster) -> int:
    """Return how many envelopes the product says it lost, ever."""
    [(count,)] = await cluster.sql(
        "select coalesce(sum(upper(span) - lower(span)), 0)::bigint"
        " from ingress_boots, unnest(lost - applied) as span"
    )
    return count


async def _kept(
    cluster: Cluster, bodies: list[Acked], pages: list[str]
) -> tuple[list[Item], list[Acked]]:
    """Return the items that are in `raw_events`, and the bodies of which one is not."""
    rows = await cluster.sql("select identity from raw_events where page_id = any($1)", pages)
    stored = {identity for (identity,) in rows}
    kept: list[Item] = []
    missing: list[Acked] = []
    for body in bodies:
        there = [item for item in body.items if _identity(item) in stored]
        kept += there
        if len(there) < len(body.items):
            missing.append(body)
    return kept, missing


def _identity(item: Item) -> UUID:
    """Return the key of an item's row: what is kept of it is a webhook of this item alone."""
    [parsed] = parse(facebook_body([item]), item.told["timestamp"])
    assert isinstance(parsed, Parsed)
    return UUID(bytes=parsed.identity)


async def _in_a_gap(cluster: Cluster, body: Acked) -> bool:
    at = datetime.fromtimestamp(body.at)
    return bool(
        await cluster.sql(
            "select 1 from gaps where pages is null and $1 between from_at and until_at limit 1",
            at.astimezone(),
        )
    )


async def _doubled(cluster: Cluster, pages: list[str]) -> int:
    """Return how many raw rows are too many: no two items are the same."""
    [(count,)] = await cluster.sql(
        "select count(*) - count(distinct identity) from raw_events where page_id = any($1)", pages
    )
    return count


async def _unforgotten(cluster: Cluster, pages: list[str]) -> list[str]:
    """Return the raw rows that still hold what was unsent."""
    rows = await cluster.sql(
        "select r.bytes from raw_events r join messages m using (page_id, mid)"
        " where m.page_id = any($1) and m.deleted_ms is not null and r.bytes is not null"
        " and position('is_deleted'::bytea in r.bytes) = 0",
        pages,
    )
    return [f"unforgotten: {kept.decode()}" for (kept,) in rows]
