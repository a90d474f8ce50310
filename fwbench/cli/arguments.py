"""Arguments that several commands share: suites and sessions."""

from pathlib import Path

import click

from fwbench.cli.completers import complete_session

LAST = Path("last")

session_argument = click.argument(
    "session",
    type=click.Path(path_type=Path, file_okay=False),
    shell_complete=complete_session,
)

sessions_option = click.option(
    "--sessions",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("sessions"),
    show_default=True,
    help="The folder of the sessions.",
)


def suite_path(suite: Path) -> Path:
    """Return the suite's file; a bare name stands for a suite that comes with fwbench.

    Raise `SuiteError` if there is neither.
    """
    from fwbench import paths
    from fwbench.errors import SuiteError

    try:
        if suite.exists():
            return suite
    except OSError as error:
        raise SuiteError(f"{str(suite)!r:.80}: {error.strerror}") from error
    shipped = {path.stem: path for path in paths.shipped_suites()}
    name = suite.name.removesuffix(".yml")
    if suite.parent in (Path(), Path("suites")) and name in shipped:
        return shipped[name]
    raise SuiteError(f"{suite}: no such file; name a file, or one of {', '.join(shipped)}")


def session_folder(session: Path, sessions: Path) -> Path:
    """Return a session's folder; `last` stands for the newest in the folder `sessions`.

    Raise `SessionError` if there is none.
    """
    if session != LAST:
        return session
    from fwbench.storage.overview import last_session

    folder = last_session(sessions)
    click.echo(f"the last session is {folder}", err=True)
    return folder
