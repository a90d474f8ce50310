"""What a host was like before fwbench installed or started a Docker engine on it, and the way back.

    before.py record FILE     write it down, once
    before.py restore FILE    put it back: services, folders, and what the engine set in the kernel

Packages are not its subject. Standard library alone, since it runs on hosts.
"""

import json
import os
import re
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
# What an engine, or the containerd that comes with it, makes.
OF_DOCKER = (DATA, Path("/etc/docker"), Path("/run/docker"), Path("/var/log/docker.log"))
OF_CONTAINERD = (CONTAINERD_DATA, Path("/opt/containerd"), Path("/run/containerd"))
# Those of them that the host's owner fills: with settings, and with programs for containerd.
OF_OWNER = (Path("/etc/docker"), Path("/opt/containerd"))
KEY = Path("/etc/docker/key.json")
DEFAULTS = Path("/etc/default/docker")  # into which the role may write
PATHS = (*OF_DOCKER, *OF_CONTAINERD, KEY, DEFAULTS)
OF_FILE_SYSTEMS = {"lost+found"}  # of a disk that is mounted there
UNITS = ("docker.socket", "docker.service", "containerd.service")
SETTINGS = (
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/bridge/bridge-nf-call-iptables",
    "net/bridge/bridge-nf-call-ip6tables",
)
# Docker's own chains by name: others of a like name may belong to the host's network.
CHAIN = "DOCKER(?:-USER|-FORWARD|-BRIDGE|-CT|-INTERNAL|-ISOLATION-STAGE-[12])?"
BRIDGE = Path("/sys/class/net/docker0")
PROFILE = "docker-default"
PROFILES = Path("/sys/kernel/security/apparmor/profiles")
NAMESPACE = "moby"  # that in which Docker keeps its containers in containerd
# Where Debian's package keeps the script with which its purge deletes all data.
NUKE = Path("/usr/share/docker.io/contrib/nuke-graph-directory.sh")


def main() -> None:
    """Do what the command line says."""
    what, file = sys.argv[1], Path(sys.argv[2])
    if what == "record":
        record(file)
    else:
        restore(json.loads(file.read_text()))


def record(file: Path) -> None:
    """Write down how the host is, unless that was done before; says whether it did."""
    if file.exists():
        return
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(surroundings(), indent=1))
    partial.rename(file)
    print("recorded")


def surroundings() -> dict[str, Any]:
    """How the host is now."""
    return {
        "has_engine": shutil.which("dockerd") is not None,
        "has_containerd": shutil.which("containerd") is not None,
        "has_group": bool(output("getent", "group", "docker")),
        "folders": {str(path): condition(path) for path in PATHS},
        "data_mode": DATA.stat().st_mode & 0o7777 if DATA.exists() else None,
        "units": {unit: unit_state(unit) for unit in UNITS},
        "policies": {tool: policy(tool) for tool in ("iptables", "ip6tables")},
        "settings": {name: setting(name) for name in SETTINGS},
        "has_chains": bool(rules("iptables", "nat") & {"chain DOCKER"}),
        "has_bridge": BRIDGE.exists(),
        "has_profile": has_profile(),
        "namespaces": namespaces(),
    }


def condition(path: Path) -> str:
    """Whether a folder is `absent`, `empty` or in `use`; a file that is there is in use."""
    if not path.exists():
        return "absent"
    if path.is_dir() and not contents(path):
        return "empty"
    return "use"


def contents(folder: Path) -> list[Path]:
    """What somebody put into a folder."""
    return [path for path in folder.iterdir() if path.name not in OF_FILE_SYSTEMS]


def unit_state(unit: str) -> dict[str, bool]:
    """Whether a unit is started at boot, and whether it runs."""
    if has_systemd():
        return {
            "enabled": output("systemctl", "is-enabled", unit).startswith("enabled"),
            "active": output("systemctl", "is-active", unit) == "active",
        }
    name = unit.partition(".")[0]
    links = list(Path("/etc").glob(f"rc[2-5].d/S??{name}"))
    return {"enabled": bool(links), "active": bool(output("pidof", f"{name}d"))}


def has_systemd() -> bool:
    """Whether the host's init is systemd."""
    return Path("/run/systemd/system").is_dir()


def policy(tool: str) -> str | None:
    """What becomes of forwarded packets that no rule is about; None where that is not told."""
    found = re.search(r"^-P FORWARD (\w+)$", output(tool, "-S", "FORWARD"), re.MULTILINE)
    return found[1] if found else None


def setting(name: str) -> str | None:
    """A setting of the kernel; None where it has none of that name."""
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def rules(tool: str, table: str) -> set[str]:
    """The rules of a table that are Docker's, as they were added, and its chains."""
    found = set()
    for line in output(f"{tool}-save", "-t", table).splitlines():
        if re.match(rf":{CHAIN} ", line):
            found.add(f"chain {line[1:].split()[0]}")
        elif line.startswith("-A ") and re.search(rf"( {CHAIN}( |$)|docker0)", line):
            found.add(line)
    return found


def has_profile() -> bool:
    """Whether the kernel has Docker's AppArmor profile."""
    try:
        return f"{PROFILE} " in PROFILES.read_text()
    except OSError:
        return False


def namespaces() -> list[str]:
    """The namespaces of the host's own containerd; none where none answers."""
    return output("timeout", "20", "ctr", "namespaces", "ls", "--quiet").split()


def restore(before: dict[str, Any]) -> None:
    """Put back what was recorded; data that was there before the engine stays untouched."""
    units = [unit for unit in UNITS if not before["units"][unit]["active"]]
    for unit in units:
        stop(unit)
    if not before["units"]["docker.service"]["active"] and output("pidof", "dockerd"):
        sys.exit("dockerd still runs")
    if before["has_engine"]:
        for unit in UNITS:
            disable(unit, before["units"][unit])
    elif before["folders"][str(DATA)] == "use":
        NUKE.unlink(missing_ok=True)  # the package's purge would delete data that was there before
    if before["has_containerd"] and NAMESPACE not in before["namespaces"]:
        # It refuses where something is in it, which then is somebody else's.
        output("ctr", "namespaces", "remove", NAMESPACE)
    restore_network(before)
    if not before["has_profile"] and has_profile():
        # The kernel refuses while somebody's process is confined by it.
        with suppress(OSError):
            (PROFILES.parent / ".remove").write_text(PROFILE)
    if (
        before["folders"][str(DEFAULTS)] == "absent"
        and DEFAULTS.exists()
        and not DEFAULTS.stat().st_size
    ):
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
    """Have a unit started at boot only if it was before."""
    if before["enabled"] or not unit_state(unit)["enabled"]:
        return
    if has_systemd():
        check("systemctl", "disable", unit)
    else:
        check("update-rc.d", unit.partition(".")[0], "disable")


def restore_network(before: dict[str, Any]) -> None:
    """Take the engine's rules, chains and bridge away and put policies and settings back."""
    if not before["has_chains"]:
        for tool in ("iptables", "ip6tables"):
            for table in ("filter", "nat", "raw", "mangle"):
                remove_rules(tool, table)
    for tool, target in before["policies"].items():
        if target is not None and policy(tool) not in (None, target):
            check(tool, "-P", "FORWARD", target)
    if not before["has_bridge"] and BRIDGE.exists():
        check("ip", "link", "delete", BRIDGE.name)
    for name, value in before["settings"].items():
        # A setting that came with a module of the kernel does nothing when it is 0.
        wanted = value or "0"
        if setting(name) not in (None, wanted):
            Path("/proc/sys", name).write_text(wanted)


def remove_rules(tool: str, table: str) -> None:
    """Remove Docker's rules of a table, and then its chains."""
    found = rules(tool, table)
    chains = [rule.split()[1] for rule in found if rule.startswith("chain ")]
    for rule in found:
        if rule.startswith("-A "):
            check(tool, "-t", table, "-D", *shlex.split(rule)[1:])
    for chain in chains:
        check(tool, "-t", table, "-F", chain)
    for chain in chains:
        check(tool, "-t", table, "-X", chain)


def remove_folders(before: dict[str, Any]) -> None:
    """Remove what the engine made; a folder that was there and empty is emptied.

    What the owner put into a folder of his since stays, and the folder with it.
    """
    for mount in Path("/run/docker/netns").glob("*"):
        output("umount", str(mount))
    if before["folders"][str(KEY)] == "absent":
        KEY.unlink(missing_ok=True)
    Path("/run/docker.sock").unlink(missing_ok=True)
    gone = OF_DOCKER if before["has_containerd"] else OF_DOCKER + OF_CONTAINERD
    for path in gone:
        was = before["folders"][str(path)]
        if was == "use" or not path.exists():
            continue
        remove = delete_empty if path in OF_OWNER else delete
        if path.is_dir():
            for inside in contents(path):
                remove(inside)
        if was == "absent":
            with suppress(OSError):  # a disk may have been mounted there since
                remove(path)
    if before["data_mode"] is not None:
        DATA.chmod(before["data_mode"])


def delete(path: Path) -> None:
    """Delete a file, a link, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def delete_empty(folder: Path) -> None:
    """Delete a folder and those in it, but for any in which there is a file or a link."""
    for place, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            Path(place).rmdir()


def output(*argv: str) -> str:
    """What a command prints; nothing where it cannot be had, or refuses."""
    if shutil.which(argv[0]) is None:
        return ""
    done = run(argv)
    return "" if done.returncode else done.stdout.strip()


def check(*argv: str) -> None:
    """Run a command that has to succeed."""
    done = run(argv)
    if done.returncode:
        sys.exit(f"`{shlex.join(argv)}` exited {done.returncode}: {done.stderr.strip()}")


def run(argv: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command whose words do not depend on the host's language."""
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "LC_ALL": "C"},
    )


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(str(error))
