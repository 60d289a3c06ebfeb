"""What stops a start, in words for the person who typed the command."""


class CannotStart(Exception):
    """Something could not be started; the message says what, why and what to do."""
