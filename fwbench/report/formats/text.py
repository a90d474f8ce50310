"""A page of text, at most 100 columns wide.

It has the question, the hosts, a table and the outcome of each comparison for each setting, all
findings, and a legend. `fwbench run` and `fwbench resume` print it when they end.
"""

from collections.abc import Iterator

from fwbench.report.format import Format, ReportedSession


def render(session: ReportedSession) -> Iterator[str]:
    """Return the page, and last the session's folder."""
    from fwbench.report.formatting import printable
    from fwbench.report.session.text_page import text_page

    yield text_page(session)
    yield f"\nSession: {printable(session.folder)}\n"


FORMAT = Format(name="text", suffix=".txt", help="a page for the terminal", render=render)
