"""From what was sent and what was committed to figures; pure."""

from collections.abc import Mapping, Sequence

from tests.bench.sender import Answer
from tests.bench.traffic import Event

Figures = dict[str, float]


def acks(answers: Sequence[Answer]) -> Figures:
    """Return answers a second and the milliseconds to an answer."""
    took = [1000 * (answer.acked - answer.sent) for answer in answers]
    seconds = max(a.acked for a in answers) - min(a.sent for a in answers)
    refused = sum(answer.status != 200 for answer in answers)
    return {
        "posts_per_s": len(answers) / seconds,
        "ack_p50_ms": percentile(took, 50),
        "ack_p99_ms": percentile(took, 99),
        "refused": refused,
    }


def visible(
    answers: Sequence[Answer], committed: Mapping[str, float], happened: Sequence[Event]
) -> Figures:
    """Return the milliseconds from post to commit, what is missing, and what came out of order."""
    sent = {mid: answer for answer in answers if answer.status == 200 for mid in answer.mids}
    took = [1000 * (committed[mid] - sent[mid].sent) for mid in sent if mid in committed]
    return {
        "visible_p50_ms": percentile(took, 50),
        "visible_p95_ms": percentile(took, 95),
        "visible_p99_ms": percentile(took, 99),
        "lost": len(sent) - len(took),
        "out_of_order": _out_of_order(sent, committed, happened),
    }


def acked(answers: Sequence[Answer]) -> int:
    """Return how many events were acknowledged."""
    return sum(len(answer.mids) for answer in answers if answer.status == 200)


def stored_per_s(answers: Sequence[Answer], committed: Mapping[str, float]) -> float:
    """Return events a second from the first post to the last commit."""
    mids = [mid for answer in answers for mid in answer.mids if mid in committed]
    return len(mids) / (max(committed[m] for m in mids) - min(a.sent for a in answers))


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def _out_of_order(
    sent: Mapping[str, Answer], committed: Mapping[str, float], happened: Sequence[Event]
) -> int:
    """Count what was committed before an older one of its conversation that was acked earlier."""
    conversations: dict[tuple[str, str], list[str]] = {}
    for event in happened:
        if event.mid in sent and event.mid in committed:
            conversations.setdefault((event.page, event.person), []).append(event.mid)
    return sum(
        any(
            sent[older].acked < sent[mid].sent and committed[older] > committed[mid]
            for older in mids[max(0, number - 200) : number]
        )
        for mids in conversations.values()
        for number, mid in enumerate(mids)
    )
