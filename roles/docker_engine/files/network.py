"""Record a host's network before fwbench installs or starts a Docker engine, and restore it later.

    network.py record FILE     record the state, unless FILE exists
    network.py restore FILE    remove what the engine made, and restore what it set; nothing
                               without FILE

The engine has to be stopped before `restore`. Standard library alone, since it runs on hosts.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SETTINGS = (
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/bridge/bridge-nf-call-iptables",
    "net/bridge/bridge-nf-call-ip6tables",
)
USER_CHAIN = "DOCKER-USER"  # Docker makes it for rules of the host's owner
# Docker's own chains: other chains whose names begin with DOCKER may belong to the owner.
OWN_CHAIN = "DOCKER(?:-FORWARD|-BRIDGE|-CT|-INTERNAL|-ISOLATION-STAGE-[12])?"
CHAIN = f"(?:{OWN_CHAIN}|{USER_CHAIN})"
BRIDGES = "(?:docker0|br-[0-9a-f]{12})"  # of the default network, and of others
# The rules that Docker makes, as iptables-save prints them; any other is the owner's.
DOCKER_RULES = (
    rf"-A {OWN_CHAIN} .*",
    rf"-A {USER_CHAIN} -j RETURN",
    rf"-A FORWARD (?:-o {BRIDGES} )?-j {CHAIN}",
    rf"-A FORWARD -o {BRIDGES} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    rf"-A FORWARD -i {BRIDGES} (?:(?:! )?-o {BRIDGES} )?-j (?:ACCEPT|DROP)",
    r"-A FORWARD -m set --match-set docker-ext-bridges-v[46] dst .*",
    r"-A (?:PREROUTING|OUTPUT) (?:! -d \S+ )?-m addrtype --dst-type LOCAL -j DOCKER",
    rf"-A PREROUTING -d \S+ ! -i {BRIDGES} -j DROP",
    rf"-A POSTROUTING -s \S+ ! -o {BRIDGES} -j MASQUERADE",
    rf"-A POSTROUTING -o {BRIDGES} -m addrtype --src-type LOCAL -j MASQUERADE",
)
TOOLS = ("iptables", "ip6tables")
BRIDGE = Path("/sys/class/net/docker0")


def record(file: Path) -> None:
    """Record the state of the network unless `file` exists; print `recorded` if it did not."""
    if file.exists():
        return
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(network_state(), indent=1))
    partial.rename(file)
    print("recorded")


def network_state() -> dict[str, Any]:
    """Return the current state of the network."""
    return {
        "rules": {tool: rules(tool) for tool in TOOLS},
        "policies": {tool: forward_policy(tool) for tool in TOOLS},
        "settings": {name: setting(name) for name in SETTINGS},
        "has_bridge": BRIDGE.exists(),
    }


def forward_policy(tool: str) -> str | None:
    """Return the policy of the FORWARD chain, or None if it cannot be read."""
    match = re.search(r"^-P FORWARD (\w+)$", output(tool, "-S", "FORWARD"), re.MULTILINE)
    return match[1] if match else None


def setting(name: str) -> str | None:
    """Return a kernel setting, or None if the kernel does not have it."""
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def rules(tool: str) -> dict[str, list[str]]:
    """Return, for each table, the rules that concern Docker and its chains.

    They are arguments that make them. Rules of the owner are among them.
    """
    tables: dict[str, list[str]] = {}
    table = ""
    # Without `-t`, since that would load the kernel module of a table that nobody uses.
    for line in output(f"{tool}-save").splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif match := re.match(rf":({CHAIN}) ", line):
            tables.setdefault(table, []).append(f"-N {match[1]}")
        elif line.startswith("-A ") and re.search(rf" {CHAIN}( |$)|{BRIDGES}", line):
            tables.setdefault(table, []).append(line)
    return tables


def restore(before: dict[str, Any]) -> None:
    """Remove the engine's rules, chains and bridge; restore policies and kernel settings."""
    for tool in TOOLS:
        remove_rules(tool, before["rules"][tool])
    for tool, policy in before["policies"].items():
        if policy is not None and forward_policy(tool) not in (None, policy):
            check(tool, "-P", "FORWARD", policy)
    if not before["has_bridge"] and BRIDGE.exists():
        check("ip", "link", "delete", BRIDGE.name)
    for name, value in before["settings"].items():
        # None: the setting did not exist, since its kernel module was not loaded. 0 disables it.
        recorded = value or "0"
        if setting(name) not in (None, recorded):
            Path("/proc/sys", name).write_text(recorded)


def remove_rules(tool: str, before: dict[str, list[str]]) -> None:
    """Remove the rules and chains that Docker made, and none that existed before.

    A chain stays if it holds rules of the owner, or if such rules jump to it.
    """
    for table, rule in new_rules(tool, before):
        if any(re.fullmatch(pattern, rule) for pattern in DOCKER_RULES):
            check(tool, "-t", table, "-D", *shlex.split(rule)[1:])
    remaining = rules(tool)
    for table, rule in new_rules(tool, before):
        action, chain = rule.split()[:2]
        others = (each for each in remaining[table] if each.startswith("-A "))
        if action == "-N" and not any(chain in each.split() for each in others):
            check(tool, "-t", table, "-X", chain)


def new_rules(tool: str, before: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Return the table and the arguments of each rule or chain that did not exist before."""
    return [
        (table, rule)
        for table, lines in rules(tool).items()
        for rule in lines
        if rule not in before.get(table, [])
    ]


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


def run(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
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
        if sys.argv[1] == "record":
            record(file)
        elif file.exists():
            restore(json.loads(file.read_text()))
    except OSError as error:
        sys.exit(str(error))
