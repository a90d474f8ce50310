"""The options that name load generators, and suites that need them."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from fwbench.cli.arguments import suite_path
from fwbench.cli.completers import complete_suite

DEFAULT = "h2load"


def loadgen_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--suite` and `--loadgen`; the command gets the names as `loadgens`, each once.

    They are empty if neither option is given: the inventory may name them, and h2load is the
    default.
    """

    @functools.wraps(command)
    def with_loadgens(
        *arguments: Any, suite: tuple[Path, ...], loadgen: tuple[str, ...], **options: Any
    ) -> Any:
        return command(*arguments, loadgens=_names(suite, loadgen), **options)

    for option in (
        click.option(
            "--loadgen",
            metavar="NAME",
            multiple=True,
            help="A load generator for the clients, besides h2load; `fwbench list loadgens` prints"
            " all. Repeat for several.",
        ),
        click.option(
            "--suite",
            type=click.Path(path_type=Path),
            multiple=True,
            shell_complete=complete_suite,
            help="A suite whose load generators the clients need: a file, or the name of one that"
            " comes with fwbench.",
        ),
    ):
        with_loadgens = option(with_loadgens)
    return with_loadgens


def playbook_variables(loadgens: Sequence[str]) -> dict[str, object]:
    """Return the variables with which a playbook installs or checks these load generators."""
    return {"fwbench_loadgens": list(loadgens)} if loadgens else {}


def _names(suites: Sequence[Path], loadgens: Sequence[str]) -> tuple[str, ...]:
    if not suites and not loadgens:
        return ()
    from fwbench import paths
    from fwbench.config.suites import load_contenders, load_suite
    from fwbench.loadgen.registry import LOADGENS

    for name in loadgens:
        if name not in LOADGENS:
            raise click.BadParameter(
                f"no load generator is called {name!r}; fwbench has {', '.join(LOADGENS)}",
                param_hint="--loadgen",
            )
    contenders = load_contenders(paths.data_folder() / "contenders") if suites else {}
    needed = [
        name for suite in suites for name in load_suite(suite_path(suite), contenders).loadgens
    ]
    return tuple(dict.fromkeys([DEFAULT, *needed, *loadgens]))
