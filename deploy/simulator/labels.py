"""Custom labels: what a team puts on people.

https://developers.facebook.com/docs/messenger-platform/identity/custom-labels
"""

from collections.abc import Callable

from msgspec import Struct

from deploy.simulator import errors, ids
from deploy.simulator.acts import Acts
from deploy.simulator.fields import Field
from deploy.simulator.shapes import Json, Shape
from deploy.simulator.truth import Page, Truth
from deploy.simulator.updates import Update


class Label(Struct, frozen=True):
    """A label of one Page."""

    id: str
    name: str


LABEL = Shape(
    "PageUserMessageThreadLabel",
    {
        "id": lambda _, label, __: label.id,
        "page_label_name": lambda _, label, __: label.name,
        "name": lambda _, label, __: label.name,
    },
    (Field("id"),),
)


class Labels:
    """Reads and changes labels; a changed one is announced like a change by hand."""

    def __init__(self, truth: Truth, acts: Acts, announce: Callable[[list[Update]], None]) -> None:
        self._truth = truth
        self._acts = acts
        self._announce = announce

    def create(self, page: Page, parameters: dict[str, str]) -> Json:
        """Answer POST /{page}/custom_labels."""
        name = parameters.get("page_label_name") or parameters.get("name")
        if not name:
            raise errors.invalid("The parameter page_label_name is required.")
        label = ids.digits(f"label/{page.id}/{name}", 16)
        self._truth.add_label(page, label, name)
        return {"id": label}

    def delete(self, label: Label) -> Json:
        """Answer DELETE /{label}."""
        self._truth.remove_label(label.id)
        return {"success": True}

    def put(self, page: Page, label: Label, parameters: dict[str, str], *, on: bool) -> Json:
        """Answer POST and DELETE /{label}/label."""
        psid = parameters.get("user", "")
        if (page.id, psid) not in self._truth.people:
            raise errors.missing(psid)
        self._announce([self._acts.label(page, psid, label.id, on=on)])
        return {"success": True}
