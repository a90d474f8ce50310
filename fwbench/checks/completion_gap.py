"""No request was answered for a second or more of the load (`completion_gap_s`).

Evidence: In which second of the load, or for how long. If this was at the end, when the last answer
came.

Why: A closed load waits for the server. A stall of a second delays only one request per
connection, and no percentile shows it.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.checks.support.thresholds import COMPLETION_GAP_S
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    """A gap at the end is in no row of the log, so the log's window is compared with the load's."""
    log, measured_s = context.log, context.window_s
    threshold_s = context.threshold(COMPLETION_GAP_S)
    if log is None or log.window_s is None:
        return Status.NOT_OBSERVED
    full_seconds = log.per_second[1:-1]  # the window begins and ends within the other two
    if empty := [second.at_s for second in full_seconds if not second.completions]:
        second = empty[0] - log.per_second[0].at_s + 1
        return f"no request was answered in second {second} of {log.window_s:.1f} s of load"
    gap_s = (log.longest_gap_us or 0) / 1e6
    if gap_s >= threshold_s:
        return (
            f"no request was answered for {gap_s:.2f} s of {log.window_s:.1f} s of load"
            f" (threshold: {threshold_s:g} s)"
        )
    if measured_s is not None and measured_s - log.window_s >= threshold_s:
        return f"the last answer came after {log.window_s:.1f} s of {measured_s:g} s of load"
    return on_each_client(context, lambda client: _ended_early(client, threshold_s))


def _ended_early(client: ClientContext, threshold_s: float) -> Outcome:
    """The overlap of several clients ends with the first of them, so each one is checked alone."""
    began_s, ended_s, duration_s = (
        client.observation.began_s,
        client.observation.ended_s,
        client.load.duration_s,
    )
    if began_s is None or ended_s is None or duration_s is None:
        return Status.PASSED
    if duration_s - (ended_s - began_s) < threshold_s:
        return Status.PASSED
    return f"the last answer came after {ended_s - began_s:.1f} s of {duration_s:g} s of load"


CHECK = Check(
    "completion-gap",
    Level.INVALID,
    order=460,
    evaluate=_evaluate,
    advice="Look for what paused the server, in container.log and on the host: a restarted"
    " worker, a long garbage collection, a paused virtual machine. If the endpoint really"
    " takes a second, use more connections.",
    thresholds=(COMPLETION_GAP_S,),
    needs="the log of the load generator",
    reads_log=True,
)
