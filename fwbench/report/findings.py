"""The section about findings."""

from collections.abc import Iterator

from fwbench.report.formatting import counted, percent, wrap
from fwbench.stats.findings import FindingSummary, SaturatedClients
from fwbench.stats.summary import Summary


def finding_lines(summary: Summary) -> Iterator[str]:
    """Return each code once, with the contenders concerned, its first evidence and its advice."""
    if not summary.findings:
        yield "Findings: none." if summary.runs else "Findings: none, since no run was executed."
        return
    yield "Findings\n--------"
    for finding in summary.findings:
        yield _finding(finding)
    yield from map(_more_clients, summary.saturated_clients)


def _more_clients(saturated: SaturatedClients) -> str:
    """Return how many clients a rig needs, which the advice of a single run cannot know."""
    return wrap(
        f"Add clients to rig {saturated.rig}: at least {saturated.clients_needed} instead of"
        f" {saturated.clients}, until the target is the limit. Clients are hosts with the same"
        f" fwbench_rig. h2load's busiest thread used {percent(saturated.busiest_cores)} of a CPU."
    )


def _finding(finding: FindingSummary) -> str:
    runs = f"{', '.join(finding.contenders)}, {counted(finding.runs, 'run')}"
    seen = "Seen" if finding.runs == 1 else f"First seen in {finding.first_run}"
    return "\n".join(
        [
            wrap(f"{finding.code} ({finding.level}): {runs}", hanging="    "),
            wrap(f"{seen}: {finding.evidence}.", indent="    "),
            wrap(finding.advice, indent="    "),
        ]
    )
