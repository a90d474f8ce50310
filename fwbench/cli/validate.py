"""The command that checks files that users write."""

import sys
from pathlib import Path
from typing import Any

import click

from fwbench.cli.completers import complete_suite
from fwbench.errors import SuiteError

_STDIN = Path("-")


@click.command()
@click.argument(
    "files",
    metavar="FILE...",
    type=click.Path(path_type=Path),
    nargs=-1,
    required=True,
    shell_complete=complete_suite,
)
def validate(files: tuple[Path, ...]) -> None:
    """Check suites and contenders, and list all problems.

    FILE is a suite or a contender.yml, a folder that contains some, the name of a suite that comes
    with fwbench, or - for a suite on standard input. Each problem is one line,
    `FILE:LINE: KEY: PROBLEM`. No host is contacted.

    \b
    Examples:
      fwbench validate suites/smoke.yml
      fwbench validate suites contenders/flask/contender.yml
      fwbench validate - < suite.yml
    """
    contenders, found = _contenders()
    checked: dict[Path, None] = {}
    for argument in files:
        try:
            checked |= dict.fromkeys(_files(argument))
        except SuiteError as error:
            found.extend(error.problems)
    for file in checked:
        found.extend(_problems(file, contenders))
    problems = dict.fromkeys(found)
    for problem in problems:
        click.echo(problem)
    click.echo(f"{_counted(len(checked), 'file')}, {_counted(len(problems), 'problem')}", err=True)
    if problems:
        sys.exit(SuiteError.exit_code)


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _contenders() -> tuple[Any, list[str]]:
    """Return the contenders that suites may name, or None and the problems of their files."""
    from fwbench import paths
    from fwbench.config.suites import load_contenders

    try:
        return load_contenders(paths.data_folder() / "contenders"), []
    except SuiteError as error:
        return None, list(error.problems)


def _files(argument: Path) -> list[Path]:
    """Return the files to check for an argument: of a folder, the suites and contenders in it."""
    from fwbench.cli.arguments import suite_path
    from fwbench.config.suites import CONTENDER_FILE

    if argument == _STDIN:
        return [argument]
    path = suite_path(argument)
    if not path.is_dir():
        return [path]
    names = ("*.yml", "*.yaml", f"*/{CONTENDER_FILE}")
    if found := sorted(file for name in names for file in argument.glob(name)):
        return found
    raise SuiteError(f"{argument}: contains none of {', '.join(names)}")


def _problems(file: Path, contenders: Any) -> tuple[str, ...]:
    from fwbench.config.suites import CONTENDER_FILE, load_contender, parse_suite
    from fwbench.config.yaml_lines import MAX_BYTES, parse, read

    try:
        if file == _STDIN and sys.stdin is None:
            raise click.UsageError("standard input is closed: name a file instead of -")
        if file == _STDIN:
            parse_suite(parse(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>"), contenders)
        elif file.name == CONTENDER_FILE:
            load_contender(file)
        else:
            parse_suite(read(file), contenders)
    except SuiteError as error:
        return error.problems
    return ()
