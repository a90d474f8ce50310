"""Reads a session's folder, and makes of it what the formats of a report print."""

from pathlib import Path

from fwbench.collection.artifacts import read_latencies_by_second
from fwbench.report.format import ReportedSession
from fwbench.stats.application import FrameworkPart
from fwbench.stats.session_results import session_results
from fwbench.stats.summarise import summarise
from fwbench.storage.store import SessionStore


def read_session(folder: Path, framework_share: FrameworkPart | None) -> ReportedSession:
    """Return the results of a session. Raise `SessionError` if it cannot be read."""
    store = SessionStore(folder)
    header, plan = store.load()
    results = session_results(store.attempts(plan))
    return ReportedSession(
        folder=str(folder),
        header=header,
        summary=summarise(header, plan, results, store.events()),
        runs=results.runs,
        read_latencies=lambda run: read_latencies_by_second(store.run_folder(run.id), run.load),
        framework_share=framework_share,
    )
