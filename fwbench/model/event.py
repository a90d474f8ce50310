"""Events of a session."""

from typing import Literal

from fwbench.model.base import Frozen


class Event(Frozen):
    """An event of a session that is not a run; `at` is ISO 8601 in UTC."""

    at: str
    kind: Literal["resumed", "excluded", "quarantined", "interrupted", "repaired"]
    rig: str | None = None
    reason: str
