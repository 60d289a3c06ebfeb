"""Every number the processes count, in one place; `/metrics` serves it.

No label holds a Page, a person or a URL: what concerns one Page is answered by the API.
"""

from prometheus_client import Counter, Histogram

# From 0.5 ms (an idle loopback round trip) to Facebook's 5 s limit.
_LATENCY = (
    0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.012, 0.016, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5
)  # fmt: skip

webhook_requests = Counter(
    "pagewire_webhook_requests", "Webhook requests by how they were answered", ["answer"]
)
webhook_seconds = Histogram(
    "pagewire_webhook_seconds", "From the request's first byte to its 200", buckets=_LATENCY
)
