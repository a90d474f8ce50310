"""The sentences about a session as a whole."""

from collections.abc import Iterator

from fwbench.report.formatting import counted
from fwbench.report.session.groups import number_of_rigs
from fwbench.stats.summary import Summary


def about_session(summary: Summary) -> str:
    """Return suite, seed, time and version."""
    suite = summary.suite
    return (
        f"Suite {suite.name}, preset {suite.preset}, {counted(suite.blocks, 'block')}, order from"
        f" seed {summary.seed}, started {summary.created_at}, fwbench {summary.fwbench}."
    )


def executed_runs(summary: Summary) -> str:
    """Return how many of the planned runs were executed."""
    executed = f"{summary.executed} of {counted(summary.planned, 'run')} executed"
    if summary.executed < summary.planned and len(summary.stopped_by) < number_of_rigs(summary):
        executed += "; the others are missing below"
    return f"{executed}."


def scope(summary: Summary) -> str:
    """Return what the claims of a session hold for."""
    return f"Claims hold for {summary.scope}."


def overrides(summary: Summary) -> Iterator[str]:
    """Return which values of the suite's file were replaced on the command line."""
    if summary.overrides:
        yield f"Set on the command line: {', '.join(summary.overrides)}."


def stopped_rigs(summary: Summary) -> Iterator[str]:
    """Return which rigs stopped before their last block, each with the rule."""
    for rig, rule in summary.stopped_by.items():
        yield f"Stopped on {rig}: {rule}."
