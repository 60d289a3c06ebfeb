"""Whatever the bytes are: no exception, every item answered for, the same answer again."""

import json
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shared.events import Item, Rejected
from shared.facebook.webhook.body import parse

unhurried = settings(deadline=None)  # two cores are shared by many tests

NOW = 1718479196000

text = st.text(st.characters(exclude_categories=()), max_size=8)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | text
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
words = st.sampled_from(
    ["id", "mid", "text", "type", "payload", "url", "sticker_id", "watermark", "mids", "action",
     "num_edit", "user_ref", "is_echo", "is_deleted", "reply_to", "attachments", "title", "field"]
)  # fmt: skip
kinds = st.sampled_from(
    ["message", "message_edit", "reaction", "read", "delivery", "postback", "optin", "referral",
     "policy-enforcement", "prior_message", "nothing_known", "field", "value"]
)  # fmt: skip
ids = st.sampled_from(["1001", "7001", 1001, "m_1", "", None]) | values
shaped = st.recursive(
    ids | values,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=4),
    max_leaves=10,
)
parties = st.fixed_dictionaries({}, optional={"id": ids, "user_ref": ids}) | values
items = st.builds(
    lambda party, rest: party | rest,
    st.fixed_dictionaries(
        {}, optional={"sender": parties, "recipient": parties, "timestamp": numbers | text}
    ),
    st.dictionaries(kinds, shaped, max_size=3),
)
lists = st.sampled_from(["messaging", "standby", "changes", "changed_fields", "whispers"])
entries = st.builds(
    lambda page, time, channel, inside: {"id": page, "time": time, channel: inside},
    st.sampled_from(["1001", "1002", "0", 1001]),
    st.sampled_from([1718479195594, 1718479195, "1718479195594"]) | scalars,
    lists,
    st.lists(items | shaped, min_size=1, max_size=4),
)
objects = st.sampled_from(["page", "instagram", "user"])


def written(value: Any, indent: int | None = None) -> bytes:
    separators = (",", ":") if indent is None else None
    return json.dumps(value, indent=indent, separators=separators).encode()


def answers(body: bytes) -> list[Item | Rejected]:
    """Parse, twice, and parse what was kept."""
    results = parse(body, NOW)
    assert results
    assert parse(body, NOW) == results
    for result in results:
        again = parse(result.raw, NOW)
        if isinstance(result, Item):
            assert again == [result]
            assert len(result.identity) == 16
            assert result.events
        else:
            assert [one.raw for one in again] == [result.raw]
    return results


@unhurried
@given(st.binary(max_size=60))
def test_any_bytes_have_an_answer(body: bytes) -> None:
    answers(body)


@unhurried
@given(values)
def test_any_json_has_an_answer(value: Any) -> None:
    answers(written(value))


@unhurried
@given(values, values, values, values, values)
def test_any_value_at_any_level_has_an_answer(a: Any, b: Any, c: Any, d: Any, e: Any) -> None:
    message = {"mid": "m", "text": a, "attachments": b, "reply_to": c, "app_id": d, "sticker_id": e}
    files = [{"type": a, "payload": b, "url": c, "title": d}, {"payload": {"url": e, "id": a}}]
    label = {"user": c, "label": d, "action": "add"}
    person = {"sender": {"id": "7"}}
    for body in (
        {"object": a, "entry": b},
        {"object": "page", "entry": [a, b]},
        {"object": "page", "entry": [{"id": a, "time": b, "messaging": c, "changes": d}]},
        page(messaging=[a, b], whispers=[c], time=d),
        page(messaging=[{"sender": a, "message": b}, {"recipient": c, "optin": d}]),
        page(messaging=[person | {"message": message}]),
        page(messaging=[person | {"message": {"mid": "m", "attachments": files}}]),
        page(messaging=[person | {"read": {"watermark": a}, "delivery": {"watermark": b}}]),
        page(changes=[{"field": a, "value": b}, {"field": "inbox_labels", "value": label}]),
    ):
        answers(written(body))


def page(**lists: Any) -> dict[str, Any]:
    return {"object": "page", "entry": [{"id": "1001"} | lists]}


@unhurried
@given(objects, st.lists(entries, min_size=1, max_size=3))
def test_each_item_has_one_answer(name: str, told: list[dict[str, Any]]) -> None:
    results = answers(written({"object": name, "entry": told}))
    assert len(results) == sum(
        len(part) for one in told for part in one.values() if type(part) is list
    )


@unhurried
@given(objects, st.lists(entries, min_size=1, max_size=3), st.randoms())
def test_splitting_and_merging_entries_gives_the_same_items(
    name: str, told: list[dict[str, Any]], dice: Any
) -> None:
    together = parse(written({"object": name, "entry": told}), NOW)
    apart: list[Item | Rejected] = []
    for one in told:
        for key, inside in one.items():
            if isinstance(inside, list):
                for item in inside:
                    alone = {"id": one["id"], "time": one["time"], key: [item]}
                    apart += parse(written({"object": name, "entry": [alone]}), NOW)
    assert apart == together
    shuffled = dice.sample(told, len(told))
    again = parse(written({"object": name, "entry": shuffled}), NOW)
    assert sorted(map(repr, again)) == sorted(map(repr, together))


@unhurried
@given(objects, st.lists(entries, min_size=1, max_size=3))
def test_another_spacing_gives_the_same_items(name: str, told: list[dict[str, Any]]) -> None:
    compact = parse(written({"object": name, "entry": told}), NOW)
    spaced = parse(written({"object": name, "entry": told}, indent=1), NOW)
    assert [type(one) for one in spaced] == [type(one) for one in compact]
    for one, other in zip(compact, spaced, strict=True):
        if isinstance(one, Item) and isinstance(other, Item):
            assert (one.identity, one.events) == (other.identity, other.events)


@unhurried
@given(
    st.lists(entries, min_size=1, max_size=3),
    st.floats(0, 1),
    st.binary(max_size=3),
    st.integers(0, 3),
)
def test_a_mutated_body_has_an_answer(
    told: list[dict[str, Any]], where: float, inserted: bytes, dropped: int
) -> None:
    body = written({"object": "page", "entry": told})
    at = int(where * len(body))
    answers(body[:at] + inserted + body[at + dropped :])
    answers(body[:at])


@unhurried
@given(st.lists(entries, min_size=1, max_size=3), st.integers(0, 9), st.binary(max_size=12))
def test_one_broken_item_costs_no_other(
    told: list[dict[str, Any]], where: int, broken: bytes
) -> None:
    assume(not set(broken) & set(b'"{}[],'))
    assume(broken.strip())
    body = written({"object": "page", "entry": told})
    clean = parse(body, NOW)
    entry = told[where % len(told)]
    (inside,) = [part for part in entry.values() if isinstance(part, list)]
    inside.insert(0, "HERE")
    poisoned = written({"object": "page", "entry": told}).replace(b'"HERE"', broken, 1)
    results = parse(poisoned, NOW)
    assert len(results) == len(clean) + 1
    assert any(results[:at] + results[at + 1 :] == clean for at in range(len(results)))
