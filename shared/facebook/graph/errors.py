"""What an answer of the Graph API means for us: the one table of Facebook's errors.

Decided by code, subcode and `is_transient`, never by an error's text, with one exception that
Facebook leaves no other way to tell: "reduce the amount of data". Facebook's sentences may quote
tokens and ids, so every verdict carries a sentence of ours.
https://developers.facebook.com/docs/graph-api/guides/error-handling
https://developers.facebook.com/docs/messenger-platform/error-codes
"""

from typing import TypeAlias

import msgspec
from msgspec import Struct

from shared.facebook.graph.requests import Request


class _Verdict(Struct, frozen=True, kw_only=True):
    """`code` is Facebook's (`190/460`), or the HTTP status (`HTTP 503`); `reason` is for people."""

    code: str
    reason: str


class Retry(_Verdict, frozen=True, kw_only=True):
    """Ask the same again in a moment; it may well work."""


class Snooze(_Verdict, frozen=True, kw_only=True):
    """This Page is over a limit: ask nothing for `seconds`, unless Facebook names a time."""

    seconds: int


class PauseApp(_Verdict, frozen=True, kw_only=True):
    """The whole app is over a limit: nobody asks anything for `seconds`."""

    seconds: int


class Shrink(_Verdict, frozen=True, kw_only=True):
    """The answer would be too large: ask for less."""


class ParkPage(_Verdict, frozen=True, kw_only=True):
    """Nothing of this Page will work until a person acts."""


class SetAside(_Verdict, frozen=True, kw_only=True):
    """This folder or this Instagram account cannot be read; the rest of the Page can."""


class ObjectUnreadable(_Verdict, frozen=True, kw_only=True):
    """This one object is gone or hidden. Never a reason to delete what we have."""


class LabelsOff(_Verdict, frozen=True, kw_only=True):
    """The Page's labels are closed to us until a person acts."""


class RestartWalk(_Verdict, frozen=True, kw_only=True):
    """Facebook no longer takes this cursor: begin the listing again."""


class Broken(_Verdict, frozen=True, kw_only=True):
    """The request or the app's setup is wrong; asking again will not help."""


Verdict: TypeAlias = (
    Retry
    | Snooze
    | PauseApp
    | Shrink
    | ParkPage
    | SetAside
    | ObjectUnreadable
    | LabelsOff
    | RestartWalk
    | Broken
)

MINUTE, HOUR = 60, 3600

_APP_LIMITS = {4, 341}
_PAGE_LIMITS = {17, 32, *range(80000, 80015)}
# https://developers.facebook.com/docs/facebook-login/guides/access-tokens/debugging-and-error-handling
_DEAD_TOKENS = {
    None: "Facebook does not take the Page's token any more.",
    458: "The person whose token this is has removed the app.",
    459: "The person whose token this is must log in at facebook.com.",
    460: "The password of the person whose token this is was changed.",
    463: "The Page's token has expired.",
    464: "The person whose token this is must confirm their account.",
    467: "The Page's token is invalid.",
    490: "The person whose token this is must pass a checkpoint at facebook.com.",
    492: "The person whose token this is has no role on the Page any more.",
}
_INSTAGRAM_CLOSED = {
    2534013: "The Page is not linked to the Instagram account.",
    2534014: "The Page has no Instagram account that can be read.",
    2534041: "The Instagram account does not allow access to its messages.",
    2534077: "The link between the Page and its Instagram account is broken.",
}
_OBJECTS = {"thread", "message", "person", "labels"}
_REDUCE = "reduce the amount of data"


class _Error(Struct):
    message: str | None = None
    code: int | None = None
    error_subcode: int | None = None
    is_transient: bool | None = None
    error_user_msg: str | None = None


class _Body(Struct):
    error: msgspec.Raw = msgspec.Raw(b"null")


def judge(request: Request, status: int, body: bytes) -> Verdict | None:
    """Return what the answer to `request` asks us to do, or None when it is a good answer.

    A 200 may carry an error, and an error may be a page of HTML: the body decides where it can.
    """
    try:
        told = msgspec.json.decode(body, type=_Body | list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _judge_status(status, readable=False)
    if isinstance(told, _Body) and bytes(told.error) != b"null":
        return _judge_error(request, status, _error(bytes(told.error)))
    return None if status < 300 else _judge_status(status, readable=True)


def _error(raw: bytes) -> _Error:
    try:
        return msgspec.json.decode(raw, type=_Error, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Error()


def _judge_status(status: int, *, readable: bool) -> Verdict:
    code = f"HTTP {status}"
    if status == 429:
        return Snooze(code=code, reason="Facebook asks for a pause.", seconds=MINUTE)
    if status >= 500 or status < 400 or not readable:
        return Retry(code=code, reason="Facebook gave no proper answer.")
    return Broken(code=code, reason="Facebook refused the request without saying why.")


def _judge_error(request: Request, status: int, error: _Error) -> Verdict:
    code, subcode = error.code, error.error_subcode
    label = "/".join(str(part) for part in (code, subcode) if part is not None) or f"HTTP {status}"
    limit = _limit(label, code)
    if limit is not None:
        return limit
    if _REDUCE in f"{error.message} {error.error_user_msg}".lower() or (code, subcode) == (1, 99):
        return Shrink(code=label, reason="Facebook cannot answer so much at once.")
    if error.is_transient:
        return Retry(code=label, reason="Facebook has a passing trouble.")
    refusal = _refusal(request, label, code, subcode)
    if refusal is not None:
        return refusal
    if error.is_transient is None and (code in {1, 2} or status >= 500):
        return Retry(code=label, reason="Facebook has a passing trouble.")
    return Broken(code=label, reason="Facebook refuses the request.")


def _limit(label: str, code: int | None) -> Verdict | None:
    """Sort the rate limits.

    https://developers.facebook.com/docs/graph-api/overview/rate-limiting
    """
    if code in _APP_LIMITS:
        return PauseApp(
            code=label, reason="The app has used up its calls of this hour.", seconds=5 * MINUTE
        )
    if code in _PAGE_LIMITS:
        return Snooze(
            code=label, reason="The Page has used up its calls for now.", seconds=5 * MINUTE
        )
    if code == 613:
        return Snooze(code=label, reason="Too many calls a second for this Page.", seconds=3)
    if code == 368:
        return Snooze(
            code=label, reason="Facebook has blocked the Page for a while.", seconds=2 * HOUR
        )
    return None


def _refusal(request: Request, label: str, code: int | None, subcode: int | None) -> Verdict | None:
    """Sort what will stay refused until something changes."""
    about = request.about
    if code in {102, 190}:
        return ParkPage(code=label, reason=_DEAD_TOKENS.get(subcode) or _DEAD_TOKENS[None] or "")
    if subcode in _INSTAGRAM_CLOSED:
        return SetAside(code=label, reason=_INSTAGRAM_CLOSED[subcode])
    if code == 36103:
        return SetAside(code=label, reason="The Instagram account is not eligible.")
    if (code, subcode) == (2, 2018344):
        return LabelsOff(code=label, reason="The Page's admin must accept the contact terms.")
    if code == 2642 or (code == 100 and subcode is None and request.has_cursor):
        return RestartWalk(code=label, reason="Facebook does not take this cursor any more.")
    if code == 9000001:
        return ObjectUnreadable(code=label, reason="Facebook does not show this message.")
    if code in {551, 2018218, 2018247} or subcode in {2018001, 2018218, 2018247}:
        return ObjectUnreadable(code=label, reason="Facebook does not show this person.")
    if code == 803 or (code, subcode) == (100, 33):
        return _gone(about, label)
    if code in {3, 10, 230} or (code is not None and 200 <= code <= 299):
        return _forbidden(about, label)
    if code == 104:
        return Broken(code=label, reason="The app secret does not match the token's app.")
    if code == 100 and about == "folder":
        return SetAside(code=label, reason="Facebook does not list this folder.")
    return None


def _gone(about: str, label: str) -> Verdict:
    reason = "It does not exist, or the token may not see it."
    if about in _OBJECTS:
        return ObjectUnreadable(code=label, reason=reason)
    if about == "folder":
        return SetAside(code=label, reason=reason)
    return ParkPage(code=label, reason=reason)


def _forbidden(about: str, label: str) -> Verdict:
    reason = "The token lacks a permission."
    if about == "person":
        return ObjectUnreadable(code=label, reason=reason)
    if about == "labels":
        return LabelsOff(code=label, reason=reason)
    if about == "folder":
        return SetAside(code=label, reason=reason)
    # A thread or a message is as readable as its Page: the permission is missing for all of them.
    return ParkPage(code=label, reason=reason)
