"""Bodies Facebook never sends, or once in a billion: each item is still answered for."""

import json
from typing import Any

import pytest

from shared.events import Edit, Item, Message, Notice, Rejected
from shared.facebook.webhook import envelope
from shared.facebook.webhook.body import MAX_DEPTH, parse

NOW = 1718479196000
DAY = 86_400_000


def item(number: int = 1, text: str = "hi") -> str:
    return (
        '{"sender":{"id":"7001"},"recipient":{"id":"1001"},"timestamp":1718479195308,'
        f'"message":{{"mid":"m_{number}","text":"{text}"}}}}'
    )


def entry(*items: str, page: str = '"1001"', channel: str = "messaging") -> str:
    return f'{{"id":{page},"time":1718479195594,"{channel}":[{",".join(items)}]}}'


def body(*entries: str, name: str = '"page"') -> bytes:
    return f'{{"object":{name},"entry":[{",".join(entries)}]}}'.encode()


def read(raw: bytes) -> list[Item | Rejected]:
    """Parse, and hold what is true of every answer: its bytes give the same answer again."""
    results = parse(raw, NOW)
    assert results
    for result in results:
        assert result.raw or not raw
        if isinstance(result, Item):
            assert parse(result.raw, NOW) == [result]
        else:
            again = parse(result.raw, NOW)
            assert [(type(one), one.raw) for one in again] == [(Rejected, result.raw)]
    return results


def mids(results: list[Item | Rejected]) -> list[str | None]:
    return [result.mid if isinstance(result, Item) else None for result in results]


def message_of(**changed: Any) -> Message:
    told = json.loads(item()) | changed
    (result,) = read(body(entry(json.dumps(told))))
    assert isinstance(result, Item)
    (event,) = result.events
    assert isinstance(event, Message)
    return event


# --- one bad item among good ones


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "}",
        '"a string"',
        "5",
        "[]",
        "nonsense",
        '{"sender":{"id":"7001"},"message":5}',
        '{"sender":{"id":"7001"},"message":"hi"}',
        '{"sender":{"id":"7001"},"message":[]}',
        '{"sender":"7001","message":{"mid":"m_x"}}',
        '{"sender":[7001],"message":{"mid":"m_x"}}',
        '{"sender":{"id":true},"message":{"mid":"m_x"}}',
        '{"sender":{"id":1.5},"message":{"mid":"m_x"}}',
        '{"sender":{"id":"7001"},"message":{"text":"no id"}}',
        '{"sender":{"id":"7001"},"message":{"mid":""}}',
        '{"sender":{"id":"7001"},"message":{"mid":{"id":"m_x"}}}',
        '{"sender":{"id":"7001"},"message":{"mid":"m_x","text":{"a":1}}}',
        '{"sender":{"id":"7001"},"message":{"mid":"m_x","attachments":{"data":[]}}}',
        '{"sender":{"id":"7001"},"message":{"mid":"m_x","attachments":["image"]}}',
        '{"sender":{"id":"7001"},"message":{"mid":"m_x","reply_to":"m_y"}}',
        '{"sender":{"id":"7001"},"message":{"mid":"m_x","is_echo":"yes"}}',
        '{"sender":{"id":"7001"},"message_edit":{"text":"no id"}}',
        '{"sender":{"id":"7001"},"reaction":{"action":"react"}}',
        '{"sender":{"id":"7001"},"read":{}}',
        '{"sender":{"id":"7001"},"read":{"watermark":-1}}',
        '{"sender":{"id":"7001"},"read":{"watermark":"soon"}}',
        '{"sender":{"id":"7001"},"delivery":{"mids":["m_x"]}}',
        '{"sender":{"id":"7001"},"delivery":{"watermark":[]}}',
        '{"sender":{"id":"7001"},"delivery":{"watermark":1,"mids":"m_x"}}',
        '{"sender":{"id":"7001"},"delivery":{"watermark":1,"mids":[{}]}}',
        '{"sender":{"id":"7001"},"message":{"mid":"m_x","text":NaN}}',
        '{"sender":{"id":"7001"},"message":{"mid":tru}}',
        '{"sender":{"id":"7001"},"message":{"mid":"m_x"},}',
        '{"sender":{"id":"' + "9" * 600 + '"},"message":{"mid":"m_x"}}',
        '{"sender":{"id":' + "9" * 600 + '},"message":{"mid":"m_x"}}',
        '{"sender":{"id":' + "9" * 6000 + '},"message":{"mid":"m_x"}}',
        '{"sender":{"id":"7001"},"message":{"mid":"' + "m" * 20_000 + '"}}',
        '{"sender":{"id":"7001"},"message":{"mid":"m_\\u0000x"}}',
        '{"sender":{"id":"70\\ud83d01"},"message":{"mid":"m_x"}}',
    ],
)
def test_an_unreadable_item_costs_only_itself(bad: str) -> None:
    results = read(body(entry(item(1), bad, item(2)), entry(item(3))))
    readable = [result for result in results if isinstance(result, Item)]
    rejected = [result for result in results if isinstance(result, Rejected)]
    assert {"m_1", "m_3"} <= {result.mid for result in readable} or bad in "{}"
    if bad not in "{}":
        assert mids(results) == ["m_1", None, "m_2", "m_3"]
        (result,) = rejected
        assert result.reason == "unreadable"
        assert (result.object, result.page_id) == ("page", "1001")
        assert bad.encode() in result.raw
    kept = b"".join(result.raw for result in results)
    assert all(f'"m_{number}"'.encode() in kept for number in (1, 2, 3))


def test_what_was_wrong_is_said_without_what_was_said() -> None:
    secret = "meet me at the harbour"
    for bad in (
        f'{{"sender":{{"id":"7001"}},"message":"{secret}"}}',
        f'{{"sender":{{"id":"7001"}},"message":{{"mid":"m_x","text":"{secret}","reply_to":5}}}}',
        f'{{"sender":{{"id":"7001"}},"message":{{"mid":"m_x","text":"{secret}"',
        f'{{"sender":{{"id":"7001"}},"read":{{"watermark":"{secret}"}}}}',
        f'{{"sender":{{"id":"7001"}},"message":{{"mid":"{secret * 40}"}}}}',
        f'{{"sender":{{"id":"7001"}},"message":{{"mid":"m_x","{secret}":NaN}}}}',
    ):
        results = read(body(entry(bad)))
        assert all(isinstance(result, Rejected) for result in results)
        assert "harbour" not in " ".join(result.error for result in results)  # type: ignore[union-attr]
        assert secret.encode() in results[0].raw


# --- depth


def test_a_value_60_000_deep_costs_only_its_item() -> None:
    deep = "[" * 60_000 + "]" * 60_000
    poisoned = item(2).replace('"text":"hi"', f'"text":{deep}')
    results = read(body(entry(item(1), poisoned, item(3))))
    assert mids(results) == ["m_1", None, "m_3"]
    assert isinstance(results[1], Rejected)
    assert "deep" in results[1].error


@pytest.mark.parametrize(
    "around",
    [
        '{"object":"page","junk":%s,"entry":[%s]}',
        '{"object":"page","entry":[%s,%s]}',
        '{"object":"page","entry":[{"id":"1001","time":1,"junk":%s,"messaging":[]},%s]}',
        '{"object":"page","entry":[{"id":%s,"messaging":[5]},%s]}',
        '{"object":"page","entry":[{"id":"1001","time":%s,"messaging":[5]},%s]}',
    ],
)
def test_a_deep_value_anywhere_else_costs_no_item(around: str) -> None:
    deep = '{"a":' * 60_000 + "1" + "}" * 60_000
    assert mids(parse((around % (deep, entry(item(1)))).encode(), NOW))[-1] == "m_1"


def test_the_depth_that_is_refused_is_ours_and_not_the_stacks() -> None:
    def nested(depth: int) -> str:
        return item().replace('"text":"hi"', '"text":"hi","a":' + "[" * depth + "]" * depth)

    def deeply(call: int, raw: bytes) -> list[Item | Rejected]:
        return deeply(call - 1, raw) if call else parse(raw, NOW)

    fits, too_deep = body(entry(nested(MAX_DEPTH - 2))), body(entry(nested(MAX_DEPTH - 1)))
    assert isinstance(parse(fits, NOW)[0], Item)
    assert isinstance(parse(too_deep, NOW)[0], Rejected)
    assert deeply(600, fits) == parse(fits, NOW)
    stacked = body(entry(nested(500)))
    assert deeply(600, stacked) == parse(stacked, NOW)


def test_brackets_in_a_text_are_no_depth() -> None:
    (result,) = read(body(entry(item(1, "[{" * 100))))
    assert isinstance(result, Item)


# --- text


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("half an emoji \\ud83d", "half an emoji \ufffd"),
        ("the other half \\ude22!", "the other half \ufffd!"),
        ("\\ude22\\ud83d turned round", "\ufffd\ufffd turned round"),
        ("nothing\\u0000here", "nothing\ufffdhere"),
        ("a real \x00 byte", "a real \ufffd byte"),
    ],
)
def test_damaged_text_is_mended_and_marked(sent: str, kept: str) -> None:
    results = read(body(entry(item(1), item(2, sent), item(3))))
    assert mids(results) == ["m_1", "m_2", "m_3"]
    (event,) = results[1].events  # type: ignore[union-attr]
    assert isinstance(event, Message)
    assert event.text == kept
    assert json.loads(event.extra or b"") == {"sanitised": True}


def test_bytes_that_are_no_text_are_mended_and_marked() -> None:
    raw = body(entry(item(1, "caf?"))).replace(b"?", b"\xe9 \xed\xa0\x80")
    (result,) = read(raw)
    (event,) = result.events  # type: ignore[union-attr]
    assert event.text.startswith("caf\ufffd \ufffd")
    assert json.loads(event.extra) == {"sanitised": True}


def test_whole_emoji_escapes_and_what_only_looks_damaged_stay_unmarked() -> None:
    for sent, kept in (
        ("\\ud83d\\ude22", "😢"),
        ("\\u00e4\\u00f6 https:\\/\\/x.y", "äö https://x.y"),
        ("\\\\u0000 and \\\\ud83d", "\\u0000 and \\ud83d"),
        ("a\nb", "a\nb"),
    ):
        (result,) = read(body(entry(item(1, sent))))
        (event,) = result.events  # type: ignore[union-attr]
        assert (event.text, event.extra) == (kept, None)


def test_damaged_text_is_mended_wherever_it_stands() -> None:
    told = json.loads(item()) | {"referral": {"ref\ud83d": "a\x00"}}
    told["message"]["attachments"] = [{"type": "file", "payload": {"title": "\udc00"}}]
    told["message"]["quick_reply"] = {"payload": "\x00"}
    (result,) = read(body(entry(json.dumps(told))))
    (event,) = result.events  # type: ignore[union-attr]
    assert json.loads(event.attachments) == [{"type": "file", "title": "\ufffd"}]
    assert json.loads(event.extra) == {
        "quick_reply": {"payload": "\ufffd"},
        "referral": {"ref\ufffd": "a\ufffd"},
        "sanitised": True,
    }
    edited = {"sender": {"id": "1"}, "message_edit": {"mid": "m_1", "text": "\x00"}}
    (result,) = read(body(entry(json.dumps(edited))))
    assert isinstance(result.events[0], Edit)  # type: ignore[union-attr]
    assert result.events[0].text == "\ufffd"  # type: ignore[union-attr]


def test_a_notice_keeps_json_that_every_reader_takes() -> None:
    (result,) = read(body(entry('{"optin":{"ref":"\\ud83d\\u0000","n":1e999,"deep":[[]]}}')))
    (event,) = result.events  # type: ignore[union-attr]
    assert isinstance(event, Notice)
    assert json.loads(event.payload) == {
        "optin": {"ref": "\ufffd\ufffd", "n": "1e999", "deep": [[]]}
    }


# --- numbers and times


def test_numbers_beyond_64_bits_are_ids_like_others() -> None:
    huge = 340282366841710300949110269838224261120
    message = message_of(
        sender={"id": huge}, message={"mid": huge, "app_id": 2**63, "odd": -(2**70)}
    )
    assert message.participant_id == str(huge)
    assert message.mid == f"m_{huge}"
    assert message.app_id == str(2**63)
    assert json.loads(message.extra or b"") == {"odd": -(2**70)}


@pytest.mark.parametrize(
    "timestamp",
    [1718479195308, "1718479195308", 1718479195308.0, 1718479195308.9, NOW + DAY, 1100000000000],
)
def test_a_time_of_any_type_is_a_time(timestamp: Any) -> None:
    message = message_of(timestamp=timestamp)
    assert message.sent_ms == int(float(timestamp))
    assert message.as_of_ms == message.sent_ms
    assert message.exact
    assert message.extra is None


@pytest.mark.parametrize(
    "timestamp",
    [
        None,
        -5,
        0,
        1718479195,
        "1718479195",
        253402300799000,
        NOW + DAY + 1,
        2**70,
        -(2**70),
        1e300,
        "2024-06-15T19:20:00+0000",
        "٣٤٥",
        "9" * 30,
        "",
        True,
        [],
        {},
    ],
)
def test_what_is_no_time_is_taken_as_received_and_marked(timestamp: Any) -> None:
    message = message_of(timestamp=timestamp)
    assert message.sent_ms == NOW
    assert not message.exact
    assert json.loads(message.extra or b"") == {"time_corrected": True}
    # A redelivery is received later: what it says must not outdo an edit that came in between.
    assert message.as_of_ms == 0


def test_a_missing_time_is_taken_as_received() -> None:
    told = json.loads(item())
    del told["timestamp"]
    (result,) = read(body(entry(json.dumps(told))))
    assert result.events[0].sent_ms == NOW  # type: ignore[union-attr]


def test_a_watermark_of_the_year_9999_reaches_as_far_as_now() -> None:
    for kind in ("read", "delivery"):
        told = {"sender": {"id": "1"}, kind: {"watermark": 253402300799000}}
        (result,) = read(body(entry(json.dumps(told))))
        assert result.events[0].watermark_ms == NOW  # type: ignore[union-attr]


def test_an_edit_count_that_is_none_is_only_kept() -> None:
    for count in (-1, 2**31, 10**30, "many", None, {}):
        told = {"sender": {"id": "1"}, "message_edit": {"mid": "m_1", "num_edit": count}}
        (result,) = read(body(entry(json.dumps(told))))
        (event,) = result.events  # type: ignore[union-attr]
        assert isinstance(event, Notice)
        assert not event.understood


# --- the envelope


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"page"',
        b"12",
        b"<html>",
        b"\xff\xfe{}",
        b"{",
        b"}",
        b"{}",
        b'{"object":"page"}',
        b'{"object":"page","entry":null}',
        b'{"object":"page","entry":{}}',
        b'{"object":"page","entry":"x"}',
        b'{"entry":[',
        b'{"object":"page","ent',
        b'{"messaging":[{"message":{"mid":"m_1"}}]}',
        b"[" * 60_000,
        b"{" * 60_000,
        b'{"a":' * 60_000,
    ],
)
def test_a_body_without_entries_is_kept_whole(raw: bytes) -> None:
    (result,) = read(raw)
    assert isinstance(result, Rejected)
    assert result.reason == "unreadable"
    assert result.raw == raw


@pytest.mark.parametrize(
    "raw",
    [
        b'{"object":"page","entry":[]}',
        b'{"object":"page","entry":[{"id":"1001","time":1}]}',
        b'{"object":"page","entry":[{}]}',
        b'{"object":"page","entry":[{"id":"1001","time":1,"messaging":[]}]}',
        b'{"object":"page","entry":[{"id":"1001","time":1,"messaging":null,"changes":[]}]}',
    ],
)
def test_an_empty_entry_is_answered_for(raw: bytes) -> None:
    (result,) = read(raw)
    assert isinstance(result, Rejected)
    assert result.reason == "empty_entry"
    assert result.raw == raw


@pytest.mark.parametrize("odd", ["5", "null", '"x"', "[]", '{"id":"1001","messaging":{}}', "{}"])
def test_an_odd_entry_costs_only_itself(odd: str) -> None:
    results = read(body(entry(item(1)), odd, entry(item(2))))
    assert mids(results) == ["m_1", None, "m_2"]
    assert odd.encode().strip(b"{}") in results[1].raw


@pytest.mark.parametrize("name", ['"user"', '"permissions"', '"whatsapp_business_account"', "7"])
def test_the_items_of_other_objects_are_kept_one_by_one(name: str) -> None:
    changes = ['{"field":"a","value":1}', "5", '{"deep":' + "[" * 60_000 + "]" * 60_000 + "}"]
    results = read(body(entry(*changes, page='"0"', channel="changes"), name=name))
    assert [result.reason for result in results] == ["unknown_object"] * 3  # type: ignore[union-attr]
    for result, change in zip(results, changes, strict=True):
        assert isinstance(result, Rejected)
        assert (result.object, result.page_id) == (name.strip('"'), "0")
        assert change.encode() in result.raw


def test_what_else_an_entry_says_is_kept_with_each_item() -> None:
    raw = (
        b'{"object":"user","entry":[{"time":1,"uid":"77","changes":[{"field":"likes"}],"id":"5"}]}'
    )
    (result,) = read(raw)
    assert b'"uid":"77"' in result.raw


@pytest.mark.parametrize("context", ['[{"app_id":12,"metadata":""}]', '{"app_id":12}', "[]"])
def test_the_way_an_entry_came_is_no_item(context: str) -> None:
    told = entry(item(1))[:-1] + f',"hop_context":{context}}}'
    (result,) = read(body(told))
    assert mids([result]) == ["m_1"]
    assert f'"hop_context":{context}'.encode() in result.raw
    assert envelope._compact(body(told)) == envelope._carefully(body(told))


@pytest.mark.parametrize("name", ["null", '""', "{}", "true", '"' + "x" * 600 + '"'])
def test_a_body_that_names_no_object_keeps_its_items(name: str) -> None:
    results = read(body(entry(item(1), item(2)), name=name))
    assert [result.reason for result in results] == ["unreadable"] * 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "page", ["null", '""', "{}", "[]", "1.5", '"' + "1" * 600 + '"', '"\\u0000"']
)
def test_an_entry_that_names_no_page_keeps_its_items(page: str) -> None:
    results = read(body(entry(item(1), item(2), page=page), entry(item(3))))
    assert mids(results) == [None, None, "m_3"]


def test_two_lists_and_doubled_keys_lose_nothing() -> None:
    doubled = (
        f'{{"id":"1001","time":1,"messaging":[{item(2)}],'
        f'"standby":[{item(3)}],"messaging":[{item(4)}]}}'
    )
    raw = f'{{"object":"page","entry":[{entry(item(1))}],"entry":[{doubled}]}}'
    assert sorted(filter(None, mids(read(raw.encode())))) == ["m_1", "m_2", "m_3", "m_4"]


def test_of_a_key_doubled_in_an_item_the_last_counts() -> None:
    doubled = item(1)[:-1] + ',"message":{"mid":"m_2","text":"second"}}'
    assert mids(read(body(entry(doubled)))) == ["m_2"]


def test_a_byte_order_mark_and_spaces_around_are_nothing() -> None:
    raw = body(entry(item(1)))
    assert parse(b"\xef\xbb\xbf" + raw, NOW) == parse(raw, NOW)
    assert parse(b"\r\n " + raw + b"\n", NOW) == parse(raw, NOW)


def test_bytes_after_the_body_are_kept() -> None:
    results = read(body(entry(item(1))) + b'{"object":"page","entry":[]}')
    assert mids(results) == ["m_1", None]
    assert results[1].raw == b',{"object":"page","entry":[]}'


def test_a_body_cut_anywhere_keeps_what_is_whole_and_says_that_it_was_cut() -> None:
    raw = body(entry(item(1), item(2)), entry(item(3)))
    whole = parse(raw, NOW)
    for length in range(len(raw)):
        results = read(raw[:length])
        understood = [result for result in results if isinstance(result, Item)]
        assert understood == whole[: len(understood)]
        assert isinstance(results[-1], Rejected)
        assert len(results) == len(understood) + 1
        cut_inside = raw[:length].count(b'"mid"') - len(understood)
        assert cut_inside in {0, 1}


def test_an_id_cut_short_names_no_other_page() -> None:
    listed = '{"time":1718479195594,"messaging":[' + item(1) + '],"id":1001'
    raw = '{"object":"page","entry":[' + listed
    for length in range(raw.index('"id":1001'), len(raw) + 1):
        for result in read(raw[:length].encode()):
            assert isinstance(result, Rejected)
            assert result.page_id is None


def test_bytes_behind_a_list_are_kept() -> None:
    raw = body('{"id":"1001","time":1718479195594,"messaging":[' + item(1) + "] " + item(2) + "}")
    results = read(raw)
    assert mids(results) == ["m_1", None]
    assert results[1].raw == b"," + item(2).encode()


def test_the_form_facebook_writes_is_read_the_quick_way() -> None:
    raw = body(
        entry(item(1), item(2)), entry(item(3), channel="standby"), entry(item(4), page='"1002"')
    )
    quickly, carefully = envelope._compact(raw), envelope._carefully(raw)
    assert quickly == carefully


def test_a_thousand_items_are_a_thousand_answers() -> None:
    results = read(body(*(entry(*(item(n) for n in range(k, k + 10))) for k in range(0, 1000, 10))))
    assert mids(results) == [f"m_{number}" for number in range(1000)]


def test_the_same_bytes_give_the_same_answer_at_any_time() -> None:
    raw = body(entry(item(1), '{"optin":{}}', "5"), entry('"feed"', channel="whispers"))
    assert parse(raw, NOW) == parse(raw, NOW + 40 * DAY)


def test_an_object_where_none_belongs_is_no_body_of_its_own_when_it_is_tried_again():
    """It may look like a webhook; nobody sent it as one."""
    stray = body(entry(item(7)), name='"page"')
    results = read(body(entry(item(1)))[:-1] + b"," + stray + b"}")
    assert mids(results)[0] == "m_1"
    kept = [one for one in results if b"m_7" in one.raw]
    assert kept
    assert all(isinstance(one, Rejected) for one in kept)
