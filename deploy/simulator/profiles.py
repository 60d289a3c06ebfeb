"""People, Pages and Instagram accounts: as participants, and as nodes of their own."""

from typing import Any

from deploy.simulator import media
from deploy.simulator.fields import Field
from deploy.simulator.shapes import Json, Shape, View, never, pick
from deploy.simulator.truth import Conversation, Page, Person, Platform

TASKS = ("ANALYZE", "ADVERTISE", "MESSAGING", "MODERATE", "CREATE_CONTENT", "MANAGE")


def person_card(person: Person) -> Json:
    """Return a person as a participant; someone without a name has none here either."""
    if person.platform == "instagram":
        return {"username": person.username, "id": person.id}
    name = {"name": person.name} if person.name else {}
    return {**name, "email": f"{person.id}@facebook.com", "id": person.id}


def page_card(page: Page, platform: Platform) -> Json:
    """Return a Page as a participant."""
    if platform == "instagram":
        return {"username": page.instagram_username, "id": page.instagram_id}
    return {"name": page.name, "email": f"{page.id}@facebook.com", "id": page.id}


def card(conversation: Conversation, field: Field, *, person: bool) -> Json:
    """Return one side of a conversation as a participant, with the asked-for fields."""
    if person:
        return pick(person_card(conversation.person), field.children)
    return pick(page_card(conversation.page, conversation.platform), field.children)


def _id(_: View, node: Any, __: Field) -> str:
    found: str = node.id
    return found


def _profile(view: View, person: Person, _: Field) -> str:
    return media.profile_picture(person, view.now_ms)


def _no(_: View, __: Any, ___: Field) -> bool:
    return False


PERSON = Shape(
    "User",
    {
        "id": _id,
        "name": lambda _, person, __: person.name,
        "first_name": lambda _, person, __: person.name.partition(" ")[0],
        "last_name": lambda _, person, __: person.name.partition(" ")[2] or None,
        "profile_pic": _profile,
        "locale": never,
        "timezone": never,
        "gender": never,
    },
    (Field("first_name"), Field("last_name"), Field("profile_pic"), Field("id")),
)
INSTAGRAM_PERSON = Shape(
    "IGBusinessScopedID",
    {
        "id": _id,
        "name": lambda _, person, __: person.username.title(),
        "username": lambda _, person, __: person.username,
        "profile_pic": _profile,
        "follower_count": lambda _, person, __: int(person.id) % 5000,
        "is_user_follow_business": _no,
        "is_business_follow_user": _no,
        "is_verified_user": _no,
    },
    (Field("name"), Field("username"), Field("profile_pic"), Field("id")),
)


def _instagram(_: View, page: Page, field: Field) -> Json | None:
    if page.instagram_id is None:
        return None
    account = {"id": page.instagram_id, "username": page.instagram_username}
    return pick(account, field.children or ())


PAGE = Shape(
    "Page",
    {
        "id": _id,
        "name": lambda _, page, __: page.name,
        "access_token": lambda view, page, _: view.page_tokens.get(page.id),
        "tasks": lambda *_: list(TASKS),
        "category": lambda _, __, ___: "Local business",
        "category_list": lambda _, __, ___: [{"id": "2500", "name": "Local business"}],
        "link": lambda _, page, __: f"https://www.facebook.com/{page.id}",
        "instagram_business_account": _instagram,
        "connected_instagram_account": _instagram,
    },
    (Field("name"), Field("id")),
)
INSTAGRAM_ACCOUNT = Shape(
    "IGUser",
    {
        "id": lambda _, page, __: page.instagram_id,
        "username": lambda _, page, __: page.instagram_username,
        "name": lambda _, page, __: page.name,
    },
    (Field("id"),),
)
