"""The loads, each on fresh tables."""

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from tests.bench.figures import Figures
from tests.bench.loads.live import beside_sync
from tests.bench.loads.rest import idle, limits
from tests.bench.loads.size import WHOLE, Size
from tests.bench.loads.steady import ack, one_at_a_time, steady
from tests.bench.loads.storing import backlog, duplicates, stored
from tests.bench.loads.syncs import fifty_pages, one_page, within_budget
from tests.bench.servers import Servers
from tests.bench.systems import BARE, ORIGINAL, OURS, UNSTORED, System

STORES = System("Valkey and PostgreSQL", [])


class Case(Struct, frozen=True):
    """One load on one system."""

    load: str
    system: System
    run: Callable[[], Awaitable[Figures]]


def cases(servers: Servers, systems: Sequence[System], size: Size) -> list[Case]:
    """Return every load on every system that takes it."""

    def case(load: str, system: System, run: Callable[..., Awaitable[Figures]], *more: object):
        return Case(load, system, lambda: run(servers, system, size, *more))

    made = [
        case(f"ack, {connections} connections", system, ack, connections)
        for connections in size.connections
        for system in (OURS, BARE)
    ]
    made.append(case("ack, 64 connections", UNSTORED, ack, 64))
    made.append(case("ack, 64 connections, 2 processes", OURS, ack, 64, "2"))
    made += [case("one at a time", system, one_at_a_time) for system in (OURS, ORIGINAL)]
    for rate in size.rates:
        made += [case(f"{rate} events/s", system, steady, rate) for system in systems]
    made += [case(f"{rate} events/s", OURS, steady, rate) for rate in size.our_rates]
    made.append(case("200 events/s beside a sync-all", OURS, beside_sync))
    hot = systems if size is WHOLE else [OURS]
    made += [case("one conversation, 100/s", system, steady, 100, True) for system in hot]
    made.append(case("one conversation, 500/s", OURS, steady, 500, True))
    made += [case(f"backlog, {n} worker(s)", OURS, backlog, n) for n in (1, 2)]
    made += [case("stored, 1 event a POST", system, stored, 1) for system in systems]
    made += [case(f"stored, {each:,} events a POST", OURS, stored, each) for each in (10, 1000)]
    made += [case("50 % duplicates", OURS, duplicates), case("idle", OURS, idle)]
    made.append(Case("sync of 1,000 conversations", OURS, lambda: one_page(servers)))
    if size is WHOLE:
        made.append(Case("the same, 2 calls a second", OURS, lambda: within_budget(servers)))
        made.append(Case("sync-all of 50 Pages", OURS, lambda: fifty_pages(servers)))
    made.append(Case("limits", STORES, lambda: limits(servers)))
    return made
