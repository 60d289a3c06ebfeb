"""The names things go by, so that a Page's id is never mistaken for a person's."""

from functools import lru_cache
from typing import NewType
from uuid import UUID, uuid5

PageId = NewType("PageId", str)
"""Facebook's id of a Page, or of an Instagram account: always `entry.id` of its webhooks."""

ParticipantId = NewType("ParticipantId", str)
"""The person of a conversation: PSID, IGSID, or `t:` + thread id where Graph names nobody."""

Mid = NewType("Mid", str)
"""Facebook's id of a message, unique within its Page."""

ThreadId = NewType("ThreadId", str)
"""Graph's id of a conversation (`t_…`), unique within its Page."""

MAX_ID_BYTES = 512
"""Longer ids would not fit an index entry; Facebook's longest seen is about 170 bytes."""

_CONVERSATIONS = UUID("6f0c2f0e-6f0b-5b39-9d52-3a7d3c1f4b10")


@lru_cache(maxsize=65_536)
def conversation_id(page_id: str, participant_id: str) -> UUID:
    """Return the id of a conversation row: the same on every machine and after every replay."""
    return uuid5(_page_namespace(page_id), participant_id)


@lru_cache(maxsize=1024)
def _page_namespace(page_id: str) -> UUID:
    return uuid5(_CONVERSATIONS, page_id)
