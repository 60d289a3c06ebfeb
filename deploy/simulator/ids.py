"""Identifiers in the forms Facebook gives them, all derived from the seed."""

import base64
import hashlib
import string

_ALPHABET = (string.ascii_letters + string.digits).encode()
_BASE62 = bytes(_ALPHABET[byte % 62] for byte in range(256))


def _digest(seed: str, size: int) -> bytes:
    return hashlib.shake_128(seed.encode()).digest(size)


def digits(seed: str, length: int, *, first: str = "") -> str:
    """Return a number of `length` digits that starts with `first`."""
    wanted = length - len(first)
    return first + str(int.from_bytes(_digest(seed, 16)) % 10**wanted).zfill(wanted)


def letters(seed: str, length: int) -> str:
    """Return `length` letters and digits."""
    return _digest(seed, length).translate(_BASE62).decode()


def access_token(seed: str) -> str:
    """Return a token as long, and with the same beginning, as Facebook's."""
    return "EAA" + letters(f"token {seed}", 190)


def messenger_mid(seed: str) -> str:
    """Return `m_` and 86 characters of URL-safe base64."""
    return "m_" + base64.urlsafe_b64encode(_digest(f"mid {seed}", 64)).rstrip(b"=").decode()


def facebook_base64(text: str) -> str:
    """Encode as Facebook does for cursors and Instagram ids: Z, _, - and = become ZA to ZD."""
    encoded = base64.urlsafe_b64encode(text.encode()).decode()
    return encoded.replace("Z", "ZA").replace("_", "ZB").replace("-", "ZC").replace("=", "ZD")


def facebook_unbase64(text: str) -> str:
    """Undo `facebook_base64`; ValueError for anything else."""
    plain = text.replace("ZD", "=").replace("ZC", "-").replace("ZB", "_").replace("ZA", "Z")
    return base64.b64decode(plain, altchars=b"-_", validate=True).decode()


def instagram_mid(account: str, thread: str, item: str) -> str:
    """Return an Instagram message id; it decodes to its account, thread and item."""
    return facebook_base64(f"ig_dm_item:1:IGMessageID:{account}:{thread}:{item}")


def instagram_thread(account: str, thread: str) -> str:
    """Return an Instagram thread id, which has no `t_` in front."""
    return facebook_base64(f"ig_dm:1:IGMessageThread:{account}:{thread}")
