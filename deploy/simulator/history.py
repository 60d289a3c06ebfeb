"""Builds the truth as it stands when the simulator starts, from the seed alone."""

from random import Random

from deploy.simulator import ids, people
from deploy.simulator.config import Config
from deploy.simulator.truth import (
    Attachment,
    Conversation,
    Draft,
    Message,
    Page,
    Person,
    Platform,
    Truth,
)

DAY_MS = 86_400_000
LABELS = ("VIP", "Réclamation", "Wholesale")
HUMAN_IN_INBOX = 263902037430900
"""The app id that echoes of messages typed in the Page inbox carry."""

_MIME = {"image": "image/jpeg", "video": "video/mp4", "audio": "audio/mpeg", "file": "text/plain"}
_MESSENGER = ("image", "image", "image", "video", "audio", "file", "sticker", "fallback")
_INSTAGRAM = ("image", "image", "video", "share", "ig_reel", "story_mention")
_LIKE = 369239263222822


def build(config: Config, start_ms: int) -> Truth:
    """Return the truth that `config` describes, as of `start_ms`."""
    truth = Truth()
    for number in range(config.pages):
        page = _page(config, number)
        truth.add_page(page)
        for index, name in enumerate(LABELS):
            truth.add_label(page, ids.digits(f"{config.seed}/label/{number}/{index}", 16), name)
        _fill(truth, config, page, start_ms)
    return truth


def _page(config: Config, number: int) -> Page:
    seed = f"{config.seed}/page/{number}"
    return Page(
        number=number,
        id=ids.digits(seed, 15, first="10"),
        name=people.page_name(number),
        instagram_id=ids.digits(seed, 17, first="1784140") if config.instagram else None,
        instagram_username=people.username(Random(seed)) if config.instagram else None,
    )


def _fill(truth: Truth, config: Config, page: Page, start_ms: int) -> None:
    """Give a Page its conversations: their last messages spread over the days of history."""
    wanted: list[tuple[Platform, str]] = [("messenger", "inbox")] * config.conversations
    wanted += [("instagram", "inbox")] * config.instagram
    for folder in ("page_done", "other", "pending", "spam"):
        wanted += [("messenger", folder)] * config.other_folders
    step_ms = config.history_days * DAY_MS / max(1, len(wanted))
    spread = Random(f"{config.seed}/spread/{page.number}")
    spread.shuffle(wanted)
    last_ms = start_ms
    for number, (platform, folder) in enumerate(wanted):
        # Every seventh conversation was last written to in the same second as its neighbour.
        if number % 7 != 3:
            last_ms = start_ms - 60_000 - int((number + spread.random()) * step_ms)
        conversation = new_conversation(config.seed, page, platform, number, folder)
        rng = Random(f"{config.seed}/{page.number}/{number}")
        if config.messages:
            truth.add_history(conversation, _past(config, conversation, last_ms, rng))
        else:
            conversation.updated_ms = last_ms
        if rng.random() < 0.2:
            label, name = rng.choice(list(page.labels.items()))
            conversation.person.labels[label] = name
        truth.add_conversation(conversation)


def new_conversation(
    seed: int, page: Page, platform: Platform, number: int, folder: str = "inbox"
) -> Conversation:
    """Return the Page's conversation with this number, still empty and in no folder."""
    rng = Random(f"{seed}/person/{page.number}/{number}")
    key = f"{seed}/person/{page.id}/{number}"
    thread = ids.digits(f"{seed}/thread/{number}", 16, first="1")
    if platform == "instagram":
        thread = ids.instagram_thread(page.account(platform), thread)
        person = Person(ids.digits(key, 16, first="6"), platform, None, people.username(rng))
    else:
        name = people.full_name(rng) if rng.random() >= 0.02 else None
        thread = f"t_{thread}"
        person = Person(ids.digits(key, 16, first="7"), platform, name, None)
    return Conversation(page, platform, thread, number, person, folder)


def new_mid(seed: int, conversation: Conversation, index: int) -> str:
    """Return the id of a message of a conversation: of the past by its place, else by its time."""
    page, number = conversation.page, conversation.number
    if conversation.platform == "instagram":
        item = ids.digits(f"{seed}/item/{number}/{index}", 36, first="3")
        return ids.instagram_mid(page.account("instagram"), str(number), item)
    return ids.messenger_mid(f"{seed}/{page.number}/{number}/{index}")


def _past(config: Config, conversation: Conversation, last_ms: int, rng: Random) -> list[Message]:
    """Return the messages of a conversation, oldest first, the last one sent at `last_ms`."""
    sent = [last_ms]
    for _ in range(config.messages - 1):
        # One in ten follows in the same second: Graph's times cannot tell them apart.
        gap_ms = rng.random() * (300 if rng.random() < 0.1 else 14_400_000)
        sent.append(sent[-1] - 1 - int(gap_ms))
    messages: list[Message] = []
    for index, sent_ms in enumerate(reversed(sent)):
        inbound = rng.random() < 0.55
        draft = draft_message(rng, conversation, messages, inbound=inbound)
        messages.append(
            Message(
                conversation,
                index,
                new_mid(config.seed, conversation, index),
                sent_ms,
                inbound,
                draft.text,
                draft.attachments,
                draft.reply_to,
                draft.story,
            )
        )
    return messages


def draft_message(
    rng: Random, conversation: Conversation, earlier: list[Message], *, inbound: bool
) -> Draft:
    """Return something to say: mostly text, sometimes with or only an attachment, or a reply."""
    instagram = conversation.platform == "instagram"
    chance = rng.random()
    text: str | None = people.sentence(rng)
    attachments: tuple[Attachment, ...] = ()
    reply_to, story, quick_reply = None, None, None
    if chance < 0.12:
        kind = rng.choice(_INSTAGRAM if instagram else _MESSENGER)
        attachments = (_attachment(rng, kind),)
        text = text if kind == "fallback" else None
    elif chance < 0.13 and not instagram:
        attachments = (_attachment(rng, "image"), _attachment(rng, "image"))
        text = None
    elif chance < 0.18 and earlier:
        reply_to = earlier[-1 - int(rng.random() * min(5, len(earlier)))]
        reply_to = reply_to if reply_to.deleted_ms is None else None
    elif chance < 0.20 and instagram and inbound:
        story = str(17_900_000_000_000_000 + int(rng.random() * 10**12))
    elif chance < 0.20 and inbound:
        quick_reply = "YES_PLEASE"
    return Draft(
        text=text,
        attachments=attachments,
        reply_to=reply_to,
        story=story,
        quick_reply=quick_reply,
        app_id=None if inbound else HUMAN_IN_INBOX,
    )


def _attachment(rng: Random, kind: str) -> Attachment:
    asset = str(int(rng.random() * 9 * 10**14) + 10**14)
    title = {"fallback": "Old Town Cinema – Programme", "ig_reel": "My reel"}.get(kind)
    return Attachment(kind, asset, _MIME.get(kind), title, _LIKE if kind == "sticker" else None)
