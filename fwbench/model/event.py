from typing import Literal

from fwbench.model.base import Frozen


class Event(Frozen):
    """Something that happened to a session besides its runs; `at` is ISO 8601, UTC."""

    at: str
    kind: Literal["resumed", "left-out", "set-aside", "interrupted", "repaired"]
    rig: str | None = None
    why: str
