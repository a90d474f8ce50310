"""Run playbooks, with a result for each host."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fwbench import paths
from fwbench.errors import ProvisionError
from fwbench.model.play import HostResult, PlayResult
from fwbench.provisioning.environment import ansible_environment
from fwbench.provisioning.events import EventCollector
from fwbench.provisioning.inventory import Inventory
from fwbench.ssh import openssh

FORKS = 50  # each is a process of its own on the controller

# Settings of Ansible's connections that the user's environment must not change: fwbench's own
# connections would not use them. ansible-runner disables the check of host keys by default.
_ENFORCED_ENVIRONMENT = {
    "ANSIBLE_HOST_KEY_CHECKING": "True",
    "ANSIBLE_SSH_HOST_KEY_CHECKING": "True",
    # What a host reports as facts must not become variables: these could name files to send there.
    "ANSIBLE_INJECT_FACT_VARS": "False",
    "ANSIBLE_TRANSPORT": "ssh",
    "ANSIBLE_SSH_EXECUTABLE": "ssh",
    "ANSIBLE_SFTP_EXECUTABLE": "sftp",
    "ANSIBLE_SCP_EXECUTABLE": "scp",
    "ANSIBLE_SSH_COMMON_ARGS": "",
    "ANSIBLE_SSH_EXTRA_ARGS": "",
    "ANSIBLE_SFTP_EXTRA_ARGS": "",
    "ANSIBLE_SCP_EXTRA_ARGS": "",
}


def play(
    name: str,
    inventory: Inventory,
    expected: Iterable[str],
    *,
    ssh_config: str | None = None,
    jumps: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
    check: bool = False,
    on_task: Callable[[str], None] = lambda _: None,
) -> PlayResult:
    """Run a playbook of `playbooks/` on the expected hosts, and return a result for each.

    `ssh_config` is the file for `ssh -F`; by default, ssh uses the user's own known_hosts. `jumps`
    maps a host to its ProxyJump, which replaces a ProxyCommand: the ssh of a ProxyCommand would not
    check host keys as fwbench does. `on_task` is called with the name of each task that starts.

    A task that fails is an error in its host's result. Raise `ProvisionError` if Ansible itself
    fails, and `KeyboardInterrupt` after Ctrl-C, once Ansible has ended.
    """
    hosts = tuple(expected)
    events = EventCollector(on_task)
    with (
        paths.temporary_folder() as folder,
        openssh.control_sockets() as sockets,
        _deferred_sigint() as cancelled,
    ):
        runner = _run_ansible(
            name,
            event_handler=events.handle,
            cancel_callback=cancelled.is_set,
            inventory=inventory.arguments(folder),
            limit=f"@{_write_limit(folder, hosts)}",
            forks=min(FORKS, len(hosts)),
            extravars={**(variables or {}), **_ssh_variables(sockets, jumps or {})},
            cmdline="--check" if check else None,
            private_data_dir=str(folder),
            envvars=_play_environment(folder, ssh_config or openssh.configuration()),
        )
        stats = {} if runner.status == "canceled" else runner.stats or {}
    if runner.status == "canceled":
        raise KeyboardInterrupt
    if not stats:
        output = " ".join(" ".join(events.output).replace("ERROR!", "").split())
        raise ProvisionError(f"{name}: Ansible did not run: {output[-600:] or runner.status}")
    return PlayResult(
        hosts=tuple(
            _host_result(host, stats, events.errors, events.kept_engines.get(host, ()))
            for host in hosts
        )
    )


def _run_ansible(name: str, **settings: Any) -> Any:
    """Run a playbook. Raise `ProvisionError` if Ansible stops without ending."""
    import ansible_runner
    import pexpect

    root = paths.data_folder()
    try:
        return ansible_runner.run(
            project_dir=str(root),
            playbook=str(root / "playbooks" / name),
            settings={"pexpect_timeout": 1, "suppress_ansible_output": True},
            quiet=True,
            **settings,
        )
    except pexpect.TIMEOUT as error:  # an open issue of ansible-runner
        raise ProvisionError(f"{name}: Ansible stopped answering; run the command again") from error


def _write_limit(folder: Path, hosts: Iterable[str]) -> Path:
    """Write the hosts to a file for `--limit`: as an option, `a,b` or `a:b` would be a pattern."""
    file = folder / "expected-hosts"
    file.write_text("\n".join(hosts))
    return file


def _play_environment(folder: Path, ssh_config: str) -> dict[str, str]:
    file = folder / "ssh_config"
    file.write_text(ssh_config)
    return {
        **ansible_environment(),
        **_ENFORCED_ENVIRONMENT,
        "ANSIBLE_SSH_ARGS": openssh.arguments(ssh_config, file),
        # What Ansible and roles write on the controller is removed with this folder.
        "TMPDIR": str(folder),
        "ANSIBLE_LOCAL_TEMP": str(folder),
    }


@contextmanager
def _deferred_sigint() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C sets: an exception in ansible_runner would leave Ansible running.

    Outside the main thread, which alone can handle signals, the event is never set.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = {
        number: signal.signal(number, lambda *_: interrupted.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _host_result(
    host: str,
    stats: Mapping[str, Mapping[str, int]],
    errors: Mapping[str, str],
    foreign_engine_data: Sequence[str] = (),
) -> HostResult:
    error = errors.get(host)
    failed = host in stats.get("dark", {}) or host in stats.get("failures", {})
    if failed and error is None:
        error = "Ansible counts it as failed and gives no reason"
    elif not failed:
        # Ansible succeeds with an empty pattern or group. A rescued failure counts as success.
        error = None if host in stats.get("processed", {}) else "the playbook never reached it"
    return HostResult(
        host=host,
        changed=stats.get("changed", {}).get(host, 0),
        error=error,
        foreign_engine_data=tuple(foreign_engine_data),
        unreachable=host in stats.get("dark", {}),
    )


# For the templates of `_ssh_variables`. ssh accepts only one -J.
_HAS_PROXY_COMMAND = "'proxycommand' in (arguments | lower) and '-J' not in arguments"
_ARGUMENTS = "(ansible_ssh_common_args | default('')) ~ (ansible_ssh_extra_args | default(''))"


def _ssh_variables(sockets: Path, jumps: Mapping[str, str]) -> dict[str, Any]:
    """Return the extra variables for ssh, which override those of an inventory.

    The arguments are looked up in the environment, since Ansible would evaluate a variable as
    a template. The name of a socket contains the host's name, since two hosts behind different
    bastions may have the same address.
    """
    return {
        "ansible_host_key_checking": True,
        "ansible_ssh_host_key_checking": True,
        "ansible_ssh_args": "{{ lookup('ansible.builtin.env', 'ANSIBLE_SSH_ARGS') }}"
        f" -oControlPath={sockets}/{{{{ (inventory_hostname | hash('sha1'))[:8] }}}}-%C"
        f"{{% set arguments = {_ARGUMENTS} %}}"
        f"{{% if {_HAS_PROXY_COMMAND} and inventory_hostname in fwbench_jumps %}}"
        " -oProxyJump={{ fwbench_jumps[inventory_hostname] }}{% endif %}",
        "fwbench_jumps": dict(jumps),
    }
