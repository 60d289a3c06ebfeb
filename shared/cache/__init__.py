"""Answers kept in Redis as the bytes that are sent, and forgotten exactly when they are stale."""

from shared.cache.cache import (
    CHANNEL,
    MAX_BYTES,
    Cache,
    Changed,
    Family,
    Question,
    about_conversation,
    about_list,
)

__all__ = [
    "CHANNEL",
    "MAX_BYTES",
    "Cache",
    "Changed",
    "Family",
    "Question",
    "about_conversation",
    "about_list",
]
