"""fwbench could not observe something that other checks need.

Evidence: What is missing: the record of an answer, the container's state, or the kernel's count of
OOM kills. (An application that did not answer is another finding: `never-ready` or
`contract-broken`.)

Why: If the kernel does not count OOM kills, for example, a run with killed workers looks sound.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    """A value that is missing could have shown a failure, so the run is not simply valid."""
    observation = context.observation
    if observation.failure is not None or observation.load is None:
        return Status.NOT_APPLICABLE
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
    return f"not observed: {', '.join(missing)}" if missing else Status.PASSED


CHECK = Check(
    "not-observed",
    Level.SUSPECT,
    order=140,
    evaluate=_evaluate,
    advice="Find out why the host did not provide this. Without it, a failure can go unnoticed.",
)
