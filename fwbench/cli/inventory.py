"""The options that name hosts, and the question before hosts of the environment are changed."""

import functools
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import click

from fwbench.cli.options import print_progress

INVENTORY_VARIABLES = ("FWBENCH_INVENTORY", "ANSIBLE_INVENTORY")

yes_option = click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="Do not ask before changing hosts of an inventory that an environment variable names.",
)


class ChosenInventory(NamedTuple):
    """What the user chose: sources, hosts of them, and the environment variable that names them.

    `variable` is None if options name the sources, or nothing does.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    variable: str | None = None

    def options(self) -> str:
        """Return the options that choose the same again, quoted for a shell."""
        words = []
        if self.variable is None:
            words += [word for source in self.sources for word in ("-i", source)]
        for name, chosen in (("--targets", self.targets), ("--clients", self.clients)):
            words += [name, ",".join(chosen)] if chosen else []
        return shlex.join(words)


def inventory_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `-i`, `--targets` and `--clients`; the command gets one `inventory` for them."""

    @functools.wraps(command)
    def with_inventory(
        *arguments: Any,
        inventory: tuple[str, ...],
        targets: tuple[str, ...],
        clients: tuple[str, ...],
        **options: Any,
    ) -> Any:
        chosen = _choose(inventory, targets, clients)
        return command(*arguments, inventory=chosen, **options)

    for option in (
        _hosts_option("--clients", "send load"),
        _hosts_option("--targets", "run contenders"),
        click.option(
            "-i",
            "--inventory",
            type=click.Path(),
            multiple=True,
            help="An Ansible inventory, or hosts such as `one,two`. Repeat to merge several."
            "  [default: $FWBENCH_INVENTORY, then $ANSIBLE_INVENTORY]",
        ),
    ):
        with_inventory = option(with_inventory)
    return with_inventory


def _hosts_option(name: str, purpose: str) -> Callable[..., Any]:
    return click.option(
        name,
        metavar="NAMES",
        multiple=True,
        help=f"Groups or hosts that {purpose}, separated by commas."
        f"  [default: the group `{name.removeprefix('--')}`]",
    )


def _choose(
    sources: tuple[str, ...], targets: tuple[str, ...], clients: tuple[str, ...]
) -> ChosenInventory:
    if not all(sources):
        raise click.UsageError("-i is empty: name an inventory, or hosts such as one,two")
    for name, chosen in (("--targets", targets), ("--clients", clients)):
        if chosen and not _split(chosen):
            raise click.UsageError(f"{name} is empty: name hosts or groups, or leave it out")
    targets, clients = _split(targets), _split(clients)
    if sources:
        return ChosenInventory(sources, targets, clients)
    for variable in INVENTORY_VARIABLES:
        if sources := _split([os.environ.get(variable, "")]):
            return ChosenInventory(sources, targets, clients, variable)
    return ChosenInventory((), targets, clients)


def _split(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the names in texts that separate them with commas."""
    return tuple(name.strip() for text in texts for name in text.split(",") if name.strip())


def load_rigs(inventory: ChosenInventory, *, assume_one: bool = False) -> Any:
    """Return the rigs of an inventory, and print to standard error if the environment names it.

    With `assume_one`, return one rig if there is no inventory. Raise `UsageError` if there is none
    otherwise, and `InventoryError` if it cannot be read, or lists no usable rig.
    """
    from fwbench.inventory.rigs import assumed_rig, parse_rigs
    from fwbench.provisioning.inventory import list_inventory

    if assume_one and inventory == ChosenInventory(()):
        print_progress("no inventory is named: assuming one rig of one target and one client")
        return (assumed_rig(),)
    sources = ansible_inventory(inventory)
    if inventory.variable:
        print_progress(f"using the inventory {sources} (from {inventory.variable})")
    return parse_rigs(list_inventory(sources), str(sources), inventory.targets, inventory.clients)


def ansible_inventory(inventory: ChosenInventory) -> Any:
    """Return the `Inventory` for Ansible.

    Raise `UsageError` if there is none, and `InventoryError` for a list of hosts that is none.
    """
    from fwbench.provisioning.inventory import Inventory, parse_source

    if not inventory.sources:
        raise click.UsageError(
            f"name an inventory with -i, or in the variable {' or '.join(INVENTORY_VARIABLES)}"
        )
    sources = tuple(map(parse_source, inventory.sources))
    return Inventory(sources, inventory.targets, inventory.clients)


def confirm_changes(inventory: ChosenInventory, rigs: Any, *, yes: bool) -> None:
    """Ask before hosts are changed that the environment chose; exit unless the answer is yes.

    A variable that was set for another purpose may name hosts that nobody thinks of. Without a
    terminal, `yes` is necessary.
    """
    if inventory.variable is None or yes:
        return
    command = click.get_current_context().info_name
    hosts = ", ".join(host.name for rig in rigs for host in rig.hosts)
    effect = (
        f"{inventory.variable} names the inventory, and `{command}` changes hosts of it: {hosts}"
    )
    if not _is_interactive():
        _exit(2, f"{effect}; confirm this with --yes, or name the inventory with -i")
    click.echo(f"{effect}\nContinue? [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        _exit(130, "nothing was changed")


def _is_interactive() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _exit(code: int, sentence: str) -> NoReturn:
    click.echo(f"fwbench: {sentence}", err=True)
    click.get_current_context().exit(code)
