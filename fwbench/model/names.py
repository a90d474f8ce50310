from typing import Annotated

from pydantic import StringConstraints

# Names become parts of paths, container names and image tags: the narrowest of the three rules.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


def aa_control_name(baseline: str) -> str:
    """What the A/A control of a baseline is called: the baseline once more, under another name."""
    return f"{baseline}-aa"
