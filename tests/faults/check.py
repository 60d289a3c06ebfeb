"""Compares what stands in the tables with what the oracle expects; names every difference."""

from collections import Counter
from typing import NamedTuple

from tests.faults import oracle
from tests.faults.cluster import Cluster
from tests.faults.facebook import Item


class Verdict(NamedTuple):
    """What a check found. `lost`, `doubled`: items; `diverged`: rows, the first few described."""

    items: int
    lost: int
    doubled: int
    diverged: int
    letters: dict[str, int]
    unforgotten: int
    details: list[str]

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.diverged or self.unforgotten or self.letters)


async def check(cluster: Cluster, items: list[Item], pages: list[str]) -> Verdict:
    """Compare everything about some Pages with the items that were acknowledged."""
    details: list[str] = []
    diverged = 0
    for table, rows in oracle.expected(items).items():
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
    lost, doubled = await _raw(cluster, items, pages)
    letters = await cluster.sql(
        "select reason, count(*) from dead_letters where page_id = any($1)"
        " and resolved_at is null group by 1",
        pages,
    )
    return Verdict(
        items=len(items),
        lost=lost,
        doubled=doubled,
        diverged=diverged,
        letters=dict(letters),  # type: ignore[arg-type]
        unforgotten=await _unforgotten(cluster, pages),
        details=details,
    )


async def _raw(cluster: Cluster, items: list[Item], pages: list[str]) -> tuple[int, int]:
    """Return how many items have no raw row, and how many raw rows are too many, by Page.

    No two items are the same, so each must have exactly one.
    """
    told = Counter(item.page for item in items)
    kept = dict(
        await cluster.sql(
            "select page_id, count(*) from raw_events where page_id = any($1) group by 1", pages
        )
    )
    distinct = dict(
        await cluster.sql(
            "select page_id, count(distinct identity) from raw_events"
            " where page_id = any($1) group by 1",
            pages,
        )
    )
    lost = sum(told[page] - distinct.get(page, 0) for page in pages)
    return lost, sum(kept.get(page, 0) - distinct.get(page, 0) for page in pages)


async def _unforgotten(cluster: Cluster, pages: list[str]) -> int:
    """Return how many raw rows still hold what was unsent."""
    [(count,)] = await cluster.sql(
        "select count(*) from raw_events r join messages m using (page_id, mid)"
        " where m.page_id = any($1) and m.deleted_ms is not null and r.bytes is not null"
        " and position('is_deleted'::bytea in r.bytes) = 0",
        pages,
    )
    return count
