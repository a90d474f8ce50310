"""The commands for hosts: doctor, provision, teardown, prune."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from fwbench.cli.inventory import (
    ChosenInventory,
    ansible_inventory,
    confirm_changes,
    inventory_option,
    load_rigs,
    yes_option,
)
from fwbench.cli.loadgens import loadgen_options, playbook_variables
from fwbench.cli.options import keep_going_option
from fwbench.errors import HostError, NotReadyError

check_option = click.option(
    "--check", "--dry-run", "check", is_flag=True, help="Show what would change; change nothing."
)


@click.command()
@inventory_option
@loadgen_options
def doctor(inventory: ChosenInventory, loadgens: Sequence[str]) -> None:
    """Check that fwbench can reach and use every host, and that it is provisioned.

    Logs in to every host and prints its CPUs, memory, system and software. Then it checks that
    hosts which were provisioned have all that provisioning installs. Changes nothing.

    \b
    Exit codes:
      0  all hosts are ready for `fwbench run`
      5  a host cannot be reached or used
      7  all hosts can be used, but some are not provisioned, or not completely

    \b
    Examples:
      fwbench doctor -i hosts.yml
      fwbench doctor -i eu.yml -i us.yml
      fwbench doctor -i one,two --targets one --clients two
      fwbench doctor -i production.yml --targets web --clients load
      fwbench doctor -i hosts.yml --suite mine.yml
    """
    from fwbench.hosts.doctor import check_hosts
    from fwbench.model.host_check import NOT_YET
    from fwbench.report.commands import hosts as tables

    checks = _verify(check_hosts(load_rigs(inventory)), inventory, loadgens)
    click.echo(tables.host_check_table(checks))
    if errors := [check.error for check in checks if check.error]:
        for error in errors:
            click.echo(f"fwbench: {error}", err=True)
        sys.exit(HostError.exit_code)
    if unready := [check for check in checks if check.missing]:
        how_far = "yet" if all(check.missing == NOT_YET for check in unready) else "completely"
        names = ", ".join(check.host.name for check in unready)
        options = [inventory.options(), *(f"--loadgen {name}" for name in loadgens[1:])]
        command = " ".join(["fwbench provision", *filter(None, options)])
        raise NotReadyError(f"not provisioned {how_far}: {names}; run `{command}`")


def _verify(checks: Any, inventory: ChosenInventory, loadgens: Sequence[str]) -> Any:
    """Return the checks, with what the provisioned hosts lack."""
    from fwbench.cli.progress import PlaybookProgress
    from fwbench.hosts.doctor import is_verifiable, verify_hosts

    names = [check.host.name for check in checks if is_verifiable(check)]
    if not names:
        return checks
    with PlaybookProgress(f"verification of {', '.join(names)}") as progress:
        variables = playbook_variables(loadgens)
        return verify_hosts(checks, ansible_inventory(inventory), variables, progress.task)


@click.command()
@inventory_option
@loadgen_options
@check_option
@keep_going_option
@yes_option
def provision(
    inventory: ChosenInventory, loadgens: Sequence[str], check: bool, keep_going: bool, yes: bool
) -> None:
    """Install what fwbench needs on the hosts.

    Targets get Docker and the contenders' images, clients get h2load and the load generators that
    you name.

    Safe to repeat: only what is missing is installed. If a host cannot be reached, nothing is
    changed on any host; with --keep-going, only that host is excluded. If a host fails later, the
    others continue.

    \b
    Examples:
      fwbench provision -i hosts.yml
      fwbench provision -i hosts.yml --dry-run
      fwbench provision -i hosts.yml --keep-going
      fwbench provision -i 192.0.2.10,192.0.2.20 --targets 192.0.2.10 --clients 192.0.2.20
      fwbench provision -i production.yml --targets web --clients load
      fwbench provision -i hosts.yml --loadgen wrk
    """
    variables = playbook_variables(loadgens)
    _run_playbook("provision.yml", inventory, keep_going, check=check, yes=yes, variables=variables)


@click.command()
@inventory_option
@check_option
@click.option(
    "--purge-engine",
    is_flag=True,
    help="Remove a Docker engine that fwbench installed, with all that others keep in it.",
)
@keep_going_option
@yes_option
def teardown(
    inventory: ChosenInventory, check: bool, purge_engine: bool, keep_going: bool, yes: bool
) -> None:
    """Undo what `provision` changed on the hosts.

    What was on a host before fwbench stays. So does a Docker engine that fwbench installed if it
    holds containers, images, volumes or networks that fwbench did not make: the command lists them
    and exits with code 12. If a session uses a host, nothing is changed on any host.

    \b
    Examples:
      fwbench teardown -i hosts.yml
      fwbench teardown -i hosts.yml --dry-run
      fwbench teardown -i hosts.yml --purge-engine
    """
    variables = {"docker_engine_purge": purge_engine}
    _run_playbook(
        "teardown.yml",
        inventory,
        keep_going,
        check=check,
        yes=yes,
        variables=variables,
        refuse_used=True,
    )


@click.command()
@inventory_option
@click.option("--force", is_flag=True, help="Also remove sessions that may still be running.")
@yes_option
def prune(inventory: ChosenInventory, force: bool, yes: bool) -> None:
    """Remove what interrupted sessions left.

    Removes containers, processes and folders from the hosts, and your temporary folders on this
    machine. A session whose lease has not expired may still be running: it is listed and left
    alone. What provisioning installed stays.

    \b
    Examples:
      fwbench prune -i hosts.yml
      fwbench prune -i hosts.yml --force
    """
    from fwbench.hosts.cleanup import clean_hosts
    from fwbench.hosts.controller import remove_stale_folders
    from fwbench.report.commands import cleanup

    rigs = load_rigs(inventory)
    confirm_changes(inventory, rigs, yes=yes)
    hosts = clean_hosts(rigs, force=force)
    click.echo(cleanup.cleanup_table(hosts, remove_stale_folders()))
    if errors := [host.error for host in hosts if host.error]:
        raise HostError("; ".join(errors))


def _run_playbook(
    name: str,
    inventory: ChosenInventory,
    keep_going: bool,
    *,
    check: bool = False,
    yes: bool = False,
    variables: Mapping[str, object] | None = None,
    refuse_used: bool = False,
) -> None:
    from fwbench.cli.progress import PlaybookProgress
    from fwbench.hosts.lease import check_unused
    from fwbench.provisioning.provision import (
        check_connections,
        log_in,
        provisioning_error,
        run_playbook,
    )
    from fwbench.report.commands import hosts as tables

    rigs = load_rigs(inventory)
    confirm_changes(inventory, rigs, yes=yes or check)
    hosts = [host for rig in rigs for host in rig.hosts]
    check_host = check_unused if refuse_used else log_in
    excluded = check_connections(hosts, keep_going=keep_going, check=check_host)
    names = ", ".join(host.name for host in hosts if host.name not in excluded)
    duration = "minutes the first time, seconds when nothing is missing"
    what = f"{name.removesuffix('.yml')} of {names or 'no host'}: {duration}"
    with PlaybookProgress(what) as progress:
        result = run_playbook(
            name,
            ansible_inventory(inventory),
            hosts,
            excluded=excluded,
            variables=variables,
            check=check,
            on_task=progress.task,
        )
    click.echo(tables.play_table(result, rigs))
    if error := provisioning_error(result, rigs, keep_going=keep_going):
        raise error
