"""Playbooks to ready hosts: provisioning, verifying and tearing down have one face."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fwbench.errors import (
    EngineKeptError,
    FwbenchError,
    HostError,
    HostKeyError,
    ProvisionError,
    RigError,
)
from fwbench.model.host import Host, Rig
from fwbench.provisioning.playbook import HostResult, PlayResult, play
from fwbench.ssh.remote import SshRemote
from fwbench.ssh.ssh_config import proxy_jump, ssh_config


def check_connections(hosts: Sequence[Host], *, keep_going: bool = False) -> Mapping[str, str]:
    """Log in to every host once, all at once: which cannot be reached, and why in a sentence.

    It records the keys of first contacts for Ansible to check. Raises `HostError` naming every host
    that does not answer, refuses, or shows another key, unless it is to keep going.
    """
    with ThreadPoolExecutor(min(50, len(hosts))) as threads:
        troubles = [
            trouble for trouble in threads.map(_connection_error, hosts) if trouble is not None
        ]
    if troubles and not keep_going:
        raise HostError("; ".join(str(error) for _, error in troubles))
    return {host: str(error) for host, error in troubles}


def _connection_error(host: Host) -> tuple[str, HostError] | None:
    try:
        with SshRemote(host) as remote:
            remote.check(["true"])
    except HostError as error:
        return host.name, error
    return None


def run_playbook(
    name: str,
    inventory: Path,
    hosts: Iterable[Host],
    *,
    excluded: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
    check: bool = False,
    on_task: Callable[[str], None] = lambda _: None,
) -> PlayResult:
    """Run one of fwbench's playbooks over hosts; each is in the result, whatever became of it.

    `left_out` are those that it is not run on, with the reason. Raises `ProvisionError` where
    Ansible itself fails; `shortfall` says what a host's trouble means to the whole.
    """
    hosts, excluded = tuple(hosts), excluded or {}
    met = [host for host in hosts if host.name not in excluded]
    done: dict[str, HostResult] = {
        host: HostResult(host=host, changed=0, error=why, skipped=True)
        for host, why in excluded.items()
    }
    if met:
        played = play(
            name,
            inventory,
            [host.name for host in met],
            ssh_config=ssh_config(met),
            jumps={host.name: proxy_jump(host.jump_hosts) for host in met if host.jump_hosts},
            variables=variables,
            check=check,
            on_task=on_task,
        )
        done |= {result.host: result for result in _with_host_key_errors(played.hosts, met)}
    return PlayResult(hosts=tuple(done[host.name] for host in hosts))


def _with_host_key_errors(results: Sequence[HostResult], hosts: Sequence[Host]) -> list[HostResult]:
    """The results, with the sentence of a refused host key where that is why ssh did not arrive.

    It is asked for anew, since ssh does not say why it did not come past a jump host.
    """
    unreachable = {result.host for result in results if result.unreachable}
    asked = [host for host in hosts if host.name in unreachable]
    with ThreadPoolExecutor(min(50, len(asked) or 1)) as threads:
        troubles = dict(filter(None, threads.map(_connection_error, asked)))
    refused = {
        name: {"error": str(error), "key_refused": True}
        for name, error in troubles.items()
        if isinstance(error, HostKeyError)
    }
    return [result.model_copy(update=refused.get(result.host, {})) for result in results]


def provisioning_error(
    played: PlayResult, rigs: Sequence[Rig], *, keep_going: bool = False
) -> FwbenchError | None:
    """What falls short of ready hosts, as the error to end with, or None where all are well.

    A `ProvisionError` names every host in trouble, and so does a `HostError` where each of them
    showed another host key than before. Where it was to keep going and a whole rig is well, a
    `RigError` names the rigs that are not, and why. Where all is well but for engines that
    a teardown left, an `EngineKeptError` names them.
    """
    troubles = {result.host: _describe(result) for result in played.failed}
    if not troubles:
        return _engine_kept_error(played)
    out = {
        rig.name: [troubles[host.name] for host in rig.hosts if host.name in troubles]
        for rig in rigs
    }
    if keep_going and not all(out.values()):
        whys = [f"{rig} ({'; '.join(why)})" for rig, why in out.items() if why]
        return RigError(f"left out: {', '.join(whys)}")
    family = HostError if all(host.key_refused for host in played.failed) else ProvisionError
    return family("; ".join(troubles.values()))


def _engine_kept_error(played: PlayResult) -> EngineKeptError | None:
    kept = [
        f"{result.host}: {'; '.join(result.foreign_engine_data)}"
        for result in played.hosts
        if result.foreign_engine_data
    ]
    if not kept:
        return None
    return EngineKeptError(
        f"the Docker engine stays where it holds what fwbench did not make ({'; '.join(kept)}):"
        " remove that and tear down again, or lose it with --purge-engine"
    )


def _describe(result: HostResult) -> str:
    why = result.error or ""
    return why if why.startswith(f"{result.host}: ") else f"{result.host}: {why}"
