"""Start, inspect and remove a contender's container on a target."""

import ipaddress
from collections.abc import Sequence

from fwbench.agent.protocol import SESSION_LABEL
from fwbench.errors import NotReadyError, RunError
from fwbench.model.contender import Contender, Contract
from fwbench.model.setting import CpuMode, Network, Setting
from fwbench.ssh.remote import Remote

ENGINE_TIMEOUT_S = 60
# A contender may log, fork and write without end: nothing of this may fill the host.
LOG_OPTIONS = ("max-size=4m", "max-file=2")
MAX_PROCESSES = 16_384
TMP_SIZE = "256m"


def endpoint_url(address: str, contender: Contender, contract: Contract) -> str:
    """Return the URL of a contender's endpoint at the target's load address."""
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
    """Return Docker's command line for a new container without privileges.

    It listens on `address` alone. `image` is an id rather than a tag: the container then runs the
    image that the session's facts describe. `cpus` are the numbers of the target's CPUs.
    """
    host = f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    argv = ["docker", "run", "--detach", "--pull=never", f"--name={name}"]
    argv += [f"--label={SESSION_LABEL}={session}"]
    if setting.network is Network.HOST:
        argv += ["--network=host", f"--env=FWBENCH_BIND={host}"]
    else:
        argv += [f"--publish={host}:{contender.port}:{contender.port}"]
    argv += ["--log-driver=local", *(f"--log-opt={option}" for option in LOG_OPTIONS)]
    argv.append(f"--pids-limit={MAX_PROCESSES}")
    argv += ["--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only"]
    argv.append(f"--tmpfs=/tmp:size={TMP_SIZE}")
    argv.append(f"--env=FWBENCH_WORKERS={setting.concurrency.workers or contender.workers}")
    argv.append(f"--env=FWBENCH_THREADS={setting.concurrency.threads or contender.threads}")
    limits = setting.limits
    if limits.cpus is not None and limits.cpu_mode is CpuMode.PINNED:
        # the last CPUs: the first ones usually serve the interrupts
        argv.append(f"--cpuset-cpus={','.join(map(str, cpus[-int(limits.cpus) :]))}")
    elif limits.cpus is not None:
        argv.append(f"--cpus={limits.cpus:g}")
    if limits.memory is not None:
        # Equal to the memory: no swap. By default, Docker allows as much swap as memory. Where the
        # kernel cannot limit swap, Docker only warns.
        argv += [f"--memory={limits.memory}", f"--memory-swap={limits.memory}"]
    return [*argv, image]


def start(target: Remote, contender: Contender, argv: Sequence[str]) -> None:
    """Start a contender's container.

    Raises `NotReadyError` if the image is missing, and `RunError` if the port is in use or Docker
    refuses for another reason.
    """
    done = target.execute(argv, timeout_s=ENGINE_TIMEOUT_S, sudo=True)
    if not done.exit_status:
        return
    stderr = " ".join(done.stderr.split())
    if "already allocated" in stderr or "address already in use" in stderr:
        raise RunError(
            f"{target.name}: port {contender.port} is in use, {contender.name} needs it; "
            "`ss -ltnp` on that host shows which program uses it"
        )
    if "cannot assign requested address" in stderr:
        raise RunError(
            f"{target.name}: the load address does not belong to this host ({stderr[-200:]}); "
            "set fwbench_load_address to one of its addresses"
        )
    if "No such image" in stderr:
        raise NotReadyError(
            f"{target.name}: the image of {contender.name} is missing; run `fwbench provision`"
        )
    reason = stderr[-300:] or f"exit status {done.exit_status}"
    raise RunError(f"{target.name}: Docker could not start {contender.name}: {reason}")


def has_exited(target: Remote, name: str) -> bool:
    """Return whether a container has exited; False if Docker does not answer."""
    running = 'docker container inspect --format={{.State.Running}} "$0"'
    done = target.execute(["sh", "-c", f'test "$({running})" = false', name], sudo=True)
    return not done.exit_status


def remove(target: Remote, name: str) -> None:
    """Remove a container; Docker's `--force` accepts that it no longer exists."""
    target.check(
        ["docker", "rm", "--force", "--volumes", name], timeout_s=ENGINE_TIMEOUT_S, sudo=True
    )
