"""Containers are cut where a decoder would cut them, and where none would."""

import json
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.facebook.webhook import scan

unhurried = settings(deadline=None)  # two cores are shared by many tests

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from('"\\{[,]}:'),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)
spaces = st.sampled_from([None, 0, 2])


@unhurried
@given(st.lists(values, max_size=6), spaces)
def test_an_array_is_cut_like_a_decoder_cuts_it(value: list[object], indent: int | None) -> None:
    cut = scan.elements(json.dumps(value, indent=indent).encode())
    assert cut is not None
    assert cut.rest == b""
    assert [msgspec.json.decode(part) for part in cut.parts] == value


@unhurried
@given(st.dictionaries(st.text(max_size=4), values, max_size=6), spaces)
def test_an_object_is_cut_like_a_decoder_cuts_it(
    value: dict[str, object], indent: int | None
) -> None:
    cut = scan.members(json.dumps(value, indent=indent).encode())
    assert cut is not None
    assert (cut.odd, cut.rest) == ([], b"")
    assert {name: msgspec.json.decode(part) for name, part in cut.parts} == value


@unhurried
@given(st.binary(max_size=40))
def test_any_bytes_can_be_cut(data: bytes) -> None:
    for opened in (b"[" + data, b"{" + data):
        scan.depth(opened)
        cut = scan.elements(opened) or scan.members(opened)
        assert cut is not None


@pytest.mark.parametrize(
    ("data", "parts", "rest"),
    [
        (b"[]", [], b""),
        (b"[1,2", [b"1", b"2"], None),
        (b"[1,", [b"1"], None),
        (b"[", [], None),
        (b'[1,"a,b', [b"1", b'"a,b'], None),
        (b'[{"a":"}]\\""},2]', [b'{"a":"}]\\""}', b"2"], b""),
        (b"[1] and more", [b"1"], b"and more"),
        (b"[[[1]],2]]", [b"[[1]]", b"2"], b"]"),
        (b"[1,,2,]", [b"1", b"2"], b""),
        (b"[1 2]", [b"1 2"], b""),
    ],
)
def test_what_no_decoder_takes_is_cut_as_far_as_it_goes(
    data: bytes, parts: list[bytes], rest: bytes | None
) -> None:
    assert scan.elements(data) == scan.Elements(parts, rest)


def test_members_that_are_none_are_told_apart() -> None:
    cut = scan.members(b'{"a":1,"b",:2,{"c":3},"d":,"e\\ud83d":4,"a":5}')
    assert cut is not None
    assert cut.parts == [("a", b"1"), ("a", b"5")]
    assert cut.odd == [b'"b"', b":2", b'{"c":3}', b'"d":', b'"e\\ud83d":4']


def test_what_is_no_container_is_none() -> None:
    for data in (b"", b"1", b"{}", b'"[', b" []"):
        assert scan.elements(data) is None
    for data in (b"", b"1", b"[]", b'"{', b" {}"):
        assert scan.members(data) is None


def test_depth_counts_containers_and_no_text() -> None:
    assert scan.depth(b"1") == 0
    assert scan.depth(b'{"a":[[1],["[[[["]]}') == 3
    assert scan.depth(b"[" * 60_000) == 60_000
    assert scan.depth(b"]" * 10 + b"[") <= 1


@pytest.mark.parametrize(
    "unit", [b"[", b"{", b'"', b'"a",', b'{"a":', b"\\", b'\\"', b"[]", b",", b"}{"]
)
def test_hostile_bytes_are_cut_in_linear_time(unit: bytes) -> None:
    def seconds(size: int) -> float:
        data = b"[" + unit * (size // len(unit))
        started = time.process_time()
        scan.elements(data)
        scan.depth(data)
        return time.process_time() - started

    # Eight times the bytes may take eight times as long; a square would take 64 times.
    assert seconds(400_000) < 20 * max(seconds(50_000), 0.005)
