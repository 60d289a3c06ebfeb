"""What people and Pages do: each act changes the truth and returns what a webhook says of it."""

from random import Random
from typing import Literal

from deploy.simulator import history, people, updates
from deploy.simulator.clock import Clock
from deploy.simulator.truth import Conversation, Draft, Message, Page, Platform, Reaction, Truth
from deploy.simulator.updates import Update

Act = Literal[
    "message", "echo", "postback", "edit", "unsend", "react", "unreact", "read", "deliver",
    "label", "unlabel", "start",
]  # fmt: skip
_REACTIONS = {"love": "\u2764\ufe0f", "smile": "\U0001f606", "sad": "\U0001f622", "like": "👍"}


class Acts:
    """Performs acts on the truth, with the present as their time."""

    def __init__(self, truth: Truth, clock: Clock, seed: int) -> None:
        self._truth = truth
        self._clock = clock
        self._seed = seed
        self._rng = Random(f"{seed}/acts")
        self._started = {page.id: len(list(page.conversations())) for page in truth.pages.values()}

    def perform(
        self, act: Act, conversation: Conversation, text: str | None = None
    ) -> list[Update]:
        """Do one act in a conversation; empty when there is nothing it could be done to."""
        match act:
            case "message" | "echo":
                return [self.say(conversation, inbound=act == "message", text=text)]
            case "postback":
                draft = Draft(text=text or "Get Started", postback="GET_STARTED")
                return [self._say(conversation, draft, inbound=True)]
            case "start":
                return [self.start(conversation.page, conversation.platform)]
            case "read":
                return self._read(conversation)
            case "deliver":
                return self._deliver(conversation)
            case "label" | "unlabel":
                return self._label(conversation, on=act == "label")
            case _:
                target = conversation.newest()
                return self._change(act, target, text) if target else []

    def say(self, conversation: Conversation, *, inbound: bool, text: str | None = None) -> Update:
        """Let the person or the Page send a message, with a made-up text when none is given."""
        if text is None:
            draft = history.draft_message(
                self._rng, conversation, conversation.messages, inbound=inbound
            )
        else:
            draft = Draft(text=text, app_id=None if inbound else history.HUMAN_IN_INBOX)
        return self._say(conversation, draft, inbound=inbound)

    def start(self, page: Page, platform: Platform) -> Update:
        """Let somebody new write to the Page."""
        number = self._started[page.id]
        self._started[page.id] += 1
        conversation = history.new_conversation(self._seed, page, platform, number)
        self._truth.add_conversation(conversation)
        return self.say(conversation, inbound=True)

    def _now_ms(self, conversation: Conversation) -> int:
        """Return the present; no two things happen in a conversation in the same millisecond."""
        conversation.acted_ms = max(self._clock.now_ms(), conversation.acted_ms + 1)
        return conversation.acted_ms

    def _say(self, conversation: Conversation, draft: Draft, *, inbound: bool) -> Update:
        now_ms = self._now_ms(conversation)
        # By the time, not by the place: a simulator started again must not reuse its ids.
        mid = history.new_mid(self._seed, conversation, now_ms)
        return updates.said(self._truth.say(conversation, mid, draft, now_ms, inbound=inbound))

    def _change(self, act: Act, target: Message, text: str | None) -> list[Update]:
        now_ms = self._now_ms(target.conversation)
        match act:
            case "edit":
                self._truth.edit(target, text or people.sentence(self._rng), now_ms)
                return [updates.edited(target, now_ms)]
            case "unsend":
                self._truth.unsend(target, now_ms)
                return [updates.unsent(target, now_ms)]
            case "react":
                name, emoji = self._rng.choice(list(_REACTIONS.items()))
                return [self._react(target, Reaction(name, emoji, True, now_ms))]
            case _:
                earlier = (target.reactions or {}).get(target.conversation.person.id)
                if earlier is None:
                    return []
                gone = Reaction(earlier.reaction, earlier.emoji, False, now_ms)
                return [self._react(target, gone)]

    def _react(self, target: Message, reaction: Reaction) -> Update:
        self._truth.react(target, target.conversation.person.id, reaction)
        return updates.reacted(target, reaction)

    def _read(self, conversation: Conversation) -> list[Update]:
        sent = next((m for m in reversed(conversation.messages) if not m.inbound), None)
        if sent is None:
            return []
        self._truth.read(conversation, sent.sent_ms)
        return [updates.read(conversation, self._now_ms(conversation), sent)]

    def _deliver(self, conversation: Conversation) -> list[Update]:
        sent = next((m for m in reversed(conversation.messages) if not m.inbound), None)
        if sent is None or conversation.platform == "instagram":
            return []
        self._truth.deliver(conversation, sent.sent_ms)
        return [updates.delivered(conversation, [sent.mid])]

    def _label(self, conversation: Conversation, *, on: bool) -> list[Update]:
        page, person = conversation.page, conversation.person
        there = person.labels
        choices = [label for label in page.labels if (label in there) is not on]
        return [self.label(page, person.id, choices[0], on=on)] if choices else []

    def label(self, page: Page, psid: str, label: str, *, on: bool) -> Update:
        """Put a label on a person, or take it off."""
        person = self._truth.people[page.id, psid]
        if on:
            person.labels[label] = page.labels[label]
        else:
            person.labels.pop(label, None)
        return updates.labelled(page, person, label, on=on)
