"""Bytes that a coverage-guided fuzzer makes, as webhook bodies.

    python -m tests.faults.fuzz_json -runs=100000

Needs atheris, which `make faults` installs where it has a wheel.
"""

import json
import sys

from shared.events import Item, Rejected
from shared.facebook.webhook.body import parse
from worker import merge

NOW_MS = 1_764_000_000_000


def is_answered_for(body: bytes) -> None:
    """Parse and reduce a body; whatever is kept of it says the same when it is read again."""
    found = parse(body, NOW_MS)
    assert all(isinstance(one, Item | Rejected) for one in found)
    events = [event for one in found if isinstance(one, Item) for event in one.events]
    merge.reduce(events)
    for one in found:
        again = parse(one.raw, NOW_MS)
        assert [type(other) for other in again] == [type(one)]


def main() -> None:
    import atheris

    atheris.instrument_all()
    item = {
        "sender": {"id": "7001"},
        "recipient": {"id": "1001"},
        "timestamp": NOW_MS,
        "message": {"mid": "m_1", "text": "hello", "reply_to": {"mid": "m_0"}},
    }

    def try_one(data: bytes) -> None:
        is_answered_for(data)
        # And inside of what looks right, where a fuzzer would hardly come by itself.
        words = data.decode("utf-8", "replace")
        field, _, value = words.partition("=")
        told = {**item, field: value, "message": {**item["message"], field: words}}
        body = {"object": "page", "entry": [{"id": "1001", "time": 1, "messaging": [told]}]}
        is_answered_for(json.dumps(body).encode())

    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
