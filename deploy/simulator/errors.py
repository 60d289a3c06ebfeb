"""Graph errors with the HTTP status each was seen with.

https://developers.facebook.com/docs/graph-api/guides/error-handling
https://developers.facebook.com/docs/graph-api/overview/rate-limiting
"""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

_LIMITS = (
    "For more info, please refer to "
    "https://developers.facebook.com/docs/graph-api/overview/rate-limiting."
)
_REDUCE = "Please reduce the amount of data you're asking for, then retry your request"
_MISSING = (
    "Unsupported get request. Object with ID '{}' does not exist, cannot be loaded due to missing "
    "permissions, or does not support this operation. Please read the Graph API documentation at "
    "https://developers.facebook.com/docs/graph-api"
)


class Failure(Struct, frozen=True):
    """One kind of refusal. `transient` None: Facebook does not say."""

    http: int
    code: int
    message: str
    subcode: int | None = None
    type: str = "OAuthException"
    transient: bool | None = None
    title: str | None = None
    user_message: str | None = None

    def body(self, trace: str) -> dict[str, Any]:
        """Return the error object as Graph sends it; `trace` is its `fbtrace_id`."""
        optional = {
            "is_transient": self.transient,
            "error_subcode": self.subcode,
            "error_user_title": self.title,
            "error_user_msg": self.user_message,
        }
        error = {"message": self.message, "type": self.type, "code": self.code}
        error |= {name: value for name, value in optional.items() if value is not None}
        return {"error": error | {"fbtrace_id": trace}}


class GraphError(Exception):
    """Graph refuses the call."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _token(subcode: int, why: str) -> Failure:
    return Failure(400, 190, f"Error validating access token: {why}", subcode)


FAILURES = {
    "1": Failure(500, 1, "An unknown error occurred"),
    "1/99": Failure(
        500, 1, "An unknown error occurred", 99,
        title="Please reduce the amount of data", user_message=_REDUCE,
    ),
    "reduce": Failure(500, 1, _REDUCE),
    "2": Failure(500, 2, "Service temporarily unavailable", transient=True),
    "2/2018344": Failure(
        400, 2, "Service temporarily unavailable", 2018344, transient=False,
        title="Privacy ToS not accepted",
        user_message="To use the inbox label API, you need to accept the privacy ToS.",
    ),
    "3": Failure(400, 3, "(#3) Application does not have the capability to make this API call."),
    "4": Failure(403, 4, "(#4) Application request limit reached", transient=True),
    "10": Failure(403, 10, "(#10) Application does not have permission for this action"),
    "17": Failure(400, 17, "(#17) User request limit reached", 2446079, transient=True),
    "32": Failure(403, 32, "(#32) Page request limit reached"),
    "100": Failure(400, 100, "(#100) Invalid parameter"),
    "100/33": Failure(400, 100, _MISSING.format("0"), 33, "GraphMethodException"),
    "100/2534013": Failure(
        400, 100, "(#100) The Page is not linked to an Instagram account", 2534013
    ),
    "102": Failure(401, 102, "Session key invalid or no longer valid"),
    "104": Failure(400, 104, "Incorrect signature"),
    "190": Failure(400, 190, "Invalid OAuth access token - Cannot parse access token"),
    "190/458": _token(458, "The user has not authorized application."),
    "190/459": _token(459, "The user is enrolled in a blocking, logged-in checkpoint."),
    "190/460": _token(460, "The session has been invalidated because the user changed their "
                           "password or Facebook has changed the session for security reasons."),
    "190/463": _token(463, "Session has expired."),
    "190/464": _token(464, "Sessions for the user are not allowed because the user is not a "
                           "confirmed user."),
    "190/467": _token(467, "The session was invalidated explicitly using an API call."),
    "190/490": _token(490, "The user is enrolled in a blocking, logged-in checkpoint."),
    "190/492": _token(492, "The user must be an administrator, editor, or moderator of the page."),
    "200": Failure(403, 200, "(#200) Missing permissions: pages_messaging"),
    "200/2534041": Failure(403, 200, "(#200) Access to messages is switched off", 2534041),
    "210": Failure(
        403, 210, "(#210) A page access token is required to request this resource."
    ),
    "230": Failure(400, 230, "(#230) Permissions disallow message to user"),
    "341": Failure(403, 341, "(#341) Application limit reached"),
    "368": Failure(400, 368, "The action attempted has been deemed abusive or is otherwise "
                             "disallowed"),
    "613": Failure(400, 613, "(#613) Calls to this api have exceeded the rate limit."),
    "803": Failure(404, 803, "(#803) Some of the aliases you requested do not exist"),
    "2500": Failure(400, 2500, "Syntax error in the fields parameter"),
    "80001": Failure(400, 80001, "(#80001) There have been too many calls to this Page account. "
                                 f"Wait a bit and try again. {_LIMITS}"),
    "80002": Failure(400, 80002, "(#80002) There have been too many calls to this Instagram "
                                 f"account. Wait a bit and try again. {_LIMITS}"),
    "80006": Failure(400, 80006, "(#80006) There have been too many messenger api calls to this "
                                 f"Page account. Wait a bit and try again. {_LIMITS}"),
    "2018218": Failure(400, 2018218, "(#2018218) No profile available for this user."),
    "2018247": Failure(400, 2018247, "(#2018247) Insufficient permission to access user profile."),
    "9000001": Failure(
        400, 9000001, "This Message has been deleted by the user or the business."
    ),
}  # fmt: skip
"""By code, or code/subcode; `reduce` is code 1 with the words that say what to do."""


def refuse(name: str) -> GraphError:
    """Return the refusal of that name in `FAILURES`."""
    return GraphError(FAILURES[name])


def invalid(message: str) -> GraphError:
    """Return code 100: a parameter is wrong."""
    return GraphError(replace(FAILURES["100"], message=f"(#100) {message}"))


def syntax(message: str) -> GraphError:
    """Return code 2500: the query cannot be parsed."""
    return GraphError(replace(FAILURES["2500"], message=message))


def missing(what: str) -> GraphError:
    """Return code 100, subcode 33: no such object, or not for this token."""
    return GraphError(replace(FAILURES["100/33"], message=_MISSING.format(what)))


def nonexisting_field(name: str, node: str) -> GraphError:
    """Return what asking for a field that the node does not have gives."""
    return invalid(f"Tried accessing nonexisting field ({name}) on node type ({node})")
