"""What can go wrong, sorted by what to do next; a class's docstring is its message."""


class PagewireError(Exception):
    """Something failed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__class__.__doc__ or "").strip())


class SettingsError(PagewireError):
    """The settings are not usable."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("The settings are not usable:\n" + "\n".join(f"  {p}" for p in problems))


class Unavailable(PagewireError):
    """A store does not answer; the same work may succeed later."""


class Unreadable(PagewireError):
    """These bytes are not what they should be; they never will be."""


class NotFound(PagewireError):
    """There is no such thing, or not for this key."""


class Conflict(PagewireError):
    """The request contradicts what is already there."""
