"""Record a host's state before fwbench installs or starts a Docker engine, and restore it later.

    before.py record FILE     record the state, unless FILE exists
    before.py restore FILE    restore services, folders, and AppArmor profiles

`network.py` does the same for the network; the role fwbench_host removes packages. Standard
library alone, since it runs on hosts.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

DATA = Path("/var/lib/docker")
CONTAINERD_DATA = Path("/var/lib/containerd")
# The folders and files that an engine, and its containerd, create.
DOCKER_PATHS = (DATA, Path("/etc/docker"), Path("/run/docker"), Path("/var/log/docker.log"))
CONTAINERD_PATHS = (CONTAINERD_DATA, Path("/opt/containerd"), Path("/run/containerd"))
# Of these, the folders in which the host's owner keeps settings, and programs for containerd.
OWNER_FOLDERS = (Path("/etc/docker"), Path("/opt/containerd"))
KEY = Path("/etc/docker/key.json")
DEFAULTS = Path("/etc/default/docker")  # the role may write to it
PATHS = (*DOCKER_PATHS, *CONTAINERD_PATHS, KEY, DEFAULTS)
IGNORED_ENTRIES = {"lost+found"}  # exists where a disk is mounted
UNITS = ("docker.socket", "docker.service", "containerd.service")
PROFILE = "docker-default"
PROFILES = Path("/sys/kernel/security/apparmor/profiles")
NAMESPACE = "moby"  # Docker's namespace in containerd
# The script with which the purge of Debian's package deletes all data.
NUKE = Path("/usr/share/docker.io/contrib/nuke-graph-directory.sh")


def record(file: Path) -> None:
    """Record the host's state unless `file` exists; print `recorded` if it did not."""
    if file.exists():
        return
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(host_state(), indent=1))
    partial.rename(file)
    print("recorded")


def host_state() -> dict[str, Any]:
    """Return the host's current state."""
    return {
        "has_engine": shutil.which("dockerd") is not None,
        "has_containerd": shutil.which("containerd") is not None,
        "has_group": bool(output("getent", "group", "docker")),
        "folders": {str(path): path_state(path) for path in PATHS},
        "data_mode": DATA.stat().st_mode & 0o7777 if DATA.exists() else None,
        "units": {unit: unit_state(unit) for unit in UNITS},
        "has_profile": has_profile(),
        "namespaces": namespaces(),
    }


def path_state(path: Path) -> str:
    """Return `absent`, `empty` or `use`; a file that exists is in use."""
    if not path.exists():
        return "absent"
    return "empty" if path.is_dir() and not contents(path) else "use"


def contents(folder: Path) -> list[Path]:
    """Return the entries of a folder, without those of a file system."""
    return [path for path in folder.iterdir() if path.name not in IGNORED_ENTRIES]


def unit_state(unit: str) -> dict[str, bool]:
    """Return whether a unit is started at boot, and whether it runs."""
    if has_systemd():
        return {
            "enabled": output("systemctl", "is-enabled", unit).startswith("enabled"),
            "active": output("systemctl", "is-active", unit) == "active",
        }
    name = unit.partition(".")[0]
    links = list(Path("/etc").glob(f"rc[2-5].d/S??{name}"))
    return {"enabled": bool(links), "active": bool(output("pidof", f"{name}d"))}


def has_systemd() -> bool:
    """Return whether the host's init is systemd."""
    return Path("/run/systemd/system").is_dir()


def has_profile() -> bool:
    """Return whether the kernel has Docker's AppArmor profile."""
    try:
        return f"{PROFILE} " in PROFILES.read_text()
    except OSError:
        return False


def namespaces() -> list[str]:
    """Return the namespaces of the host's own containerd; an empty list if it does not answer."""
    return output("timeout", "20", "ctr", "namespaces", "ls", "--quiet").split()


def restore(before: dict[str, Any]) -> None:
    """Restore the recorded state; data from before the engine stays untouched."""
    units = [unit for unit in UNITS if not before["units"][unit]["active"]]
    for unit in units:
        stop(unit)
    if not before["units"]["docker.service"]["active"] and output("pidof", "dockerd"):
        sys.exit("dockerd still runs")
    if before["has_engine"]:
        for unit in UNITS:
            disable(unit, before["units"][unit])
    elif before["folders"][str(DATA)] == "use":
        NUKE.unlink(missing_ok=True)  # the package's purge would delete data from before
    if before["has_containerd"] and NAMESPACE not in before["namespaces"]:
        # containerd refuses to remove a namespace that others use.
        output("ctr", "namespaces", "remove", NAMESPACE)
    if not before["has_profile"] and has_profile():
        # The kernel refuses while a process is confined by the profile.
        with suppress(OSError):
            (PROFILES.parent / ".remove").write_text(PROFILE)
    created_defaults = before["folders"][str(DEFAULTS)] == "absent" and DEFAULTS.exists()
    if created_defaults and not DEFAULTS.stat().st_size:
        DEFAULTS.unlink()
    if not before["has_engine"]:
        remove_folders(before)
        if not before["has_group"] and output("getent", "group", "docker"):
            check("groupdel", "docker")


def stop(unit: str) -> None:
    """Stop a unit that did not run before."""
    if not unit_state(unit)["active"]:
        return
    if has_systemd():
        check("systemctl", "stop", unit)
    elif Path("/etc/init.d", name := unit.partition(".")[0]).exists():
        check("service", name, "stop")


def disable(unit: str, before: dict[str, bool]) -> None:
    """Disable a unit at boot if it was disabled before."""
    if before["enabled"] or not unit_state(unit)["enabled"]:
        return
    if has_systemd():
        check("systemctl", "disable", unit)
    else:
        check("update-rc.d", unit.partition(".")[0], "disable")


def remove_folders(before: dict[str, Any]) -> None:
    """Remove the folders that the engine made, and empty those that were empty before.

    Files that the owner has added to the owner's folders since stay, and so do these folders.
    """
    for mount in Path("/run/docker/netns").glob("*"):
        output("umount", str(mount))
    if before["folders"][str(KEY)] == "absent":
        KEY.unlink(missing_ok=True)
    Path("/run/docker.sock").unlink(missing_ok=True)
    paths = DOCKER_PATHS if before["has_containerd"] else DOCKER_PATHS + CONTAINERD_PATHS
    for path in paths:
        state_before = before["folders"][str(path)]
        if state_before == "use" or not path.exists():
            continue
        remove = delete_empty if path in OWNER_FOLDERS else delete
        if path.is_dir():
            for entry in contents(path):
                remove(entry)
        if state_before == "absent":
            with suppress(OSError):  # it may be the mount point of a disk now
                remove(path)
    if before["data_mode"] is not None:
        DATA.chmod(before["data_mode"])


def delete(path: Path) -> None:
    """Delete a file, a link, or a folder with its contents."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def delete_empty(folder: Path) -> None:
    """Delete a folder and its subfolders, except those that contain a file or a link."""
    for subfolder, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            Path(subfolder).rmdir()


def output(*argv: str) -> str:
    """Return what a command prints, or an empty string if it is missing or fails."""
    if shutil.which(argv[0]) is None:
        return ""
    completed = run(argv)
    return "" if completed.returncode else completed.stdout.strip()


def check(*argv: str) -> None:
    """Run a command; exit with its stderr if it fails."""
    completed = run(argv)
    if completed.returncode:
        sys.exit(f"`{shlex.join(argv)}` exited {completed.returncode}: {completed.stderr.strip()}")


def run(argv: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command with its output in English."""
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "LC_ALL": "C"},
    )


if __name__ == "__main__":
    file = Path(sys.argv[2])
    try:
        record(file) if sys.argv[1] == "record" else restore(json.loads(file.read_text()))
    except OSError as error:
        sys.exit(str(error))
