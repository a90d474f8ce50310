"""Checks of the run as a whole, and of the contender's answers before and after the load."""

from fwbench.checks.context import Check, CheckContext, ClientContext
from fwbench.model.contender import Contract
from fwbench.model.observation import Answer
from fwbench.model.verdict import Level


def _run_failed(context: CheckContext) -> str | None:
    failure = context.observation.failure
    return None if failure is None else f"the run ended early: {failure}"


def _never_ready(context: CheckContext) -> str | None:
    state = context.observation.container_before
    if not _answers_before(context):
        if state is None or state.reached_idle is not False:
            return None
        return f"the application neither became idle nor answered{_waited(state.idle_wait_s, 'in')}"
    waited = _waited(context.observation.phases.ready_s, "within")

    def describe(client: ClientContext) -> str | None:
        answer = client.observation.answer_before
        if answer is None or answer.error is None:
            return None
        return f"the application did not answer{waited} before the load: {answer.error}"

    return context.on_each_client(describe)


def _never_idle(context: CheckContext) -> str | None:
    answers, state = _answers_before(context), context.observation.container_before
    if not answers or any(answer.error is not None for answer in answers):
        return None
    if state is None or state.reached_idle is not False:
        return None
    return (
        f"the application answered, but its {context.contender.processes} processes did not become"
        f" idle{_waited(state.idle_wait_s, 'within')}; fwbench started the load anyway"
    )


def _answers_before(context: CheckContext) -> list[Answer]:
    """Return the answers of the clients that sent a request before the load."""
    answers = (client.observation.answer_before for client in context.clients)
    return [answer for answer in answers if answer is not None]


def _waited(seconds: float | None, preposition: str) -> str:
    return "" if seconds is None else f" {preposition} {seconds:.1f} s"


def _contract_broken(context: CheckContext) -> str | None:
    """No answer before the load is `never-ready`; no answer after it is a broken contract."""

    def describe(client: ClientContext) -> str | None:
        before, after = client.observation.answer_before, client.observation.answer_after
        if before is not None and before.error is None:
            difference = _difference(context.contract, before)
            if difference is not None:
                return f"before the load, {difference}"
        if after is not None:
            difference = _difference(context.contract, after)
            if difference is not None:
                return f"after the load, {difference}"
        return None

    return context.on_each_client(describe)


def _not_observed(context: CheckContext) -> str | None:
    """A value that is missing could have shown a failure, so the run is not simply valid."""
    observation = context.observation
    if observation.failure is not None or observation.load is None:
        return None
    clients = [client.observation for client in context.clients]
    observed: dict[str, list[object]] = {
        "the answer before the load": [client.answer_before for client in clients],
        "the answer after the load": [client.answer_after for client in clients],
        "the container before the load": [observation.container_before],
        "the container after the load": [observation.container_after],
    }
    missing = [name for name, values in observed.items() if None in values]
    if context.same_container and any(state.oom_kills is None for state in context.same_container):
        missing.append("the kernel's count of OOM kills")
    return f"not observed: {', '.join(missing)}" if missing else None


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


CHECKS = (
    Check(
        "run-failed",
        Level.INVALID,
        _run_failed,
        "Fix the error named above. The run's files contain what the run produced until then.",
    ),
    Check(
        "never-ready",
        Level.INVALID,
        _never_ready,
        "Read container.log in the run's files. If the application only needs more time, raise"
        " start_timeout_s in the suite. If the kernel kills its workers, raise the memory limit.",
    ),
    Check(
        "contract-broken",
        Level.INVALID,
        _contract_broken,
        "Correct the application, or the contract in its contender.yml. Contenders that do"
        " different work cannot be compared.",
    ),
    Check(
        "never-idle",
        Level.SUSPECT,
        _never_idle,
        "Raise start_timeout_s in the suite. The load may have measured workers that were still"
        " starting.",
    ),
    Check(
        "not-observed",
        Level.SUSPECT,
        _not_observed,
        "Find out why the host did not provide this. Without it, a failure can go unnoticed.",
    ),
)
