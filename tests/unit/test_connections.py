"""Which modules can open a connection. `docs/security.md` lists the peers."""

import ast
from collections.abc import Iterator
from pathlib import Path

from repository import ROOT

# Modules that can open a connection.
NETWORK_MODULES = {
    *["aiohttp", "asyncio", "fabric", "ftplib", "http", "httpx", "imaplib", "paramiko", "poplib"],
    *["requests", "smtplib", "socketserver", "ssl", "telnetlib", "urllib", "urllib3", "xmlrpc"],
}
HARMLESS_MODULES = {"urllib.parse"}
# What any module may use of `socket`: name look-ups, with their constants and errors.
LOOK_UPS = {"AF_INET", "AF_INET6", "SOCK_STREAM", "gaierror", "getaddrinfo", "gethostname"}
OVER_SSH = {"fwbench/ssh/connection.py", "fwbench/ssh/failures.py"}
TO_THE_CONTENDER = {"fwbench/agent/http_probe.py"}
TO_THE_METADATA_SERVICE = {"fwbench/agent/cloud.py"}
TO_THE_LAB_ON_THIS_MACHINE = {"fwbench/providers/lab/hosts.py"}
WITHOUT_TRAFFIC = {
    "fwbench/agent/route.py",  # it binds a socket to find out whether an address is the host's own
    "fwbench/ssh/host_keys.py",  # it reads and writes files of host keys
}


def imported_modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def used_socket_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "socket":
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.module == "socket":
            yield from (alias.name for alias in node.names)


def can_connect(file: Path) -> bool:
    tree = ast.parse(file.read_text())
    names = {name for name in imported_modules(tree) if name not in HARMLESS_MODULES}
    if {name.partition(".")[0] for name in names} & NETWORK_MODULES:
        return True
    return not set(used_socket_names(tree)) <= LOOK_UPS


def test_only_these_modules_can_open_a_connection() -> None:
    files = [*ROOT.glob("fwbench/**/*.py"), *ROOT.glob("roles/**/*.py")]
    actual = {str(file.relative_to(ROOT)) for file in files if can_connect(file)}
    connecting = OVER_SSH | TO_THE_CONTENDER | TO_THE_METADATA_SERVICE | TO_THE_LAB_ON_THIS_MACHINE
    assert actual == connecting | WITHOUT_TRAFFIC
