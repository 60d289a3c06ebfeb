"""Ids are text, the same from webhooks and from Graph; text can be kept."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.facebook.ids import id_text, mid_text
from shared.facebook.text import clean, mend
from shared.ids import MAX_ID_BYTES

unhurried = settings(deadline=None)  # two cores are shared by many tests


def test_numbers_become_text_and_nothing_stays_nothing() -> None:
    assert id_text("102") == "102"
    assert id_text(102) == "102"
    assert id_text(2**70) == str(2**70)
    assert id_text(None) is None
    assert id_text("") is None


@pytest.mark.parametrize("fits", ["x" * MAX_ID_BYTES, "ä" * (MAX_ID_BYTES // 2)])
def test_an_id_has_a_greatest_length_in_bytes(fits: str) -> None:
    assert id_text(fits) == fits
    with pytest.raises(ValueError, match="longer"):
        id_text(fits + "x")


@pytest.mark.parametrize("damaged", ["m_\0", "m_\ufffd", "\ufffdä"])
def test_damaged_ids_are_refused_so_that_two_never_meet(damaged: str) -> None:
    with pytest.raises(ValueError, match="holds"):
        id_text(damaged)


def test_messengers_ids_get_the_prefix_graph_gives_them() -> None:
    assert mid_text("messenger", "m_abc") == "m_abc"
    assert mid_text("messenger", "mid.$cAAB") == "m_mid.$cAAB"
    assert mid_text("messenger", "qT7ywa") == "m_qT7ywa"
    assert mid_text("messenger", 7) == "m_7"
    assert mid_text("messenger", None) is None
    assert mid_text("messenger", "") is None
    with pytest.raises(ValueError, match="longer"):
        mid_text("messenger", "x" * MAX_ID_BYTES)


def test_instagrams_ids_stay_as_they_were_sent() -> None:
    assert mid_text("instagram", "aWdfZAG1") == "aWdfZAG1"
    assert mid_text("instagram", "mid.1") == "mid.1"


@unhurried
@given(st.text(st.characters(exclude_categories=())))
def test_clean_text_can_be_written_and_clean_again_changes_nothing(text: str) -> None:
    cleaned = clean(text)
    assert "\0" not in cleaned
    cleaned.encode()
    assert clean(cleaned) == cleaned
    assert len(cleaned) == len(text)


def test_what_needs_no_mending_is_told_as_such() -> None:
    assert mend(b'{"a":"\\ud83d\\ude22","b":[1,2.5,null]}') == (
        {"a": "😢", "b": [1, 2.5, None]},
        False,
    )
    assert mend(b'{"a":"line\nbreak"}') == ({"a": "line\nbreak"}, False)


def test_numbers_no_machine_holds_are_kept_as_their_text() -> None:
    digits = "9" * 5000
    assert mend(f"[1e999,-1e999,{digits},{'9' * 30}]".encode()) == (
        ["1e999", "-1e999", digits, int("9" * 30)],
        False,
    )


@unhurried
@given(st.binary(max_size=30))
def test_what_cannot_be_mended_is_a_value_error(raw: bytes) -> None:
    try:
        value, _ = mend(raw)
    except ValueError:
        return
    json.dumps(value, allow_nan=False)
