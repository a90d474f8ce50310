"""What several commands share."""

from pathlib import Path
from typing import Any

import click

inventory_option = click.option(
    "-i",
    "--inventory",
    type=click.Path(path_type=Path),
    required=True,
    help="Any Ansible inventory with the groups `targets` and `clients`.",
)

keep_going_option = click.option(
    "-k",
    "--keep-going",
    is_flag=True,
    help="Leave bad hosts out and go on with the others.",
)


def load_rigs(inventory: Path) -> Any:
    """The rigs of an inventory."""
    from fwbench.inventory.rigs import parse_rigs
    from fwbench.provisioning.playbook import list_inventory

    return parse_rigs(list_inventory(inventory), str(inventory))


def print_progress(text: str) -> None:
    """Tell on standard error what is being done."""
    click.echo(text, err=True)
