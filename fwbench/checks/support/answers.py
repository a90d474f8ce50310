"""What several checks ask about the answers before the load."""

from fwbench.checks.support.context import CheckContext
from fwbench.model.observation import Answer


def answers_before(context: CheckContext) -> list[Answer]:
    """Return the answers of the clients that sent a request before the load."""
    answers = (client.observation.answer_before for client in context.clients)
    return [answer for answer in answers if answer is not None]


def waited(seconds: float | None, preposition: str) -> str:
    """Return ` within 30.0 s`, or nothing if the time is unknown."""
    return "" if seconds is None else f" {preposition} {seconds:.1f} s"
