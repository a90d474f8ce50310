"""The commands about hosts: doctor, provision, verify, clean, teardown."""

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from fwbench.cli.options import inventory_option, keep_going_option, load_rigs
from fwbench.errors import HostError


@click.command()
@inventory_option
def doctor(inventory: Path) -> None:
    """Check that every host can be reached and used; changes nothing on them.

    \b
    Example: fwbench doctor -i hosts.yml
    """
    from fwbench.hosts import doctor as doctors
    from fwbench.report import hosts as table

    examined = doctors.check_hosts(load_rigs(inventory))
    click.echo(table.host_check_table(examined))
    if troubles := [host.error for host in examined if host.error]:
        for trouble in troubles:
            click.echo(f"fwbench: {trouble}", err=True)
        sys.exit(5)


@click.command()
@inventory_option
@click.option("--check", is_flag=True, help="Only tell what would change.")
@keep_going_option
def provision(inventory: Path, check: bool, keep_going: bool) -> None:
    """Make bare hosts ready: Docker and images on targets, h2load on clients.

    A host that fails never stops the others. One that cannot even be reached does, before anything
    is changed, unless -k leaves it out.

    \b
    Examples:
      fwbench provision -i hosts.yml
      fwbench provision -i hosts.yml --keep-going
    """
    _run_playbook("provision.yml", inventory, keep_going, check=check)


@click.command()
@inventory_option
@keep_going_option
def verify(inventory: Path, keep_going: bool) -> None:
    """Check on the hosts that all that provisioning promises is there.

    \b
    Example: fwbench verify -i hosts.yml
    """
    _run_playbook("verify.yml", inventory, keep_going)


@click.command()
@inventory_option
@click.option("--check", is_flag=True, help="Only tell what would change.")
@click.option(
    "--purge-engine",
    is_flag=True,
    help="Remove an engine that fwbench installed with all that others keep in it.",
)
@keep_going_option
def teardown(inventory: Path, check: bool, purge_engine: bool, keep_going: bool) -> None:
    """Remove from the hosts all that fwbench put there, and put back what it changed.

    A Docker engine that fwbench installed stays where it holds containers, images, volumes or
    networks that fwbench did not make; these are named, and the exit code is 12. What was on a host
    before fwbench came stays in any case.

    \b
    Examples:
      fwbench teardown -i hosts.yml
      fwbench teardown -i hosts.yml --check
      fwbench teardown -i hosts.yml --purge-engine
    """
    variables = {"docker_engine_purge": purge_engine}
    _run_playbook("teardown.yml", inventory, keep_going, check=check, variables=variables)


@click.command()
@inventory_option
@click.option("--force", is_flag=True, help="Sessions that may still be alive, too.")
def clean(inventory: Path, force: bool) -> None:
    """Take off the hosts what dead sessions left: containers, processes, folders.

    A session is dead once its time on a host is over without being renewed; one that may be alive
    is named and left alone. What provisioning put there stays.

    \b
    Example: fwbench clean -i hosts.yml
    """
    from fwbench.hosts.cleanup import clean_hosts as take_away
    from fwbench.report import cleanup

    hosts = take_away(load_rigs(inventory), force=force)
    click.echo(cleanup.cleanup_table(hosts))
    if troubles := [host.error for host in hosts if host.error]:
        raise HostError("; ".join(troubles))


def _run_playbook(
    name: str,
    inventory: Path,
    keep_going: bool,
    *,
    check: bool = False,
    variables: Mapping[str, object] | None = None,
) -> None:
    from fwbench.cli.progress import PlaybookProgress
    from fwbench.provisioning.provision import check_connections, provisioning_error, run_playbook
    from fwbench.report import hosts as table

    rigs = load_rigs(inventory)
    hosts = [host for rig in rigs for host in rig.hosts]
    left_out = check_connections(hosts, keep_going=keep_going)
    names = ", ".join(host.name for host in hosts if host.name not in left_out)
    with PlaybookProgress(f"{name.removesuffix('.yml')} of {names or 'no host'}") as progress:
        played = run_playbook(
            name,
            inventory,
            hosts,
            excluded=left_out,
            variables=variables,
            check=check,
            on_task=progress.task,
        )
    click.echo(table.play_table(played, rigs))
    if error := provisioning_error(played, rigs, keep_going=keep_going):
        raise error
