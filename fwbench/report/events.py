"""What happened on the way: nothing of a session vanishes because it went wrong."""

from collections.abc import Iterator

from fwbench.model.event import Event
from fwbench.report.formatting import counted, wrap
from fwbench.stats.summary import LostAttempt, Summary


def event_lines(summary: Summary) -> Iterator[str]:
    """The events in their order, then the attempts that were lost, rig by rig."""
    if not summary.events and not summary.lost_attempts:
        return
    lines = [wrap(_event(event), hanging="  ") for event in summary.events]
    by_rig: dict[str, list[LostAttempt]] = {}
    for attempt in summary.lost_attempts:
        by_rig.setdefault(attempt.rig, []).append(attempt)
    lines += [wrap(_lost(rig, attempts), hanging="  ") for rig, attempts in by_rig.items()]
    title = "What happened on the way"
    yield "\n".join([title, "-" * len(title), *lines])


def is_quarantined(summary: Summary, rig: str) -> bool:
    """Whether a rig was given up since the session was last resumed, which takes it up again."""
    given = False
    for event in summary.events:
        if event.kind == "resumed":
            given = False
        elif event.rig == rig and event.kind in ("excluded", "quarantined"):
            given = True
    return given


def _event(event: Event) -> str:
    rig = "the session" if event.rig is None else f"rig {event.rig}"
    said = {
        "resumed": f"resumed {event.at}",
        "excluded": f"{rig} left out {event.at}",
        "quarantined": f"{rig} set aside {event.at}",
        "interrupted": f"{rig} interrupted {event.at}",
        "repaired": f"repaired {event.at}",
    }[event.kind]
    return f"{said[0].upper()}{said[1:]}: {event.reason}".rstrip(".") + "."


def _lost(rig: str, attempts: list[LostAttempt]) -> str:
    first = attempts[0]
    each = "; ".join(dict.fromkeys(f"{one.id}, attempt {one.attempt}" for one in attempts[:5]))
    more = f"; {len(attempts) - 5} more" if len(attempts) > 5 else ""
    number = counted(len(attempts), "attempt")
    said = f"Lost on rig {rig}, kept and never used: {number} ({each}{more}). First: {first.reason}"
    return said.rstrip(".") + "."
