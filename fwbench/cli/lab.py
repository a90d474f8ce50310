"""The commands for the lab: test hosts on this machine."""

from pathlib import Path
from typing import Any

import click

from fwbench.cli.options import print_progress


@click.group()
def lab() -> None:
    """Create test hosts on this machine, as containers."""


lab_name = click.option(
    "--name",
    default="lab",
    show_default=True,
    help="The lab's name; labs of different names are independent.",
)


class _SizeType(click.ParamType[Any]):
    """A target's size, parsed by `providers.lab.size`."""

    name = "NAME=CPUS,MEMORY[,PRICE]"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> Any:
        from fwbench.providers.lab.size import parse_size

        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)


@lab.command()
@lab_name
@click.option(
    "--targets",
    type=click.IntRange(1, 50),
    help="How many targets, without CPU or memory limits.  [default: 1]",
)
@click.option(
    "--target",
    "sizes",
    type=_SizeType(),
    multiple=True,
    help="Add a target with these CPUs and this memory. With a price per hour, reports compute"
    " costs. Repeat the option for each target.",
)
@click.option(
    "--clients",
    type=click.IntRange(1, 50),
    help="How many clients; they are assigned to targets in turn."
    "  [default: 1, or one for each --target]",
)
@click.option(
    "--os",
    "systems",
    multiple=True,
    default=["debian:13"],
    show_default=True,
    help="Operating system of the hosts. Repeat the option to use several in turn.",
)
@click.option(
    "--ca-cert",
    "ca_certs",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True),
    help="CA certificate that the hosts trust, as a PEM file. Repeat for several."
    "  [default: those added to this machine]",
)
def up(
    name: str,
    targets: int | None,
    sizes: tuple[Any, ...],
    clients: int | None,
    systems: tuple[str, ...],
    ca_certs: tuple[Path, ...],
) -> None:
    """Start targets and clients, and write an inventory for them.

    Prints the inventory's path. Safe to repeat: only hosts that are missing are started.

    \b
    Examples:
      fwbench lab up
      fwbench lab up --targets 2 --clients 2 --os debian:13 --os debian:12
      fwbench lab up --target small=0.5,512m --target large=1,1g
    """
    from fwbench.providers.lab.hosts import SYSTEM_CA_CERTS, Lab
    from fwbench.providers.lab.image import SYSTEMS

    for system in systems:
        if system not in SYSTEMS:
            raise click.BadParameter(
                f"{system}; choose from {', '.join(SYSTEMS)}", param_hint="--os"
            )
    trusted = ca_certs or tuple(sorted(SYSTEM_CA_CERTS.glob("*.crt")))
    if sizes and targets is not None:
        raise click.UsageError(
            "--targets and --target exclude each other: repeat --target for each target"
        )
    target_sizes = sizes or (None,) * (targets or 1)
    client_count = clients or len(sizes) or 1
    path = Lab(name).up(target_sizes, client_count, systems, trusted, print_progress)
    print_progress("the lab is up; its inventory is")
    click.echo(path)


@lab.command()
@lab_name
def status(name: str) -> None:
    """List the lab's hosts.

    \b
    Example: fwbench lab status
    """
    from fwbench.providers.lab.hosts import Lab
    from fwbench.report.commands import hosts as tables

    click.echo(tables.lab_table(Lab(name).hosts()))


@lab.command()
@lab_name
def inventory(name: str) -> None:
    """Print the path of the lab's inventory.

    \b
    Example: fwbench lab inventory
    """
    from fwbench.errors import LabError
    from fwbench.providers.lab.hosts import Lab

    path = Lab(name).inventory
    if not path.exists():
        raise LabError(f"the lab {name!r} is not up; run `fwbench lab up`")
    click.echo(path)


@lab.command()
@lab_name
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also remove the lab's images and the Docker engine that fwbench installed.",
)
def down(name: str, everything: bool) -> None:
    """Remove the lab's hosts, volumes and network.

    \b
    Example: fwbench lab down
    """
    from fwbench.providers.lab.hosts import Lab

    Lab(name).down(print_progress, everything=everything)
