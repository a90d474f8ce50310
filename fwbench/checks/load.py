"""Checks of the load: failures that h2load hides behind exit status 0."""

from fwbench.checks.context import Check, CheckContext, ClientContext, counted, threshold_percent
from fwbench.loadgen.h2load import connection_rate_ratio
from fwbench.model.verdict import Level


def _requests_failed(context: CheckContext) -> str | None:
    def describe(client: ClientContext) -> str | None:
        summary = client.summary
        if summary is None:
            return None
        errored, timed_out = summary.requests_errored, summary.requests_timed_out
        failed = max(summary.requests_failed, errored, timed_out)
        if failed <= context.thresholds.failed_requests * summary.requests_total:
            return None
        return (
            f"{failed} of {counted(summary.requests_total, 'request')} failed"
            f" ({errored} without an answer, {timed_out} timed out)"
        )

    return context.on_each_client(describe)


def _responses_not_2xx(context: CheckContext) -> str | None:
    def describe(client: ClientContext) -> str | None:
        summary = client.summary
        if summary is None:
            return None
        by_class = {
            "3xx": summary.status_3xx,
            "4xx": summary.status_4xx,
            "5xx": summary.status_5xx,
        }
        not_2xx = sum(by_class.values())
        if not_2xx <= context.thresholds.failed_requests * summary.requests_done:
            return None
        each = ", ".join(f"{name}: {number}" for name, number in by_class.items() if number)
        return (
            f"{not_2xx} of {counted(summary.requests_done, 'response')} did not have a 2xx status"
            f" ({each})"
        )

    return context.on_each_client(describe)


def _nothing_done(context: CheckContext) -> str | None:
    if context.observation.load is None and context.observation.failure is None:
        return "no load was executed"

    def describe(client: ClientContext) -> str | None:
        if client.summary is None or client.summary.requests_done:
            return None
        return "no request was answered"

    return context.on_each_client(describe)


def _log_mismatch(context: CheckContext) -> str | None:
    def describe(client: ClientContext) -> str | None:
        summary, log = client.summary, client.result.log if client.result else None
        if summary is None:
            return None
        if log is None:
            return "h2load left no log" if summary.requests_done else None
        rows = log.rows + log.rows_outside_window
        if rows == summary.requests_done and not log.truncated_rows:
            return None
        truncated = (
            f" and {counted(log.truncated_rows, 'truncated row')}" if log.truncated_rows else ""
        )
        answered = counted(summary.requests_done, "answered request")
        return f"h2load counts {answered}; its log has {counted(rows, 'row')}{truncated}"

    return context.on_each_client(describe)


def _requests_lost(context: CheckContext) -> str | None:
    """At the end, each connection may have one request under way; any more are lost."""

    def describe(client: ClientContext) -> str | None:
        summary, connections = client.summary, client.load.connections
        if summary is None:
            return None
        unanswered = summary.requests_started - summary.requests_done
        if unanswered <= connections:
            return None
        return (
            f"{unanswered} of {summary.requests_started} requests that were sent got no answer; at"
            f" most {connections} can be under way at the end, one per connection"
        )

    return context.on_each_client(describe)


def _connections_lost(context: CheckContext) -> str | None:
    """h2load divides a lost connection's requests by the time it lived, not by the load's time."""

    def describe(client: ClientContext) -> str | None:
        summary, load = client.summary, client.load
        if summary is None or load.duration_s is None or load.rate is not None:
            return None
        ratio = connection_rate_ratio(summary, load.connections)
        threshold = context.thresholds.connection_rate_ratio
        if ratio is None or ratio <= threshold:
            return None
        return (
            f"{load.connections} × the mean rate of a connection is {ratio:.2f} times the load's"
            f" {summary.rate_per_s:.0f} req/s (threshold: {threshold:g}); if every connection had"
            f" lasted to the end, it would be 1.00"
        )

    return context.on_each_client(describe)


def _completion_gap(context: CheckContext) -> str | None:
    """A gap at the end is in no row of the log, so the log's window is compared with the load's."""
    log, measured_s = context.log, context.window_s
    threshold_s = context.thresholds.completion_gap_s
    if log is None or log.window_s is None:
        return None
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
    return context.on_each_client(lambda client: _ended_early(context, client))


def _ended_early(context: CheckContext, client: ClientContext) -> str | None:
    """The overlap of several clients ends with the first of them, so each one is checked alone."""
    began_s, ended_s, duration_s = (
        client.observation.began_s,
        client.observation.ended_s,
        client.load.duration_s,
    )
    if began_s is None or ended_s is None or duration_s is None:
        return None
    if duration_s - (ended_s - began_s) < context.thresholds.completion_gap_s:
        return None
    return f"the last answer came after {ended_s - began_s:.1f} s of {duration_s:g} s of load"


def _too_short(context: CheckContext) -> str | None:
    def describe(client: ClientContext) -> str | None:
        summary, load = client.summary, client.load
        if summary is None or load.requests is None or not summary.requests_done:
            return None
        threshold_s = context.thresholds.too_short_s
        if summary.elapsed_s >= threshold_s:
            return None
        took = f"{summary.elapsed_s:.2f}" if summary.elapsed_s >= 0.01 else "less than 0.01"
        return (
            f"{counted(load.requests, 'request')} over {counted(load.connections, 'connection')}"
            f" took {took} s, start-up effects included (threshold: {threshold_s:g} s)"
        )

    return context.on_each_client(describe)


def _connection_mean_biased(context: CheckContext) -> str | None:
    """With a number of requests, fast connections end early and raise the mean over connections."""

    def describe(client: ClientContext) -> str | None:
        summary, load = client.summary, client.load
        if summary is None or load.requests is None:
            return None
        ratio = connection_rate_ratio(summary, load.connections)
        threshold = context.thresholds.connection_mean_bias
        if ratio is None or abs(ratio - 1) <= threshold:
            return None
        return (
            f"{counted(load.connections, 'connection')} × {summary.rate_per_connection.mean:.2f}"
            f" req/s per connection is {ratio:.2f} times the throughput of"
            f" {summary.rate_per_s:.0f} req/s ({threshold_percent(threshold)})"
        )

    return context.on_each_client(describe)


CHECKS = (
    Check(
        "nothing-done",
        Level.INVALID,
        _nothing_done,
        "Check that the client can reach the target's load address and port. A firewall or a wrong"
        " fwbench_load_address has this effect.",
    ),
    Check(
        "requests-failed",
        Level.INVALID,
        _requests_failed,
        "Read container.log in the run's files for the time of the load. The contender may need"
        " fewer connections, more workers or more memory.",
    ),
    Check(
        "responses-not-2xx",
        Level.INVALID,
        _responses_not_2xx,
        "Read container.log in the run's files. h2load counts errors and redirects as answers, and"
        " they are often faster.",
    ),
    Check(
        "log-mismatch",
        Level.INVALID,
        _log_mismatch,
        "Check that the client's disk is not full, and that nothing else writes to the run's"
        " files.",
    ),
    Check(
        "requests-lost",
        Level.INVALID,
        _requests_lost,
        "Look for connections that the server, or a device between the hosts, cut.",
    ),
    Check(
        "connections-lost",
        Level.INVALID,
        _connections_lost,
        "Look for connections that the server closed during the load. h2load does not reopen them,"
        " and does not count the requests that they could not send.",
    ),
    Check(
        "completion-gap",
        Level.INVALID,
        _completion_gap,
        "Look for what paused the server, in container.log and on the host: a restarted worker, a"
        " long garbage collection, a paused virtual machine.",
    ),
    Check(
        "too-short",
        Level.NOTE,
        _too_short,
        "Set a duration_s of several seconds and a warm_up_s instead of a number of requests.",
    ),
    Check(
        "connection-mean-biased",
        Level.NOTE,
        _connection_mean_biased,
        "Use the throughput instead of h2load's `req/s per connection`. With a number of requests,"
        " fast connections end early and raise the mean over connections.",
    ),
)
