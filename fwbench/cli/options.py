"""Options and functions that several commands share."""

from pathlib import Path
from typing import Any

import click

inventory_option = click.option(
    "-i",
    "--inventory",
    type=click.Path(path_type=Path),
    required=True,
    help="An Ansible inventory with the groups `targets` and `clients`.",
)

keep_going_option = click.option(
    "-k",
    "--keep-going",
    is_flag=True,
    help="Exclude hosts that fail, and continue with the others.",
)


def load_rigs(inventory: Path) -> Any:
    """Return the rigs of an inventory.

    Raise `InventoryError` if it cannot be read, or lists no usable rig.
    """
    from fwbench.inventory.rigs import parse_rigs
    from fwbench.provisioning.playbook import list_inventory

    return parse_rigs(list_inventory(inventory), str(inventory))


def print_progress(text: str) -> None:
    """Print a progress line to standard error."""
    click.echo(text, err=True)
