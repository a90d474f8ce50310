"""Findings about the load: each exposes something that h2load hides behind exit status 0."""

from fwbench.checks.context import Check, CheckContext, ClientContext, counted
from fwbench.loadgen.h2load import connection_rate_ratio
from fwbench.model.verdict import Level


def _requests_failed(context: CheckContext) -> str | None:
    def describe(share: ClientContext) -> str | None:
        figures = share.summary
        if figures is None:
            return None
        failed, errored = figures.requests_failed, figures.requests_errored
        timed_out = figures.requests_timed_out
        lost = max(failed, errored, timed_out)
        if lost <= context.thresholds.failed_requests * figures.requests_total:
            return None
        return (
            f"{lost} of {counted(figures.requests_total, 'request')} failed"
            f" ({errored} without an answer, {timed_out} timed out)"
        )

    return context.on_each_client(describe)


def _responses_not_2xx(context: CheckContext) -> str | None:
    def describe(share: ClientContext) -> str | None:
        figures = share.summary
        if figures is None:
            return None
        by_class = {
            "3xx": figures.status_3xx,
            "4xx": figures.status_4xx,
            "5xx": figures.status_5xx,
        }
        others = [f"{number} {name}" for name, number in by_class.items() if number]
        if sum(by_class.values()) <= context.thresholds.failed_requests * figures.requests_done:
            return None
        return f"of {counted(figures.requests_done, 'response')}, {', '.join(others)}"

    return context.on_each_client(describe)


def _nothing_done(context: CheckContext) -> str | None:
    if context.observation.load is None and context.observation.failure is None:
        return "no load was executed"

    def describe(share: ClientContext) -> str | None:
        if share.summary is None or share.summary.requests_done:
            return None
        return "not one request was answered"

    return context.on_each_client(describe)


def _log_mismatch(context: CheckContext) -> str | None:
    def describe(share: ClientContext) -> str | None:
        figures, log = share.summary, share.result.log if share.result else None
        if figures is None:
            return None
        if log is None:
            return "h2load left no log" if figures.requests_done else None
        rows = log.rows + log.rows_outside_window
        if rows == figures.requests_done and not log.truncated_rows:
            return None
        torn = f" and {counted(log.truncated_rows, 'broken row')}" if log.truncated_rows else ""
        answered = counted(figures.requests_done, "answered request")
        return f"h2load counts {answered}; its log has {counted(rows, 'row')}{torn}"

    return context.on_each_client(describe)


def _requests_lost(context: CheckContext) -> str | None:
    """At the end, each connection may have one request under way: more than these are lost."""

    def describe(share: ClientContext) -> str | None:
        figures, connections = share.summary, share.load.connections
        if figures is None:
            return None
        unanswered = figures.requests_started - figures.requests_done
        if unanswered <= connections:
            return None
        return (
            f"{unanswered} of {figures.requests_started} requests that were sent got no answer;"
            f" {counted(connections, 'connection')} can have only {connections} under way at the"
            f" end"
        )

    return context.on_each_client(describe)


def _connections_lost(context: CheckContext) -> str | None:
    """With a duration, a lost connection's rate is over its own life, the headline over it all."""

    def describe(share: ClientContext) -> str | None:
        figures, load = share.summary, share.load
        if figures is None or load.duration_s is None or load.rate is not None:
            return None
        ratio = connection_rate_ratio(figures, load.connections)
        if ratio is None or ratio <= context.thresholds.connections_over_headline:
            return None
        return (
            f"the mean rate of a connection, times {load.connections}, is {ratio:.2f} times the"
            f" {figures.rate_per_s:.0f} req/s of the whole load; it would be 1.00 had all"
            f" connections lived to its end"
        )

    return context.on_each_client(describe)


def _completion_gap(context: CheckContext) -> str | None:
    """A gap at the end shows in no row of the log, so the window is held against the duration."""
    log, measured_s = context.log, context.window_s
    if log is None or log.window_s is None:
        return None
    whole = log.per_second[1:-1]  # the window begins and ends somewhere in the other two
    if empty := [second.at_s for second in whole if not second.completions]:
        second = empty[0] - log.per_second[0].at_s + 1
        return f"no request was answered in second {second} of {log.window_s:.1f} s of load"
    gap_s = (log.longest_gap_us or 0) / 1e6
    if gap_s >= context.thresholds.completion_gap_s:
        return f"no request was answered for {gap_s:.2f} s of {log.window_s:.1f} s of load"
    if measured_s is not None and measured_s - log.window_s >= context.thresholds.completion_gap_s:
        return f"the last answer came after {log.window_s:.1f} s of {measured_s:g} s of load"
    return context.on_each_client(lambda share: _ended_early(context, share))


def _ended_early(context: CheckContext, share: ClientContext) -> str | None:
    """Of several clients: the time in which all loaded ends with the last answer to any of them."""
    began_s, ended_s, lasts_s = (
        share.observation.began_s,
        share.observation.ended_s,
        share.load.duration_s,
    )
    if began_s is None or ended_s is None or lasts_s is None:
        return None
    if lasts_s - (ended_s - began_s) < context.thresholds.completion_gap_s:
        return None
    return f"the last answer came after {ended_s - began_s:.1f} s of {lasts_s:g} s of load"


def _too_short(context: CheckContext) -> str | None:
    def describe(share: ClientContext) -> str | None:
        figures, load = share.summary, share.load
        if figures is None or load.requests is None or not figures.requests_done:
            return None
        if figures.elapsed_s >= context.thresholds.too_short_s:
            return None
        took = f"{figures.elapsed_s:.2f}" if figures.elapsed_s >= 0.01 else "less than 0.01"
        return (
            f"{counted(load.requests, 'request')} over {counted(load.connections, 'connection')}"
            f" took {took} s, start-up effects included"
        )

    return context.on_each_client(describe)


def _connection_mean_biased(context: CheckContext) -> str | None:
    """With a number of requests, quick connections end early and raise the mean over them all."""

    def describe(share: ClientContext) -> str | None:
        figures, load = share.summary, share.load
        if figures is None or load.requests is None:
            return None
        ratio = connection_rate_ratio(figures, load.connections)
        if ratio is None or abs(ratio - 1) <= context.thresholds.connection_mean_off:
            return None
        each = f"{figures.rate_per_connection.mean:.2f} req/s"
        return (
            f"{counted(load.connections, 'connection')} × {each} each would be {ratio:.2f} times"
            f" the {figures.rate_per_s:.0f} req/s that were answered"
        )

    return context.on_each_client(describe)


CHECKS = (
    Check(
        "nothing-done",
        Level.INVALID,
        _nothing_done,
        "Check that the client reaches the target's load address and port: a firewall or a wrong"
        " fwbench_load_address looks like this.",
    ),
    Check(
        "requests-failed",
        Level.INVALID,
        _requests_failed,
        "Read the container's log for the time of the load; fewer connections, more workers or more"
        " memory may be needed.",
    ),
    Check(
        "responses-not-2xx",
        Level.INVALID,
        _responses_not_2xx,
        "Read the container's log: h2load counts errors and redirections as quick answers.",
    ),
    Check(
        "log-mismatch",
        Level.INVALID,
        _log_mismatch,
        "Check that the client's disk is not full and that nothing else wrote to the run's files.",
    ),
    Check(
        "requests-lost",
        Level.INVALID,
        _requests_lost,
        "Look for connections that the server or something between the hosts cut off.",
    ),
    Check(
        "connections-lost",
        Level.INVALID,
        _connections_lost,
        "Look for connections that the server cut off during the load: h2load opens none anew and"
        " does not count what they would have done.",
    ),
    Check(
        "completion-gap",
        Level.INVALID,
        _completion_gap,
        "Look into the container's log and the host for what stood still: a worker's restart, a"
        " long garbage collection, a paused virtual machine.",
    ),
    Check(
        "too-short",
        Level.NOTE,
        _too_short,
        "Give the load a duration_s of some seconds after a warm_up_s instead of a number of"
        " requests.",
    ),
    Check(
        "connection-mean-biased",
        Level.NOTE,
        _connection_mean_biased,
        "Take the throughput instead of `req/s per connection`: it is the mean over connections,"
        " and with a number of requests the quick ones stop early.",
    ),
)
