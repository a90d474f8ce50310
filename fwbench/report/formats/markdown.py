"""A comment for a pull request, in GitHub Flavored Markdown.

It begins with the question and the outcome of each comparison. Then follow a table for each
setting, and behind a click the findings, the hosts, and how to reproduce it. Names, questions and
everything that a host or a server said are shown as text: they format nothing, link to nothing and
mention nobody. [Benchmarks in a pull request](pull-requests.md) has an example.
"""

from collections.abc import Iterator

from fwbench.report.format import Format, ReportedSession


def render(session: ReportedSession) -> Iterator[str]:
    """Return the comment."""
    from fwbench.report.session.markdown_page import markdown_page

    yield markdown_page(session)


FORMAT = Format(name="markdown", suffix=".md", help="a comment for a pull request", render=render)
