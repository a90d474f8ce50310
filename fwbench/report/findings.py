from collections.abc import Iterator

from fwbench.report.formatting import counted, wrapped
from fwbench.stats.finding_summary import Doubt
from fwbench.stats.saturation import Saturated
from fwbench.stats.summary import Summary


def listed(summary: Summary) -> Iterator[str]:
    """Each code once: whom it concerns, what was seen the first time, and what to do about it."""
    if not summary.findings:
        yield "Findings: none." if summary.runs else "Findings: none, since no run was executed."
        return
    yield "Findings\n--------"
    for doubt in summary.findings:
        yield _described(doubt)
    yield from map(_proposed, summary.saturated)


def _proposed(rig: Saturated) -> str:
    """What to do about clients that were the limit; a finding alone does not know the rig."""
    return wrapped(
        f"Add clients to rig {rig.rig} (hosts with the same fwbench_rig), at least"
        f" {rig.clients_needed} in all instead of {rig.clients}, until the target is the limit:"
        f" h2load's busiest thread had a CPU for {rig.busiest_cores:.0%} of the time."
    )


def _described(doubt: Doubt) -> str:
    whom = f"{', '.join(doubt.contenders)}, {counted(doubt.runs, 'run')}"
    seen = "Seen" if doubt.runs == 1 else f"Seen first in {doubt.first_run}"
    return "\n".join(
        [
            wrapped(f"{doubt.code} ({doubt.level}): {whom}", hanging="    "),
            wrapped(f"{seen}: {doubt.evidence}.", indent="    "),
            wrapped(doubt.advice, indent="    "),
        ]
    )
