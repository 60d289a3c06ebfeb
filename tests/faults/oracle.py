"""What must stand in the tables after some items: told from the items alone.

Written from the merge rules and from Facebook's documentation, without the product's parser and
without its joins: nothing is folded, each value is picked out of all that was ever said of it.
"""

from collections import defaultdict
from typing import Any, NamedTuple

from tests.faults.facebook import Item

NEARNESS = {
    "message": 60, "echo": 60, "postback": 50, "unsend": 30, "edit": 20,
    "reaction": 10, "delivery": 10,
}  # fmt: skip
"""Whom to believe about what a message is."""

Rows = dict[str, dict[tuple[str, ...], tuple[Any, ...]]]


class _Claim(NamedTuple):
    """What one item says of a message."""

    source: str
    person: str
    direction: str | None
    at: int
    told: dict[str, Any]


def expected(items: list[Item]) -> Rows:
    """Return the rows by table and key; see COLUMNS for their values."""
    claims: dict[tuple[str, str], list[_Claim]] = defaultdict(list)
    reactions: dict[tuple[str, str, str], list[tuple[Any, ...]]] = defaultdict(list)
    reads: dict[tuple[str, str], list[int]] = defaultdict(list)
    deliveries: dict[tuple[str, str], list[int]] = defaultdict(list)
    notices: dict[tuple[str, ...], tuple[Any, ...]] = {}
    for page, told in items:
        sender, recipient = told["sender"]["id"], told["recipient"]["id"]
        person = recipient if sender == page else sender
        direction = "out" if sender == page else "in"
        at = told["timestamp"]

        def claim(
            mid: str, source: str, direction: str | None, told: dict[str, Any],
            page: str = page, person: str = person, at: int = at,
        ) -> None:  # fmt: skip
            claims[page, mid].append(_Claim(source, person, direction, at, told))

        if (message := told.get("message")) is not None:
            source = "echo" if message.get("is_echo") else "message"
            claim(
                message["mid"],
                "unsend" if message.get("is_deleted") else source,
                direction,
                message,
            )
        elif (postback := told.get("postback")) is not None:
            claim(postback["mid"], "postback", direction, {"text": postback["title"]})
        elif (edit := told.get("message_edit")) is not None:
            claim(edit["mid"], "edit", direction, edit)
        elif (reaction := told.get("reaction")) is not None:
            claim(reaction["mid"], "reaction", None, reaction)
            reactions[page, reaction["mid"], sender].append(
                (at, reaction["action"] == "react", reaction.get("reaction"), reaction.get("emoji"))
            )
        elif (read := told.get("read")) is not None:
            reads[page, person].append(read["watermark"])
        elif (delivery := told.get("delivery")) is not None:
            deliveries[page, person].append(delivery["watermark"])
            for mid in delivery["mids"]:
                claim(mid, "delivery", "out", {})
        else:
            notices[page, person, str(at)] = ("optin", True)
    messages = {key: _message(said) for key, said in claims.items()}
    return {
        "messages": messages,
        "reactions": {key: _latest(said) for key, said in reactions.items()},
        "conversations": _conversations(messages, reads, deliveries),
        "events": notices,
    }


COLUMNS = {
    "messages": (
        "page_id, mid",
        "participant_id, direction, kind, source, text, sent_ms, num_edit, edited_ms, deleted_ms",
    ),
    "reactions": ("page_id, mid, actor_id", "acted_ms, active, reaction, emoji"),
    "conversations": (
        "page_id, participant_id",
        "last_mid, last_sent_ms, read_watermark_ms, delivered_watermark_ms",
    ),
    "events": ("page_id, participant_id, occurred_ms::text", "kind, understood"),
}
"""The columns compared: those of the key, and the others in the order of the values."""


def _message(claims: list[_Claim]) -> tuple[Any, ...]:
    nearest = max(NEARNESS[claim.source] for claim in claims)
    believed = [claim for claim in claims if NEARNESS[claim.source] == nearest]
    source = min(claim.source for claim in believed)
    directions = [claim.direction for claim in believed if claim.direction is not None]
    kinds = {"message": "message", "echo": "message", "postback": "postback"}
    sent = [claim.at for claim in claims if claim.source in kinds]
    edits = [claim for claim in claims if claim.source == "edit"]
    unsends = [claim.at for claim in claims if claim.source == "unsend"]
    texts = [
        (claim.at, claim.told.get("num_edit", 0), NEARNESS[claim.source], claim.told["text"])
        for claim in claims
        if "text" in claim.told
    ]
    return (
        min(claim.person for claim in believed),
        min(directions, default=None),
        kinds.get(source),
        source,
        max(texts)[-1] if texts and not unsends else None,
        min(sent, default=None),
        max((claim.told["num_edit"] for claim in edits), default=0),
        max((claim.at for claim in edits), default=None),
        min(unsends, default=None),
    )


def _latest(said: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    return max(said, key=lambda one: (*one[:2], one[2] or "", one[3] or ""))


def _conversations(
    messages: dict[tuple[str, str], tuple[Any, ...]],
    reads: dict[tuple[str, str], list[int]],
    deliveries: dict[tuple[str, str], list[int]],
) -> dict[tuple[str, ...], tuple[Any, ...]]:
    ends: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for (page, mid), row in messages.items():
        ends[page, row[0]] += [(row[5], mid)] if row[5] is not None else []
    found: dict[tuple[str, ...], tuple[Any, ...]] = {}
    for key in ends.keys() | reads.keys() | deliveries.keys():
        sent, mid = max(ends.get(key, []), default=(None, None))
        read = max(reads.get(key, []), default=None)
        found[key] = (mid, sent, read, max(deliveries.get(key, []), default=None))
    return found
