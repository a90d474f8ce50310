"""What the shell completes for arguments: names of suites, sessions, contenders, findings, pages.

They read names of files alone, so that a press of the tab key is answered at once.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from fwbench.errors import FwbenchError

# The shells' scripts split what they read at spaces, and bash expands patterns in it.
_HARMLESS = re.compile(r"[\w./@+-]+", re.ASCII)


def complete_suite(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the suites that come with fwbench and those in the current folder, or else files."""
    from fwbench import paths

    own = (path.name for path in sorted(Path().glob("*.yml")))
    names = [*(path.stem for path in paths.shipped_suites()), *own]
    return _matching(names, incomplete) or [CompletionItem(incomplete, type="file")]


def complete_session(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return `last` and the sessions in the folder of sessions, or else folders."""
    from fwbench.storage.overview import session_folders

    try:
        found = session_folders(Path(context.params.get("sessions") or "sessions"))
    except FwbenchError:
        found = []
    names = ["last", *sorted((str(folder) for folder in found), reverse=True)]
    return _matching(names, incomplete) or [CompletionItem(incomplete, type="dir")]


def complete_contender(
    _: click.Context, __: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the contenders that come with fwbench."""
    from fwbench import paths

    return _matching((path.parent.name for path in paths.shipped_contenders()), incomplete)


def complete_code(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the codes of findings: each check is a module that is named like its code."""
    from fwbench import checks

    names = (path.stem for folder in checks.__path__ for path in Path(folder).glob("[a-z]*.py"))
    codes = (name.replace("_", "-") for name in names if name not in ("evaluate", "registry"))
    return _matching(sorted(codes), incomplete)


def complete_page(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the pages of the documentation."""
    from fwbench import paths

    return _matching(paths.pages(), incomplete)


def _matching(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(name)
        for name in names
        if name.startswith(incomplete) and _HARMLESS.fullmatch(name)
    ]
