import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.backlog.envelope import Envelope, Origin, confirmation_code, entry, pack, unpack
from shared.errors import Unreadable

ENVELOPES = st.lists(
    st.builds(
        Envelope,
        st.sampled_from(["webhook", "deauthorize", "data_deletion"]),
        st.integers(0, 2**53),
        st.binary(max_size=200),
    ),
    max_size=20,
)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
ORIGINS = st.builds(Origin, NAMES, NAMES, st.integers(0, 2**62 - 1))


@given(ORIGINS, ENVELOPES)
def test_what_was_packed_is_unpacked_unchanged(origin: Origin, envelopes: list[Envelope]) -> None:
    assert unpack(pack(origin, envelopes)) == (origin, envelopes)


@given(st.binary(max_size=300))
def test_any_other_bytes_are_unreadable_and_nothing_worse(noise: bytes) -> None:
    with pytest.raises(Unreadable):
        unpack(noise)


@given(ENVELOPES, st.data())
def test_a_damaged_entry_is_unreadable_or_says_something_else(
    envelopes: list[Envelope], data: st.DataObject
) -> None:
    packed = bytearray(pack(Origin("door", "boot", 1), envelopes))
    where = data.draw(st.integers(0, len(packed) - 1))
    packed[where] ^= data.draw(st.integers(1, 255))
    found = entry("1-0", bytes(packed), 1)
    assert (found.unreadable == bytes(packed)) == (found.origin is None)


_NESTED = b"\x91" * 200_000


@pytest.mark.parametrize(
    "packed",
    [
        pickle.dumps({"a": 1}),
        _NESTED,
        b"\x96\x01\xa1a\xa1b\x00\x90" + _NESTED,
        b"\x95\x01\xa1a\xa1b\x00\xdd\xff\xff\xff\xff",
        b"\x95\x01\xa1\xff\xa1b\x00\x90",
        msgspec.msgpack.encode([2, "door", "boot", 0, []]),
        msgspec.msgpack.encode([1, "door", "boot", 0, [["unheard of", 1, b""]]]),
        msgspec.msgpack.encode({"version": 1}),
        msgspec.msgpack.encode([1, "door\0", "boot", 0, []]),
        msgspec.msgpack.encode([1, "door", "boot", 2**63, []]),
        msgspec.msgpack.encode([1, "door", "boot", -1, []]),
    ],
    ids=[
        "pickle",
        "deep",
        "deep tail",
        "huge length",
        "utf-8",
        "version",
        "kind",
        "map",
        "name for no database",
        "number too large",
        "number too small",
    ],
)
def test_bytes_made_to_harm_are_unreadable(packed: bytes) -> None:
    with pytest.raises(Unreadable):
        unpack(packed)


def test_an_unreadable_entry_keeps_its_bytes() -> None:
    found = entry("1-0", b"junk", 3)
    assert (found.unreadable, found.deliveries, found.size) == (b"junk", 3, 4)
    assert found.envelopes == []


def test_a_request_sent_again_has_the_same_confirmation_code() -> None:
    assert confirmation_code(b"a.b") == confirmation_code(b"a.b")
    assert confirmation_code(b"a.b") != confirmation_code(b"a.c")
