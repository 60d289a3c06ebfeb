"""Random things Facebook might tell, over few keys so that they meet."""

import random

from shared import events
from shared.events import Event

PAGES = ("page-1", "17840000000000002")
PEOPLE = ("person-1", "person-2")
# Messages come most, unsends seldom: what is unsent has no more content to disagree about.
KINDS = "message message message message edit edit reaction read delivery thread other"
WITH_UNSENDS = f"{KINDS} {KINDS} unsend"


def history(seed: int, length: int, mids: int = 4) -> list[Event]:
    """Return `length` random events about few messages of few people, the same for a seed."""
    dice = random.Random(seed)
    return [_event(dice, mids) for _ in range(length)]


def _event(dice: random.Random, mids: int) -> Event:
    page_id = dice.choice(PAGES)
    number = dice.randrange(mids)
    about = {
        "platform": "instagram" if page_id.startswith("1784") else "messenger",
        "page_id": page_id,
        # Facebook never changes whose conversation a message is in; sources never disagree.
        "participant_id": PEOPLE[number % 2],
    }
    mid = f"m_{number}"
    at = 1_700_000_000_000 + dice.randrange(3) * 1000
    match dice.choice(WITH_UNSENDS.split()):
        case "message":
            return _message(dice, about, mid, at)
        case "edit":
            return events.Edit(
                **about, mid=mid, direction=dice.choice(("in", "out", None)), at_ms=at,
                num_edit=dice.randrange(1, 4), text=dice.choice(("edit a", "edit b", "é", None)),
            )  # fmt: skip
        case "unsend":
            return events.Unsend(**about, mid=mid, direction=None, at_ms=at)
        case "reaction":
            return events.Reaction(
                **about, mid=mid, actor_id=about["participant_id"], at_ms=at,
                active=dice.random() < 0.5, reaction=dice.choice(("love", "sad", None)),
                emoji=dice.choice(("❤", "😢", None)),
            )  # fmt: skip
        case "read":
            return events.Read(
                **about, at_ms=at, watermark_ms=dice.choice((None, at)),
                mid=dice.choice((None, mid)),
            )  # fmt: skip
        case "delivery":
            return events.Delivery(**about, watermark_ms=at, mids=tuple(dice.choice(((), (mid,)))))
        case "thread":
            return events.Thread(
                **about, thread_id=f"t_{about['participant_id']}", as_of_ms=at,
                participant_name=dice.choice((None, "Ann", "Änn")),
                updated_ms=dice.choice((None, at)),
            )  # fmt: skip
        case _:
            return _graph_or_label(dice, about, mid, at)


def _message(dice: random.Random, about: dict, mid: str, at: int) -> Event:
    source = dice.choice(("message", "echo", "postback", "graph"))
    attachments = dice.choice((None, b'[{"type":"image"}]', b'[{"id":"2","type":"file"}]'))
    return events.Message(
        **about, mid=mid, source=source, direction=dice.choice(("in", "out")), sent_ms=at,
        exact=source != "graph", as_of_ms=at + dice.randrange(2) * 1000,
        kind=dice.choice(("message", "postback")),
        text=dice.choice((None, "hello", "Hello", "ħ", "z")), attachments=attachments,
        attachments_key=None if attachments is None else attachments[:8],
        reply_to_mid=dice.choice((None, "m_9")), app_id=dice.choice((None, "1", "2")),
        extra=dice.choice((None, b'{"a":1}', b'{"B":2}')),
    )  # fmt: skip


def _graph_or_label(dice: random.Random, about: dict, mid: str, at: int) -> Event:
    if dice.random() < 0.5:
        return events.Unreadable(**about, mid=mid, at_ms=at)
    return events.Label(
        **about, label_id=dice.choice(("7", "8")), name=dice.choice((None, "VIP", "vip")),
        at_ms=at, active=dice.random() < 0.5,
    )  # fmt: skip
