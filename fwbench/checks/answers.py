"""Findings about how far a run came, and whether the contender gave the answer that it must."""

from fwbench.checks.context import Check, CheckContext, ClientContext
from fwbench.model.contender import Contract
from fwbench.model.observation import Answer
from fwbench.model.verdict import Level


def _run_failed(context: CheckContext) -> str | None:
    failure = context.observation.failure
    return None if failure is None else f"the run could not be executed to its end: {failure}"


def _never_ready(context: CheckContext) -> str | None:
    state = context.observation.container_before
    waited = _in(context.observation.phases.ready_s)
    if not _answers_before(context):
        if state is None or state.reached_idle is not False:
            return None
        return f"the application did not come to rest{_in(state.idle_wait_s)}, and gave no answer"

    def describe(share: ClientContext) -> str | None:
        answer = share.observation.answer_before
        if answer is None or answer.error is None:
            return None
        return f"no answer before the load{waited}: {answer.error}"

    return context.on_each_client(describe)


def _never_idle(context: CheckContext) -> str | None:
    answers, state = _answers_before(context), context.observation.container_before
    if not answers or any(answer.error is not None for answer in answers):
        return None
    if state is None or state.reached_idle is not False:
        return None
    return (
        f"the application answered, but its {context.contender.processes} processes did not come to"
        f" rest{_in(state.idle_wait_s)}; the load began all the same"
    )


def _answers_before(context: CheckContext) -> list[Answer]:
    """What the clients got; those that were not to ask any more have nothing."""
    answers = (share.observation.answer_before for share in context.clients)
    return [answer for answer in answers if answer is not None]


def _in(waited_s: float | None) -> str:
    return "" if waited_s is None else f" in {waited_s:.1f} s"


def _contract_broken(context: CheckContext) -> str | None:
    """No answer before the load is `never-ready`; none after it is a broken contract."""

    def describe(share: ClientContext) -> str | None:
        before, after = share.observation.answer_before, share.observation.answer_after
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
    """Unknown is not well: what was not looked at may have gone wrong unseen."""
    seen = context.observation
    if seen.failure is not None or seen.load is None:
        return None
    sides = [share.observation for share in context.clients]
    observed: dict[str, list[object]] = {
        "the answer before the load": [side.answer_before for side in sides],
        "the answer after the load": [side.answer_after for side in sides],
        "the container before the load": [seen.container_before],
        "the container after the load": [seen.container_after],
    }
    missing = [name for name, values in observed.items() if None in values]
    if context.same_container and any(state.oom_kills is None for state in context.same_container):
        missing.append("the kernel's count of OOM kills")
    return f"not observed: {', '.join(missing)}" if missing else None


def _difference(contract: Contract, answer: Answer) -> str | None:
    if answer.error is not None:
        return f"GET {contract.path} got no answer: {answer.error}"
    wanted_and_got = (
        ("status", contract.status, answer.status),
        ("content type", contract.content_type, answer.content_type),
    )
    for what, wanted, got in wanted_and_got:
        if wanted != got:
            return f"GET {contract.path} gave the {what} {got!r:.80}, not {wanted!r:.80}"
    if contract.body != answer.body:
        return f"GET {contract.path} gave {_bodies(contract.body, answer.body)}"
    return None


def _bodies(wanted: str, got: str | None) -> str:
    """Both bodies, from shortly before their first difference if that is far from the start."""
    if got is None:
        return f"no body, not {_shortened(wanted, 0)}"
    pairs = enumerate(zip(wanted, got, strict=False))
    differs = next((at for at, (a, b) in pairs if a != b), min(len(wanted), len(got)))
    start = differs - 10 if differs > 30 else 0
    where = f" from character {start + 1} on" if start else ""
    return f"the body {_shortened(got, start)}, not {_shortened(wanted, start)}{where}"


def _shortened(body: str, start: int) -> str:
    text = repr(body[start : start + 40])
    return f"{text}… ({len(body)} characters)" if start + 40 < len(body) else text


CHECKS = (
    Check(
        "run-failed",
        Level.INVALID,
        _run_failed,
        "Put right what the sentence above names, and look into the run's files, which are kept.",
    ),
    Check(
        "never-ready",
        Level.INVALID,
        _never_ready,
        "Read the container's log among the run's files. If the application only needs longer,"
        " raise start_timeout_s in the suite; if its workers are being killed, the memory limit.",
    ),
    Check(
        "contract-broken",
        Level.INVALID,
        _contract_broken,
        "Correct the application, or the contract in its contender.yml: contenders that answer"
        " something else cannot be compared.",
    ),
    Check(
        "never-idle",
        Level.SUSPECT,
        _never_idle,
        "Raise start_timeout_s in the suite: the start of workers may have been measured.",
    ),
    Check(
        "not-observed",
        Level.SUSPECT,
        _not_observed,
        "Find out why this could not be read on the host; until then nobody knows whether the run"
        " was sound.",
    ),
)
