"""Playbooks in, a result per host out: the only importer of ansible_runner."""

import json
import locale
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fwbench import paths
from fwbench.errors import InventoryError, ProvisionError
from fwbench.model.base import Frozen
from fwbench.ssh import openssh

FORKS = 50  # each is a process of its own on the controller

# What the environment says of Ansible's connections: the driver's would not heed it. ansible-runner
# turns the check of host keys off wherever the environment does not say.
_ENFORCED_ENVIRONMENT = {
    "ANSIBLE_HOST_KEY_CHECKING": "True",
    "ANSIBLE_SSH_HOST_KEY_CHECKING": "True",
    "ANSIBLE_TRANSPORT": "ssh",
    "ANSIBLE_SSH_EXECUTABLE": "ssh",
    "ANSIBLE_SFTP_EXECUTABLE": "sftp",
    "ANSIBLE_SCP_EXECUTABLE": "scp",
    "ANSIBLE_SSH_COMMON_ARGS": "",
    "ANSIBLE_SSH_EXTRA_ARGS": "",
    "ANSIBLE_SFTP_EXTRA_ARGS": "",
    "ANSIBLE_SCP_EXTRA_ARGS": "",
}


class HostResult(Frozen):
    """What a playbook did on one host; `trouble` names the task that failed and why."""

    host: str
    changed: int
    error: str | None = None
    skipped: bool = False  # the playbook was not played on it, for its trouble
    foreign_engine_data: tuple[str, ...] = ()  # what others have in an engine that a teardown left
    unreachable: bool = False  # Ansible's ssh did not come to it, or lost it
    key_refused: bool = False  # its trouble is its host key, or that of a host on the way


class PlayResult(Frozen):
    """How a playbook ended on every host."""

    hosts: tuple[HostResult, ...]

    @property
    def failed(self) -> tuple[HostResult, ...]:
        """The hosts that are not as the playbook wants them."""
        return tuple(host for host in self.hosts if host.error is not None)


def list_inventory(path: Path) -> Mapping[str, Any]:
    """All hosts and variables of any inventory that Ansible understands.

    Raises `InventoryError` with Ansible's own words where it cannot be read.
    """
    if not path.exists():
        raise InventoryError(
            f"{path}: no such inventory; copy {paths.data_folder() / 'inventory' / 'example.yml'} "
            "and fill in your hosts"
        )
    if not (path.is_file() or path.is_dir()):
        raise InventoryError(f"{path}: neither a file nor a folder, which Ansible would wait for")
    try:
        done = subprocess.run(
            ["ansible-inventory", "--inventory", str(path.absolute()), "--list"],
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            stdin=subprocess.DEVNULL,
            env={**_environment(), "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"},
        )
    except OSError as error:
        raise InventoryError(
            f"{path}: ansible-inventory cannot be started ({error.strerror}); install fwbench anew"
        ) from error
    if done.returncode:
        words = " ".join(done.stderr.replace("ERROR!", "").split())
        raise InventoryError(f"{path}: not an inventory that Ansible can read: {words[-400:]}")
    try:
        listing = json.loads(done.stdout)
    except (ValueError, RecursionError) as error:
        raise InventoryError(f"{path}: ansible-inventory answered no JSON: {error}") from error
    return listing if isinstance(listing, dict) else {}


def play(
    name: str,
    inventory: Path | str,
    expected: Iterable[str],
    *,
    ssh_config: str | None = None,
    jumps: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
    check: bool = False,
    on_task: Callable[[str], None] = lambda _: None,
) -> PlayResult:
    """Run a playbook of `playbooks/` on the expected hosts, all at once; each is in the result.

    `ssh_config` is what OpenSSH is told before the user's own configuration; without it, keys are
    looked for in the user's own known_hosts. `jumps` is the ProxyJump of each host that has one: it
    takes the place of a ProxyCommand, whose ssh would be told nothing.
    `on_task` is called with the name of each task as it starts. Raises `ProvisionError` where
    Ansible itself fails, and `KeyboardInterrupt` once Ansible has ended after Ctrl-C; what fails on
    a host is in that host's result.
    """
    import ansible_runner
    import pexpect

    hosts = tuple(expected)
    trouble: dict[str, str] = {}
    said: list[str] = []
    kept_engines: dict[str, list[str]] = {}

    def on_event(event: dict[str, Any]) -> bool:
        data = event.get("event_data", {})
        if event["event"] == "playbook_on_task_start":
            on_task(str(data.get("name") or data.get("task", "")))
        elif event["event"] in ("runner_on_failed", "runner_on_unreachable"):
            if not data.get("ignore_errors"):
                # The last word counts: a rescue explains what the task before it only failed with.
                trouble[str(data["host"])] = _failure_message(data)
        elif event["event"] == "playbook_on_stats":
            # What a role hands on by `set_stats`.
            kept_engines.update(data.get("artifact_data", {}).get("kept_engines", {}))
        elif event["event"] in ("verbose", "error") and event.get("stdout"):
            said.append(str(event["stdout"]))
        return True

    root = paths.data_folder()
    with (
        tempfile.TemporaryDirectory(prefix="fwbench-") as private,
        openssh.control_sockets() as sockets,
        _deferred_sigint() as cancelled,
    ):
        # A file, since in an option a name with a comma or a colon would be a pattern.
        limit = Path(private, "expected-hosts")
        limit.write_text("\n".join(hosts))
        config = Path(private, "ssh_config")
        config.write_text(text := ssh_config or openssh.configuration())
        try:
            runner = ansible_runner.run(
                private_data_dir=private,
                project_dir=str(root),
                playbook=str(root / "playbooks" / name),
                inventory=str(inventory.absolute()) if isinstance(inventory, Path) else inventory,
                extravars={**(variables or {}), **_ssh_variables(sockets, jumps or {})},
                limit=f"@{limit}",
                forks=min(FORKS, len(hosts)),
                cmdline="--check" if check else None,
                envvars={
                    **_environment(),
                    **_ENFORCED_ENVIRONMENT,
                    "ANSIBLE_SSH_ARGS": openssh.arguments(text, config),
                    # What roles leave on the controller goes too, whatever becomes of a host.
                    "TMPDIR": private,
                },
                settings={"pexpect_timeout": 1, "suppress_ansible_output": True},
                quiet=True,
                event_handler=on_event,
                cancel_callback=cancelled.is_set,
            )
        except pexpect.TIMEOUT as error:  # an open issue of ansible-runner
            raise ProvisionError(f"{name}: Ansible fell silent") from error
        stats = {} if runner.status == "canceled" else runner.stats or {}
    if runner.status == "canceled":
        raise KeyboardInterrupt
    if not stats:
        words = " ".join(" ".join(said).replace("ERROR!", "").split())
        raise ProvisionError(f"{name}: Ansible did not run: {words[-600:] or runner.status}")
    results = [_host_result(host, stats, trouble, kept_engines.get(host, ())) for host in hosts]
    return PlayResult(hosts=tuple(results))


@contextmanager
def _deferred_sigint() -> Iterator[threading.Event]:
    """Turns Ctrl-C into an event: an exception in ansible_runner would leave Ansible running."""
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
    trouble: Mapping[str, str],
    keeps_engine_for: Sequence[str] = (),
) -> HostResult:
    why = trouble.get(host)
    failed = host in stats.get("dark", {}) or host in stats.get("failures", {})
    if failed and why is None:
        why = "Ansible counts it as failed, without a word"
    elif not failed:
        # An empty pattern or an empty group is a success to Ansible; a rescued failure is one too.
        why = None if host in stats.get("processed", {}) else "the playbook never reached it"
    return HostResult(
        host=host,
        changed=stats.get("changed", {}).get(host, 0),
        error=why,
        foreign_engine_data=tuple(keeps_engine_for),
        unreachable=host in stats.get("dark", {}),
    )


def _failure_message(data: Mapping[str, Any]) -> str:
    result = data.get("res", {})
    words = [str(result.get("msg") or "failed").strip()]
    items = [item for item in result.get("results", []) if isinstance(item, dict)]
    # ansible-core 2.19 marks an item that failed; 2.21 only tells it by its exception.
    failed = [item for item in items if item.get("failed") or "exception" in item]
    words += [str(item.get("msg", "")) for item in failed]
    if detail := str(result.get("stderr") or "").strip():
        words.append(detail[-600:])
    return f"{data.get('task', 'a task')}: {' '.join(' '.join(words).split())[:1200]}"


# For the templates of `_ssh_variables`. ssh wants only one -J.
_HAS_PROXY_COMMAND = "'proxycommand' in (arguments | lower) and '-J' not in arguments"
_ARGUMENTS = "(ansible_ssh_common_args | default('')) ~ (ansible_ssh_extra_args | default(''))"


def _ssh_variables(sockets: Path, jumps: Mapping[str, str]) -> dict[str, Any]:
    """Variables that overrule those of an inventory, as extra variables do.

    The arguments are looked up, since text in a variable would be taken for a template. A socket
    has its host's name beside the address, which two hosts behind two bastions may share.
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


def _environment() -> dict[str, str]:
    """The environment Ansible needs: its programs of this very installation, and UTF-8."""
    scripts = sysconfig.get_path("scripts") or str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)]),
        "ANSIBLE_CONFIG": str(paths.data_folder() / "ansible.cfg"),
    }
    if locale.getpreferredencoding(False).lower() not in ("utf-8", "utf8"):
        environment["LC_ALL"] = "C.UTF-8"
    return environment
