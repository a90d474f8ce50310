from collections.abc import Iterator

from fwbench.report.formatting import counted, wrap
from fwbench.stats.finding_summary import FindingSummary
from fwbench.stats.saturation import SaturatedClients
from fwbench.stats.summary import Summary


def finding_lines(summary: Summary) -> Iterator[str]:
    """Each code once: whom it concerns, what was seen the first time, and what to do about it."""
    if not summary.findings:
        yield "Findings: none." if summary.runs else "Findings: none, since no run was executed."
        return
    yield "Findings\n--------"
    for doubt in summary.findings:
        yield _described(doubt)
    yield from map(_proposed, summary.saturated_clients)


def _proposed(rig: SaturatedClients) -> str:
    """What to do about clients that were the limit; a finding alone does not know the rig."""
    return wrap(
        f"Add clients to rig {rig.rig} (hosts with the same fwbench_rig), at least"
        f" {rig.clients_needed} in all instead of {rig.clients}, until the target is the limit:"
        f" h2load's busiest thread had a CPU for {rig.busiest_cores:.0%} of the time."
    )


def _described(doubt: FindingSummary) -> str:
    whom = f"{', '.join(doubt.contenders)}, {counted(doubt.runs, 'run')}"
    seen = "Seen" if doubt.runs == 1 else f"Seen first in {doubt.first_run}"
    return "\n".join(
        [
            wrap(f"{doubt.code} ({doubt.level}): {whom}", hanging="    "),
            wrap(f"{seen}: {doubt.evidence}.", indent="    "),
            wrap(doubt.advice, indent="    "),
        ]
    )
