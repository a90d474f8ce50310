"""An answer differs from `contender.yml` in status, content type or body.

If the application does not answer after the load, that is this finding too. If it does not answer
before the load, the finding is `never-ready`.

Evidence: The actual and the expected value, and whether this was before or after the load. Long
bodies are shown from their first difference on.

Why: An error page is often faster than the real page. h2load does not look at bodies, and its
`req/s` of the load counts every status.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.model.contender import Contract
from fwbench.model.observation import Answer
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    def evaluate(client: ClientContext) -> Outcome:
        before, after = client.observation.answer_before, client.observation.answer_after
        if before is not None and before.error is None:
            difference = _difference(context.contract, before)
            if difference is not None:
                return f"before the load, {difference}"
        if after is not None:
            difference = _difference(context.contract, after)
            if difference is not None:
                return f"after the load, {difference}"
        return Status.NOT_OBSERVED if before is None or after is None else Status.PASSED

    return on_each_client(context, evaluate)


def _difference(contract: Contract, answer: Answer) -> str | None:
    if answer.error is not None:
        return f"GET {contract.path} got no answer: {answer.error}"
    fields = (
        ("status", contract.status, answer.status),
        ("content type", contract.content_type, answer.content_type),
    )
    for field, expected, actual in fields:
        if expected != actual:
            return (
                f"GET {contract.path} returned {field} {actual!r:.80} instead of {expected!r:.80}"
            )
    if contract.body != answer.body:
        return f"GET {contract.path} returned {_body_difference(contract.body, answer.body)}"
    return None


def _body_difference(expected: str, actual: str | None) -> str:
    """Return both bodies; long ones from shortly before their first difference on."""
    if actual is None:
        return f"no body instead of {_excerpt(expected, 0)}"
    pairs = enumerate(zip(expected, actual, strict=False))
    shorter = min(len(expected), len(actual))
    differs = next((position for position, (a, b) in pairs if a != b), shorter)
    start = differs - 10 if differs > 30 else 0
    where = f" (from character {start + 1} on)" if start else ""
    return f"the body {_excerpt(actual, start)} instead of {_excerpt(expected, start)}{where}"


def _excerpt(body: str, start: int) -> str:
    text = repr(body[start : start + 40])
    return f"{text}… ({len(body)} characters)" if start + 40 < len(body) else text


CHECK = Check(
    "contract-broken",
    Level.INVALID,
    order=120,
    evaluate=_evaluate,
    advice="Correct the application, or the contract in its contender.yml. Contenders that do"
    " different work cannot be compared.",
    needs="the answers before and after the load",
)
