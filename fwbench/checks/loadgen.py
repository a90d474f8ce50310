"""Findings about the load generators: did they do their work, and can what they said be read?"""

from fwbench.checks.context import Check, CheckContext, ClientContext
from fwbench.model.verdict import Level


def _loadgen_failed(context: CheckContext) -> str | None:
    def describe(share: ClientContext) -> str | None:
        load = share.result
        if load is None or load.timed_out:
            return None
        said = f", and wrote {load.stderr.strip()[:200]!r}" if load.stderr.strip() else ""
        if load.exit_status is None:
            return f"h2load was killed{said}"
        if load.exit_status != 0 or said:
            return f"h2load exited with status {load.exit_status}{said}"
        return None

    return context.on_each_client(describe)


def _loadgen_timeout(context: CheckContext) -> str | None:
    after = context.observation.phases.load_s

    def describe(share: ClientContext) -> str | None:
        if share.result is None or not share.result.timed_out:
            return None
        return "h2load did not end by itself" + ("" if after is None else f" within {after:.0f} s")

    return context.on_each_client(describe)


def _loadgen_output_unknown(context: CheckContext) -> str | None:
    def describe(share: ClientContext) -> str | None:
        load = share.result
        if load is None or load.summary is not None or load.timed_out:
            return None
        return f"h2load's output has no figures: {load.parse_error or 'it printed nothing'}"

    return context.on_each_client(describe)


CHECKS = (
    Check(
        "loadgen-failed",
        Level.INVALID,
        _loadgen_failed,
        "Read h2load's standard error among the run's files; execute its command by hand on the"
        " client.",
    ),
    Check(
        "loadgen-timeout",
        Level.INVALID,
        _loadgen_timeout,
        "Find out why the contender left requests without an answer. h2load before 1.64 also never"
        " ends when a server closes its connections.",
    ),
    Check(
        "loadgen-output-unknown",
        Level.INVALID,
        _loadgen_output_unknown,
        "Read h2load's output among the run's files. If it is whole, its version prints something"
        " that fwbench does not know yet: please report it with the file.",
    ),
)
