from typing import Literal

from fwbench.model.base import Frozen


class Event(Frozen):
    """Something that happened to a session besides its runs; `at` is ISO 8601, UTC."""

    at: str
    kind: Literal["resumed", "excluded", "quarantined", "interrupted", "repaired"]
    rig: str | None = None
    reason: str
