"""Every number the processes count, in one place; `/metrics` serves it.

No label holds a person or a URL, and only one a Page: when it was last proven complete. What else
concerns one Page is answered by the API.
"""

import collections
import math
import time
from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

# From 0.5 ms (an idle loopback round trip) to Facebook's 5 s limit.
_LATENCY = (
    0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.012, 0.016, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5
)  # fmt: skip


class Passing(Gauge):
    """A number of the whole deployment, told by whichever process counted it last.

    The next to count may be another: what is older than `lasts` seconds is not a number any more,
    so that it lingers in no maximum.
    """

    def __init__(self, name: str, documentation: str, *, lasts: float) -> None:
        super().__init__(name, documentation, multiprocess_mode="livemax")
        self._lasts = lasts
        self._counted, self._counted_at = math.nan, -math.inf
        self.set_function(self._now)

    def set(self, value: float) -> None:
        """Tell the number, as counted now."""
        self._counted, self._counted_at = value, time.monotonic()

    def _now(self) -> float:
        fresh = time.monotonic() - self._counted_at <= self._lasts
        return self._counted if fresh else math.nan


class Spread(Histogram):
    """A histogram that is told of a whole batch at once, which costs a quarter of one by one."""

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Do what `observe` does with each amount."""
        self._sum.inc(sum(amounts))
        buckets = collections.Counter(bisect_left(self._upper_bounds, one) for one in amounts)
        for bucket, count in buckets.items():
            self._buckets[bucket].inc(count)


webhook_requests = Counter(
    "pagewire_webhook_requests", "Webhook requests by how they were answered", ["answer"]
)
webhook_signed = Counter(
    "pagewire_webhook_signed",
    "Webhooks by which of FACEBOOK_APP_SECRET's list signed them, from 0",
    ["secret"],
)
webhook_seconds = Histogram(
    "pagewire_webhook_seconds", "From the request's first byte to its 200", buckets=_LATENCY
)

backlog_entries = Counter(
    "pagewire_backlog_entries", "Entries an ingress made durable, by keeper", ["keeper"]
)
backlog_refusals = Counter(
    "pagewire_backlog_refusals", "Entries a keeper refused or was too slow for", ["keeper"]
)
backlog_usable = Gauge(
    "pagewire_backlog_usable",
    "1 while entries are offered to this keeper",
    ["keeper"],
    multiprocess_mode="livemin",
)
backlog_batch = Histogram(
    "pagewire_backlog_batch",
    "Envelopes stored together as one entry",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
backlog_unapplied = Gauge(
    "pagewire_backlog_unapplied",
    "Entries of the stream that no worker has applied yet",
    multiprocess_mode="livemax",
)
backlog_age = Gauge(
    "pagewire_backlog_oldest_unapplied_seconds",
    "Age of the oldest entry not applied yet",
    multiprocess_mode="livemax",
)
backlog_resent = Counter(
    "pagewire_backlog_resent", "Entries sent again to a Redis that came back as another"
)
backlog_lost = Gauge(
    "pagewire_backlog_lost_envelopes",
    "Acknowledged envelopes that were never applied and are nowhere any more",
    multiprocess_mode="livemax",
)
durability_level = Gauge(
    "pagewire_durability_level",
    "What an acknowledged webhook in Redis survives: 3 power loss, 2 most of it, 1 a crash, 0 none",
    multiprocess_mode="livemin",
)
gaps = Counter(
    "pagewire_gaps", "Times recorded in which events may have been missed or lost", ["cause"]
)

ingest_items = Counter("pagewire_ingest_items", "Webhook items written to the tables")
ingest_batch_items = Histogram(
    "pagewire_ingest_batch_items",
    "Items in one transaction",
    buckets=(1, 2, 5, 10, 25, 50, 100, 200, 300),
)
ingest_batch_seconds = Histogram(
    "pagewire_ingest_batch_seconds", "One transaction, from reduce to COMMIT", buckets=_LATENCY
)
visible_seconds = Spread(
    "pagewire_visible_seconds",
    "From an item's receipt by the ingress to a stage on its way to a reader",
    ["stage"],
    buckets=_LATENCY,
)
erased_rows = Counter(
    "pagewire_erased_rows", "Rows left out because they tell of a person who was erased"
)
privacy_requests = Counter(
    "pagewire_privacy_requests",
    "Deauthorize and data-deletion callbacks; unresolved: a person must find out whom to erase",
    ["kind", "status"],
)
dead_letters = Counter("pagewire_dead_letters", "Letters kept for a person, by reason", ["reason"])
task_restarts = Counter("pagewire_task_restarts", "Supervised tasks started again", ["task"])
loop_standstills = Counter(
    "pagewire_loop_standstills", "Times an event loop took no turn for a quarter of a second"
)

job_seconds = Histogram(
    "pagewire_job_seconds", "Jobs by name and how they ended", ["name", "ending"], buckets=_LATENCY
)
cron_seconds = Histogram("pagewire_cron_seconds", "Cron runs", ["cron"], buckets=_LATENCY)
cron_last = Gauge("pagewire_cron_last_run_timestamp_seconds", "When a cron last ran", ["cron"])
cron_every = Gauge("pagewire_cron_every_seconds", "How often a cron runs", ["cron"])

cache_reads = Counter(
    "pagewire_cache_reads",
    "Answers from Redis (hit), from this process (memory), from Postgres (miss)",
    ["family", "outcome"],
)
cache_invalidations = Counter(
    "pagewire_cache_invalidations",
    "Tokens deleted that somebody depended on; a conversation's covers its messages",
    ["family"],
)

graph_answers = Counter(
    "pagewire_graph_answers",
    "Answers of the Graph API: Reply, NoneType (left out of a batch), or what they ask us to do",
    ["answer"],
)
sync_runs = Counter("pagewire_sync_runs", "Syncs that ended", ["mode", "status"])
page_proven = Gauge(
    "pagewire_page_proven_timestamp_seconds",
    "As of when a Page was last proven complete, at the newest messages or deep; 0 is never",
    ["page", "level"],
)
pages_parked = Counter("pagewire_pages_parked", "Pages that stopped until a person acts")

# Counted four times a minute, by whichever worker runs the schedule.
pages_unproven = Passing(
    "pagewire_pages_unproven", "Active Pages never verified to be complete, or a week ago", lasts=60
)
pages_silent = Passing(
    "pagewire_pages_silent", "Pages without a message for unusually long", lasts=60
)
