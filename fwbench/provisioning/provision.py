"""Run fwbench's playbooks on hosts, for provisioning, verification and teardown alike."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fwbench import paths
from fwbench.errors import (
    EngineKeptError,
    FwbenchError,
    HostError,
    HostKeyError,
    NotReadyError,
    ProvisionError,
    RigError,
)
from fwbench.model.host import Host, Rig
from fwbench.model.play import HostResult, PlayResult
from fwbench.provisioning.inventory import Inventory
from fwbench.provisioning.playbook import play
from fwbench.ssh.remote import Remote, SshRemote
from fwbench.ssh.ssh_config import pinned_host_keys, proxy_jump, ssh_config


def log_in(remote: Remote) -> None:
    """Log in to a host. Raise `HostError` if that fails."""
    remote.check(["true"])


def check_connections(
    hosts: Sequence[Host], *, keep_going: bool = False, check: Callable[[Remote], None] = log_in
) -> Mapping[str, str]:
    """Log in to all hosts in parallel for a check, and return the error messages by host.

    This records the keys of new hosts, so that Ansible can check them. Unless `keep_going` is set,
    raise an error with all messages if there are any: `NotReadyError` if each host answered and is
    not ready, otherwise `HostError`.
    """
    with ThreadPoolExecutor(min(50, len(hosts))) as threads:
        found = threads.map(lambda host: _host_error(host, check), hosts)
        errors = [error for error in found if error is not None]
    if errors and not keep_going:
        not_ready = all(isinstance(error, NotReadyError) for _, error in errors)
        family = NotReadyError if not_ready else HostError
        raise family("; ".join(str(error) for _, error in errors))
    return {host: str(error) for host, error in errors}


def _host_error(host: Host, check: Callable[[Remote], None]) -> tuple[str, FwbenchError] | None:
    try:
        with SshRemote(host) as remote:
            check(remote)
    except (HostError, NotReadyError) as error:
        return host.name, error
    return None


def run_playbook(
    name: str,
    inventory: Inventory,
    hosts: Iterable[Host],
    *,
    excluded: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
    check: bool = False,
    on_task: Callable[[str], None] = lambda _: None,
) -> PlayResult:
    """Run one of fwbench's playbooks on hosts, and return a result for each.

    `excluded` maps the hosts to skip to the reason. Raise `ProvisionError` if Ansible itself fails;
    `provisioning_error` returns the error for hosts on which a task failed.
    """
    hosts, excluded = tuple(hosts), excluded or {}
    included = [host for host in hosts if host.name not in excluded]
    results: dict[str, HostResult] = {
        host: HostResult(host=host, changed=0, error=error, skipped=True)
        for host, error in excluded.items()
    }
    if included:
        with paths.temporary_folder() as folder:
            pinned = folder / "known_hosts"
            pinned.write_text(pinned_host_keys(included))
            play_result = play(
                name,
                inventory,
                [host.name for host in included],
                ssh_config=ssh_config(included, pinned),
                jumps={h.name: proxy_jump(h.jump_hosts) for h in included if h.jump_hosts},
                variables=variables,
                check=check,
                on_task=on_task,
            )
        with_key_errors = _with_host_key_errors(play_result.hosts, included)
        results |= {result.host: result for result in with_key_errors}
    return PlayResult(hosts=tuple(results[host.name] for host in hosts))


def _with_host_key_errors(results: Sequence[HostResult], hosts: Sequence[Host]) -> list[HostResult]:
    """Return the results, with clear messages for hosts that show another host key.

    Unreachable hosts are connected to again, since ssh does not report why a jump host failed.
    """
    unreachable = {result.host for result in results if result.unreachable}
    retried = [host for host in hosts if host.name in unreachable]
    with ThreadPoolExecutor(min(50, len(retried) or 1)) as threads:
        errors = dict(filter(None, threads.map(lambda host: _host_error(host, log_in), retried)))
    updates = {
        name: {"error": str(error), "key_refused": True}
        for name, error in errors.items()
        if isinstance(error, HostKeyError)
    }
    return [result.model_copy(update=updates.get(result.host, {})) for result in results]


def provisioning_error(
    play_result: PlayResult, rigs: Sequence[Rig], *, keep_going: bool = False
) -> FwbenchError | None:
    """Return the error with which the command ends, or None if all hosts succeeded.

    - `HostError`: each failed host showed another host key than before;
    - `ProvisionError`: a host failed for another reason;
    - `RigError`: with `keep_going`, and at least one whole rig succeeded;
    - `EngineKeptError`: all hosts succeeded, and a teardown left a Docker engine.
    """
    errors = {result.host: _describe(result) for result in play_result.failed}
    if not errors:
        return _engine_kept_error(play_result)
    errors_by_rig = {
        rig.name: [errors[host.name] for host in rig.hosts if host.name in errors] for rig in rigs
    }
    if keep_going and not all(errors_by_rig.values()):
        excluded = [f"{rig} ({'; '.join(each)})" for rig, each in errors_by_rig.items() if each]
        return RigError(f"excluded: {', '.join(excluded)}")
    family = HostError if all(host.key_refused for host in play_result.failed) else ProvisionError
    return family("; ".join(errors.values()))


def _engine_kept_error(play_result: PlayResult) -> EngineKeptError | None:
    kept = [
        f"{result.host}: {'; '.join(result.foreign_engine_data)}"
        for result in play_result.hosts
        if result.foreign_engine_data
    ]
    if not kept:
        return None
    return EngineKeptError(
        "a Docker engine that holds what fwbench did not make was left in place"
        f" ({'; '.join(kept)}): remove these and tear down again, or use --purge-engine,"
        " which removes an installed engine with all that it holds, and stops one that was started"
    )


def _describe(result: HostResult) -> str:
    error = result.error or ""
    return error if error.startswith(f"{result.host}: ") else f"{result.host}: {error}"
