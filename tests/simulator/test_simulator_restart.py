"""A simulator started again is the same Facebook, later."""

import time

from deploy.simulator import Config, Simulator

CONFIG = Config(start_ms=1_790_000_000_000, conversations=1, messages=3)


def _live_and_past() -> tuple[str | None, list[str]]:
    """Start a simulator; return the id of a message sent now, and those of its past."""
    simulator = Simulator(CONFIG)
    page = next(iter(simulator.truth.pages.values()))
    conversation = next(page.conversations())
    past = [message.mid for message in conversation.messages]
    return simulator.acts.say(conversation, inbound=True).mid, past


def test_the_past_is_the_same_and_what_happens_then_is_new():
    first_live, first_past = _live_and_past()
    time.sleep(0.002)  # live ids go by the millisecond
    live, past = _live_and_past()
    assert past == first_past
    assert live != first_live
