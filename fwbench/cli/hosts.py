"""The commands about hosts: doctor, provision, verify, teardown."""

import sys
from pathlib import Path

import click

from fwbench.cli.options import inventory_option, rigs_of


@click.command()
@inventory_option
def doctor(inventory: Path) -> None:
    """Check that every host can be reached and used; changes nothing on them.

    \b
    Example: fwbench doctor -i hosts.yml
    """
    from fwbench import doctor as doctors
    from fwbench.report import hosts as table

    examined = doctors.examine(rigs_of(inventory))
    click.echo(table.examined(examined))
    if troubles := [host.trouble for host in examined if host.trouble]:
        for trouble in troubles:
            click.echo(f"fwbench: {trouble}", err=True)
        sys.exit(5)


@click.command()
@inventory_option
@click.option("--check", is_flag=True, help="Only tell what would change.")
def provision(inventory: Path, check: bool) -> None:
    """Make bare hosts ready: Docker and images on targets, h2load on clients.

    \b
    Example: fwbench provision -i hosts.yml
    """
    _play("provision.yml", inventory, check=check)


@click.command()
@inventory_option
def verify(inventory: Path) -> None:
    """Check on the hosts that all that provisioning promises is there.

    \b
    Example: fwbench verify -i hosts.yml
    """
    _play("verify.yml", inventory)


@click.command()
@inventory_option
@click.option("--check", is_flag=True, help="Only tell what would change.")
def teardown(inventory: Path, check: bool) -> None:
    """Remove from the hosts all that fwbench put there.

    \b
    Example: fwbench teardown -i hosts.yml
    """
    _play("teardown.yml", inventory, check=check)


def _play(name: str, inventory: Path, *, check: bool = False) -> None:
    from fwbench.progress import TaskProgress
    from fwbench.provision import meet, provision
    from fwbench.report import hosts as table

    hosts = [host for rig in rigs_of(inventory) for host in rig.hosts]
    meet(hosts)
    names = ", ".join(host.name for host in hosts)
    with TaskProgress(f"{name.removesuffix('.yml')} of {names}") as progress:
        played = provision(name, inventory, hosts, check=check, on_task=progress.task)
    click.echo(table.played(played))
