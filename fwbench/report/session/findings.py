"""The sentences about findings."""

from collections import Counter
from collections.abc import Iterator

from fwbench.checks.registry import CHECKS_BY_CODE
from fwbench.report.formatting import counted, percent, wrap
from fwbench.stats.findings import FindingSummary, SaturatedClients
from fwbench.stats.summary import Summary


def finding_lines(summary: Summary) -> Iterator[str]:
    """Return each code once, with the contenders concerned, its first evidence and its advice.

    Then follow the checks that could not check all runs that are used.
    """
    if summary.findings:
        yield "Findings\n--------"
    else:
        yield "Findings: none." if summary.runs else "Findings: none, since no run was executed."
    for finding in summary.findings:
        yield "\n".join(
            [
                wrap(f"{finding.code} ({finding.level}): {concerned(finding)}", hanging="    "),
                wrap(f"{first_seen(finding)}: {finding.evidence}.", indent="    "),
                wrap(finding.advice, indent="    "),
            ]
        )
    yield from map(wrap, client_advice(summary))
    if sentences := list(unchecked_sentences(summary)):
        yield "\n".join(wrap(sentence, hanging="  ") for sentence in sentences)


def concerned(finding: FindingSummary) -> str:
    """Return the contenders that have a finding, and the number of runs."""
    return f"{', '.join(finding.contenders)}, {counted(finding.runs, 'run')}"


def first_seen(finding: FindingSummary) -> str:
    """Return in which run the evidence was seen."""
    return "Seen" if finding.runs == 1 else f"First seen in {finding.first_run}"


def client_advice(summary: Summary) -> Iterator[str]:
    """Return how many clients each rig needs, which the advice of a single run cannot know."""
    return map(_more_clients, summary.saturated_clients)


def unchecked_sentences(summary: Summary) -> Iterator[str]:
    """Return what checks could not observe, and which are not applicable, in the runs used."""
    runs = [run for run in summary.runs if run.verdict != "invalid"]
    not_observed = Counter(code for run in runs for code in run.not_observed)
    if not_observed:
        each = "; ".join(
            f"{code} ({_needs(code)}, {_of_runs(number, len(runs))})"
            for code, number in not_observed.items()
        )
        yield f"Not observed: {each}."
    not_applicable = Counter(code for run in runs for code in run.not_applicable)
    if not_applicable:
        by_number: dict[int, list[str]] = {}
        for code, number in not_applicable.items():
            by_number.setdefault(number, []).append(code)
        each = "; ".join(
            f"{', '.join(codes)} ({_of_runs(number, len(runs))})"
            for number, codes in by_number.items()
        )
        yield f"Not applicable: {each}."


def _needs(code: str) -> str:
    """Return what a check needs; a session of another version may have unknown codes."""
    check = CHECKS_BY_CODE.get(code)
    return "unknown" if check is None else check.needs


def _of_runs(number: int, total: int) -> str:
    return "all runs" if number == total else counted(number, "run")


def _more_clients(saturated: SaturatedClients) -> str:
    return (
        f"Add clients to rig {saturated.rig}: at least {saturated.clients_needed} instead of"
        f" {saturated.clients}, until the target is the limit. Clients are hosts with the same"
        f" fwbench_rig. h2load's busiest thread used {percent(saturated.busiest_cores)} of a CPU."
    )
