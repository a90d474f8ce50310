"""The section about events: resumptions, rigs that were given up, and lost attempts."""

from collections.abc import Iterator

from fwbench.model.event import Event
from fwbench.report.formatting import counted, wrap
from fwbench.stats.summary import LostAttempt, Summary


def event_lines(summary: Summary) -> Iterator[str]:
    """Return the section of a page of text, if there is anything to list."""
    if sentences := list(event_sentences(summary)):
        title = "Events"
        lines = [wrap(sentence, hanging="  ") for sentence in sentences]
        yield "\n".join([title, "-" * len(title), *lines])


def event_sentences(summary: Summary) -> Iterator[str]:
    """Return the events in their order, then the lost attempts, rig by rig."""
    yield from map(_event, summary.events)
    by_rig: dict[str, list[LostAttempt]] = {}
    for attempt in summary.lost_attempts:
        by_rig.setdefault(attempt.rig, []).append(attempt)
    for rig, attempts in by_rig.items():
        yield _lost(rig, attempts)


def is_quarantined(summary: Summary, rig: str) -> bool:
    """Return whether a rig was excluded or quarantined since the session was last resumed."""
    quarantined = False
    for event in summary.events:
        if event.kind == "resumed":
            quarantined = False
        elif event.rig == rig and event.kind in ("excluded", "quarantined"):
            quarantined = True
    return quarantined


def _event(event: Event) -> str:
    scope = "session" if event.rig is None else f"rig {event.rig}"
    text = f"{event.at} {scope} {event.kind}: {event.reason}"
    return text.rstrip(".") + "."


def _lost(rig: str, attempts: list[LostAttempt]) -> str:
    shown = dict.fromkeys(f"{lost.id}, attempt {lost.attempt}" for lost in attempts[:5])
    more = f"; {len(attempts) - 5} more" if len(attempts) > 5 else ""
    text = (
        f"Rig {rig} lost {counted(len(attempts), 'attempt')}, kept but never used"
        f" ({'; '.join(shown)}{more}). First: {attempts[0].reason}"
    )
    return text.rstrip(".") + "."
