"""Everything that fwbench computes from a session, unrounded, as one JSON object.

[The report as JSON](report-json.md) describes its keys, and has examples for jq.
"""

from collections.abc import Iterator

from fwbench.report.format import Format, ReportedSession


def render(session: ReportedSession) -> Iterator[str]:
    """Return the summary as JSON."""
    yield session.summary.model_dump_json(indent=1)
    yield "\n"


FORMAT = Format(
    name="json", suffix=".json", help="all results, unrounded (docs/report-json.md)", render=render
)
