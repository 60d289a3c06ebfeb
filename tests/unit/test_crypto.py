"""Tokens at rest."""

import base64
import os

import pytest

from shared.config import Secret
from shared.crypto import CannotDecrypt, KeyRing


def key() -> Secret:
    return Secret(base64.urlsafe_b64encode(os.urandom(32)).decode())


TOKEN = Secret("EAAB-the-token")


def test_a_token_comes_back_as_it_was():
    ring = KeyRing([key()])
    assert ring.decrypt(ring.encrypt(TOKEN, "102"), "102").reveal() == TOKEN.reveal()


def test_the_same_token_never_looks_the_same_twice():
    ring = KeyRing([key()])
    assert ring.encrypt(TOKEN, "102") != ring.encrypt(TOKEN, "102")


def test_a_token_copied_to_another_page_is_refused():
    ring = KeyRing([key()])
    with pytest.raises(CannotDecrypt, match="Page 103"):
        ring.decrypt(ring.encrypt(TOKEN, "102"), "103")


def test_every_key_of_the_ring_decrypts_and_the_first_encrypts():
    old, new = key(), key()
    sealed = KeyRing([old]).encrypt(TOKEN, "102")
    ring = KeyRing([new, old])
    assert ring.decrypt(sealed, "102") == TOKEN
    assert not ring.is_current(sealed)
    assert ring.is_current(ring.encrypt(TOKEN, "102"))


def test_a_missing_key_is_named_without_being_shown():
    old = key()
    sealed = KeyRing([old]).encrypt(TOKEN, "102")
    with pytest.raises(CannotDecrypt, match=sealed[1:9].hex()) as caught:
        KeyRing([key()]).decrypt(sealed, "102")
    assert old.reveal() not in str(caught.value)


@pytest.mark.parametrize("position", range(0, 60, 7))
def test_a_flipped_bit_is_noticed(position: int):
    ring = KeyRing([key()])
    sealed = bytearray(ring.encrypt(Secret("x" * 40), "102"))
    sealed[position] ^= 1
    with pytest.raises(CannotDecrypt):
        ring.decrypt(bytes(sealed), "102")


@pytest.mark.parametrize("envelope", [b"", b"\x01", b"\x02" + bytes(60), b"plain token"])
def test_what_is_no_envelope_is_refused_with_a_sentence(envelope: bytes):
    with pytest.raises(CannotDecrypt, match="form"):
        KeyRing([key()]).decrypt(envelope, "102")
