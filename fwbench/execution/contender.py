"""Starts, awaits and removes one contender on a target."""

import ipaddress
from collections.abc import Sequence

from fwbench.agent.protocol import SESSION_LABEL
from fwbench.errors import NotReadyError, RunError
from fwbench.model.contender import Contender, Contract
from fwbench.model.setting import CpuMode, Network, Setting
from fwbench.ssh.remote import Remote

ENGINE_TIMEOUT_S = 60
# What a contender does is not ours to say: neither its log nor its processes may fill the host.
LOG_OPTIONS = ("max-size=4m", "max-file=2")
PROCESSES = 16_384


def url(address: str, contender: Contender, contract: Contract) -> str:
    """Where the client finds a contender's endpoint."""
    host = f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    return f"http://{host}:{contender.port}{contract.path}"


def run_argv(
    name: str,
    contender: Contender,
    image: str,
    setting: Setting,
    address: str,
    session: str,
    cpus: Sequence[int],
) -> list[str]:
    """The engine's command for a fresh container: no privileges, reached on one address only.

    `image` is an id, not a tag, so that what runs is what the session's facts describe. `cpus` are
    the numbers of the target's CPUs; a container that is pinned gets the last of them, since
    interrupts are mostly served by the first.
    """
    host = f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    argv = ["docker", "run", "--detach", "--pull=never", f"--name={name}"]
    argv += [f"--label={SESSION_LABEL}={session}"]
    if setting.network is Network.HOST:
        argv += ["--network=host", f"--env=FWBENCH_BIND={host}"]
    else:
        argv += [f"--publish={host}:{contender.port}:{contender.port}"]
    argv += ["--log-driver=local", *(f"--log-opt={option}" for option in LOG_OPTIONS)]
    argv.append(f"--pids-limit={PROCESSES}")
    argv += ["--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only", "--tmpfs=/tmp"]
    argv.append(f"--env=FWBENCH_WORKERS={setting.concurrency.workers or contender.workers}")
    argv.append(f"--env=FWBENCH_THREADS={setting.concurrency.threads or contender.threads}")
    limits = setting.limits
    if limits.cpus is not None and limits.cpu_mode is CpuMode.PINNED:
        argv.append(f"--cpuset-cpus={','.join(map(str, cpus[-int(limits.cpus) :]))}")
    elif limits.cpus is not None:
        argv.append(f"--cpus={limits.cpus:g}")
    if limits.memory is not None:
        argv.append(f"--memory={limits.memory}")
    return [*argv, image]


def start(target: Remote, contender: Contender, argv: Sequence[str]) -> None:
    """Start a contender's container.

    Raises `RunError` where the port is taken or the engine refuses, `NotReadyError` where the image
    is not there.
    """
    done = target.execute(argv, timeout_s=ENGINE_TIMEOUT_S, sudo=True)
    if not done.exit_status:
        return
    said = " ".join(done.stderr.split())
    if "already allocated" in said or "address already in use" in said:
        raise RunError(
            f"{target.name}: port {contender.port} is in use, {contender.name} needs it; "
            "`ss -ltnp` on that host shows by what"
        )
    if "cannot assign requested address" in said:
        raise RunError(
            f"{target.name}: its load address is not an address of its own ({said[-200:]}); "
            "set fwbench_load_address to one"
        )
    if "No such image" in said:
        raise NotReadyError(
            f"{target.name}: the image of {contender.name} is gone; run `fwbench provision`"
        )
    why = said[-300:] or f"exit status {done.exit_status}"
    raise RunError(f"{target.name}: the engine would not start {contender.name}: {why}")


def has_ended(target: Remote, name: str) -> bool:
    """Whether the engine says that a container no longer runs; False where it does not tell."""
    running = 'docker container inspect --format={{.State.Running}} "$0"'
    done = target.execute(["sh", "-c", f'test "$({running})" = false', name], sudo=True)
    return not done.exit_status


def remove(target: Remote, name: str) -> None:
    """Take a container away; that it is gone already is as good."""
    target.check(
        ["docker", "rm", "--force", "--volumes", name], timeout_s=ENGINE_TIMEOUT_S, sudo=True
    )
