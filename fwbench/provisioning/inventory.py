"""The sources of an inventory, and what `ansible-inventory` reads from them."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fwbench import paths
from fwbench.errors import InventoryError
from fwbench.provisioning.environment import ansible_environment
from fwbench.provisioning.inventory_errors import failure_reason
from fwbench.provisioning.limited import LimitExceededError, Limits, run_limited

# For scripts and plugins that wait, or print without end.
LISTING_LIMITS = Limits(seconds=60, output_bytes=64 << 20, memory_bytes=512 << 20)
_FILE_SUFFIXES = frozenset({".cfg", ".ini", ".json", ".py", ".yaml", ".yml"})


class Inventory(NamedTuple):
    """The sources that Ansible merges into one inventory, and the hosts to use of it.

    A source is a path, or text with a comma, which is a list of hosts. `targets` and `clients` are
    names of groups or hosts; by default, these are the groups `targets` and `clients`.
    """

    sources: tuple[Path | str, ...]
    targets: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join(map(str, self.sources))

    def arguments(self, folder: Path) -> list[str]:
        """Return the values for Ansible's `--inventory`.

        If `targets` or `clients` are named, write a source to `folder` that adds these hosts to the
        groups which the playbooks use.
        """
        sources = [
            str(source.absolute()) if isinstance(source, Path) else source
            for source in self.sources
        ]
        names = {"targets": self.targets, "clients": self.clients}
        groups = {group: _condition(chosen) for group, chosen in names.items() if chosen}
        if groups:
            roles = folder / "roles.yml"
            plugin = {"plugin": "ansible.builtin.constructed", "strict": True, "groups": groups}
            roles.write_text(json.dumps(plugin))
            sources.append(str(roles))
        return sources


def parse_source(text: str) -> Path | str:
    """Return a source as Ansible understands it: text with a comma is a list of hosts, else a path.

    Raise `InventoryError` for a list that contains a file.
    """
    if "," not in text or _exists(Path(text)):
        return Path(text)
    for item in map(str.strip, text.split(",")):
        if ("/" in item or Path(item).suffix in _FILE_SUFFIXES) and _exists(Path(item)):
            raise InventoryError(
                f"{text}: the comma makes this a list of hosts, but {item} is a file: repeat -i for"
                " each file"
            )
    return text


def list_inventory(inventory: Inventory) -> Mapping[str, Any]:
    """Return the output of `ansible-inventory --list` for any inventory.

    Raise `InventoryError` with Ansible's message if it cannot be read.
    """
    for source in inventory.sources:
        if isinstance(source, Path):
            _check_path(source)
    with paths.temporary_folder() as folder:
        listed = _execute(inventory, inventory.arguments(folder), folder)
    if listed.returncode:
        raise InventoryError(
            f"{inventory}: not an inventory that Ansible can read: {failure_reason(listed.stderr)}"
        )
    try:
        listing = json.loads(listed.stdout)
    except (ValueError, RecursionError) as error:
        raise InventoryError(f"{inventory}: ansible-inventory printed no JSON: {error}") from error
    return listing if isinstance(listing, dict) else {}


def _exists(path: Path) -> bool:
    """Return whether a path exists. Raise `InventoryError` for one that no file can have."""
    try:
        return path.exists()
    except OSError as error:
        raise InventoryError(f"{str(path)!r:.80}: {error.strerror}") from error


def _check_path(path: Path) -> None:
    if not _exists(path):
        raise InventoryError(
            f"{path}: no such inventory; copy {paths.data_folder() / 'inventory' / 'example.yml'} "
            "and fill in your hosts"
        )
    if not (path.is_file() or path.is_dir()):
        # Ansible would wait for a pipe's end.
        raise InventoryError(f"{path}: neither a file nor a folder; name one of these")


def _execute(
    inventory: Inventory, sources: Sequence[str], folder: Path
) -> subprocess.CompletedProcess[str]:
    options = [word for source in sources for word in ("--inventory", source)]
    try:
        return run_limited(
            ["ansible-inventory", *options, "--list"],
            LISTING_LIMITS,
            {
                **ansible_environment(),
                "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
                "ANSIBLE_LOCAL_TEMP": str(folder),  # it stays if Ansible is killed
            },
        )
    except LimitExceededError as error:
        raise InventoryError(
            f"{inventory}: ansible-inventory {error} and was stopped; does a script or a plugin of"
            " the inventory wait for something, or print without end?"
        ) from error
    except OSError as error:
        raise InventoryError(
            f"{inventory}: ansible-inventory cannot be started ({error.strerror});"
            " reinstall fwbench"
        ) from error


def _condition(names: Sequence[str]) -> str:
    """Return the condition under which a host has, or is in a group that has, one of the names."""
    quoted = json.dumps(list(names))
    return (
        f"inventory_hostname in {quoted}"
        f" or (group_names + ['all']) | intersect({quoted}) | length > 0"
    )
