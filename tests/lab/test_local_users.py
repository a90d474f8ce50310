"""An unprivileged user of a host cannot interfere with what fwbench does there as root."""

import shlex
import time
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from lab_program import Lab

from fwbench.errors import HostError
from fwbench.hosts import lease
from fwbench.inventory.rigs import parse_rigs
from fwbench.provisioning.inventory import Inventory, list_inventory
from fwbench.ssh.remote import SshRemote

HOST = "client-1"
USER = "mallory"
FALSE_LEASE = (
    '{"session": "x", "owner": "y", "until_s": 1e12,'
    ' "boot_id": "\'$(cat /proc/sys/kernel/random/boot_id)\'"}'
)


class Mallory:
    """A second, unprivileged user of a real host."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        lab.run(HOST, f"sudo useradd --create-home --shell /bin/sh {USER}")

    def run(self, script: str) -> str:
        return self.lab.run(HOST, f"sudo -u {USER} sh -c {shlex.quote(f'cd /var/tmp; {script}')}")

    def stderr_of(self, script: str) -> str:
        """Return what a command prints to standard error."""
        return self.run(f"{script} 2>&1 >/dev/null; true")

    def remove(self) -> None:
        """Remove the user with all processes and files."""
        self.lab.run(
            HOST,
            f"sudo pkill -KILL -u {USER}; sudo rm -rf /tmp/owned; sudo find /var/tmp -maxdepth 1"
            f" -user {USER} -exec rm -rf {{}} +; sudo userdel --remove {USER} 2>/dev/null; true",
        )


@pytest.fixture
def mallory(ready: Lab) -> Iterator[Mallory]:
    """Yield the unprivileged user; afterwards check that nothing is left on the hosts."""
    user = Mallory(ready)
    try:
        yield user
    finally:
        user.remove()
    assert ready.leftovers() == {}


@pytest.fixture
def remote(ready: Lab) -> Iterator[SshRemote]:
    """Yield a connection to the host as its login user."""
    rigs = parse_rigs(list_inventory(Inventory((ready.inventory,))), "the lab")
    (host,) = [host for rig in rigs for host in rig.hosts if host.name == HOST]
    with SshRemote(host) as remote:
        yield remote


@pytest.fixture
def folder() -> PurePosixPath:
    """Return the path of a new session's folder on the host."""
    return lease.session_folder(f"local-users-{time.time_ns()}")


@pytest.mark.parametrize(
    "make",
    [
        f"echo '{FALSE_LEASE}' >lease.json",
        "mkfifo lease.json",
        "ln -s /dev/zero lease.json",
        f"echo '{FALSE_LEASE}' >lease.json; truncate --size=1T lease.json",
    ],
    ids=["false", "a FIFO", "a link to /dev/zero", "huge"],
)
def test_false_lease_of_local_user_is_ignored(
    mallory: Mallory, remote: SshRemote, folder: PurePosixPath, make: str
) -> None:
    mallory.run(f"mkdir -m 755 fwbench-session-mallory; cd fwbench-session-mallory; {make}")
    start = time.monotonic()
    lease.enter(remote, folder)
    lease.release(remote, folder)
    assert time.monotonic() - start < 20


def test_lock_of_local_user_blocks_no_session(
    mallory: Mallory, remote: SshRemote, folder: PurePosixPath
) -> None:
    mallory.run("setsid flock /var/tmp sleep 300 >/dev/null 2>&1 &")
    start = time.monotonic()
    lease.enter(remote, folder)
    assert "Permission denied" in mallory.stderr_of("flock --nonblock /run/fwbench true")
    assert "Permission denied" in mallory.stderr_of("ls /run/fwbench")
    lease.release(remote, folder)
    assert time.monotonic() - start < 20
    assert "Permission denied" in mallory.stderr_of("mkdir /run/fwbench")


def test_cleanup_of_local_users_folder_removes_nothing_else(
    mallory: Mallory, remote: SshRemote, folder: PurePosixPath, ready: Lab
) -> None:
    ready.run(HOST, "sudo install -d /var/tmp/precious && sudo touch /var/tmp/precious/file")
    mallory.run(
        "mkdir fwbench-session-mallory; cd fwbench-session-mallory; ln -s /var/tmp/precious link;"
        " mkfifo fifo; mkdir -m 0 closed; touch -- -rf; seq 3000 | xargs touch;"
        " touch --date='1 hour ago' ."
    )
    mallorys_folder = "/var/tmp/fwbench-session-mallory"
    ready.run(HOST, f"setsid sh -c 'sleep 300; :' {mallorys_folder}/file >/dev/null 2>&1 &")
    try:
        lease.enter(remote, folder)
        lease.release(remote, folder)
        assert ready.ssh(HOST, f"test -e {mallorys_folder}").returncode == 1
        assert ready.run(HOST, "ls /var/tmp/precious").split() == ["file"]
        ready.run(HOST, f"pgrep -f '^sh -c sleep 300; : {mallorys_folder}/file'")
    finally:
        ready.run(
            HOST,
            f"sudo rm -r /var/tmp/precious; pkill -f '^sh -c sleep 300; : {mallorys_folder}'; true",
        )


def test_code_in_a_recreated_session_folder_is_not_executed(
    mallory: Mallory, remote: SshRemote, folder: PurePosixPath, ready: Lab
) -> None:
    lease.enter(remote, folder)
    ready.run(HOST, f"sudo rm -rf {folder} /run/fwbench; sudo pkill -KILL -f [a]gent.pyz; true")
    code = 'open("/tmp/owned", "w")'
    mallory.run(f"mkdir -m 755 {folder}; echo '{code}' >{folder}/agent.pyz")
    with pytest.raises(HostError, match="is not the folder that fwbench made, or no longer exists"):
        lease.acquire(remote, folder, "r1-0001-flask", 60)
    assert not lease.session_folder_exists(remote, folder)
    lease.release(remote, folder)
    assert ready.ssh(HOST, "test -e /tmp/owned").returncode == 1
    with pytest.raises(HostError, match="another user of that host made it: remove it as root"):
        lease.enter(remote, folder)
