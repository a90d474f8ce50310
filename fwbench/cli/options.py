"""Options and functions that several commands share."""

from typing import Any

import click


def keep_going_option(command: Any) -> Any:
    """Add the option `--keep-going`, and an error for `-k`, its former name."""
    former_name = click.option(
        "-k",
        is_flag=True,
        hidden=True,
        expose_value=False,
        callback=_reject_k,
        help="The former name of --keep-going.",
    )
    keep_going = click.option(
        "--keep-going", is_flag=True, help="Exclude hosts that fail, and continue with the others."
    )
    return keep_going(former_name(command))


def _reject_k(_context: click.Context, _parameter: click.Parameter, is_set: bool) -> None:
    if is_set:
        raise click.UsageError("-k does not exist; use --keep-going")


def print_progress(text: str) -> None:
    """Print a progress line to standard error."""
    click.echo(text, err=True)
