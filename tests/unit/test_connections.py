"""Who can open a connection: `docs/security.md` says to whom."""

import ast
from collections.abc import Iterator
from pathlib import Path

from repository import ROOT

# What a module is imported for that speaks to others.
SPEAKING = {
    *["aiohttp", "asyncio", "fabric", "ftplib", "http", "httpx", "imaplib", "paramiko", "poplib"],
    *["requests", "smtplib", "socketserver", "ssl", "telnetlib", "urllib", "urllib3", "xmlrpc"],
}
SILENT = {"urllib.parse"}
# Of `socket`: names of hosts and of errors, and what these look up.
LOOK_UPS = {"AF_INET", "AF_INET6", "SOCK_STREAM", "gaierror", "getaddrinfo", "gethostname"}
OVER_SSH = {"fwbench/ssh/connection.py", "fwbench/ssh/failures.py"}
TO_THE_CONTENDER = {"fwbench/agent/http_probe.py"}
TO_THE_METADATA_SERVICE = {"fwbench/agent/cloud.py"}
TO_THE_LAB_ON_THIS_MACHINE = {"fwbench/providers/lab/hosts.py"}
SENDING_NOTHING = {
    "fwbench/agent/route.py",  # it binds a socket to see whose an address is
    "fwbench/ssh/host_keys.py",  # it reads and writes files of host keys
}


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def uses_of_socket(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "socket":
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.module == "socket":
            yield from (alias.name for alias in node.names)


def speaks(file: Path) -> bool:
    tree = ast.parse(file.read_text())
    names = {name for name in imported(tree) if name not in SILENT}
    if {name.partition(".")[0] for name in names} & SPEAKING:
        return True
    return not set(uses_of_socket(tree)) <= LOOK_UPS


def test_only_these_modules_can_open_a_connection() -> None:
    files = [*ROOT.glob("fwbench/**/*.py"), *ROOT.glob("roles/**/*.py")]
    found = {str(file.relative_to(ROOT)) for file in files if speaks(file)}
    known = OVER_SSH | TO_THE_CONTENDER | TO_THE_METADATA_SERVICE | TO_THE_LAB_ON_THIS_MACHINE
    assert found == known | SENDING_NOTHING
