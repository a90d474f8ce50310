"""Names of suites, contenders, endpoints and runs."""

from typing import Annotated

from pydantic import StringConstraints

# Names become parts of paths, container names and image tags; this is the strictest of their rules.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


def aa_control_name(baseline: str) -> str:
    """Return the label of a baseline's A/A control."""
    return f"{baseline}-aa"
