"""Checks of the load generators: did they work, and can fwbench parse their output?"""

from fwbench.checks.context import Check, CheckContext, ClientContext
from fwbench.model.verdict import Level


def _loadgen_failed(context: CheckContext) -> str | None:
    def describe(client: ClientContext) -> str | None:
        result = client.result
        if result is None or result.timed_out:
            return None
        stderr = result.stderr.strip()
        wrote = f"; standard error: {stderr[:200]!r}" if stderr else ""
        if result.exit_status is None:
            return f"h2load was killed{wrote}"
        if result.exit_status != 0 or wrote:
            return f"h2load exited with status {result.exit_status}{wrote}"
        return None

    return context.on_each_client(describe)


def _loadgen_timeout(context: CheckContext) -> str | None:
    load_s = context.observation.phases.load_s

    def describe(client: ClientContext) -> str | None:
        if client.result is None or not client.result.timed_out:
            return None
        return "h2load did not end" + ("" if load_s is None else f" within {load_s:.0f} s")

    return context.on_each_client(describe)


def _loadgen_output_unknown(context: CheckContext) -> str | None:
    def describe(client: ClientContext) -> str | None:
        result = client.result
        if result is None or result.summary is not None or result.timed_out:
            return None
        reason = result.parse_error or "it printed nothing"
        return f"h2load's output could not be parsed: {reason}"

    return context.on_each_client(describe)


CHECKS = (
    Check(
        "loadgen-failed",
        Level.INVALID,
        _loadgen_failed,
        "Read h2load.err in the run's files, and run h2load's command (in commands.json) by hand on"
        " the client.",
    ),
    Check(
        "loadgen-timeout",
        Level.INVALID,
        _loadgen_timeout,
        "Find out why the contender left requests unanswered. h2load before 1.64 also never ends if"
        " a server closes its connections.",
    ),
    Check(
        "loadgen-output-unknown",
        Level.INVALID,
        _loadgen_output_unknown,
        "Read h2load.out in the run's files. If the output is complete, open an issue with the"
        " file: this version of h2load prints something that fwbench cannot parse yet.",
    ),
)
