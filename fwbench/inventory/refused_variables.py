"""Variables that Ansible uses and that fwbench's own connections cannot or must not use.

Error messages never repeat their values, which may be secrets.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple


class Rule(NamedTuple):
    """The values that a variable may have, and the message about any other value."""

    message: str
    allowed: tuple[object, ...] = ()


_PASSWORD = Rule(
    "is a password, and fwbench logs in with keys alone: put a public key on the host,"
    " name the private key's file in ansible_ssh_private_key_file, and remove the password"
)
_SUDO_PASSWORD = Rule(
    "is a password, and fwbench needs sudo without one: give the login user NOPASSWD in sudoers,"
    " and remove the password"
)
_KEY = Rule(
    "is a private key, and fwbench reads keys from files: name a file in"
    " ansible_ssh_private_key_file, and remove the key"
)
_PASSPHRASE = Rule("is a passphrase: load the key into ssh-agent, and remove the passphrase")
_PROGRAM = Rule(
    "would execute a program, or add options, on this machine: remove it, and put"
    " what ssh needs into ~/.ssh/config"
)
_ROOT = Rule("is not root, and fwbench must become root: remove it", ("root",))
_SUDO = "is not sudo, with which fwbench becomes root: remove it"

RULES = {
    **dict.fromkeys(("ansible_password", "ansible_ssh_pass", "ansible_ssh_password"), _PASSWORD),
    **dict.fromkeys(
        ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"), _SUDO_PASSWORD
    ),
    **dict.fromkeys(("ansible_private_key", "ansible_ssh_private_key"), _KEY),
    **dict.fromkeys(
        ("ansible_private_key_passphrase", "ansible_ssh_private_key_passphrase"), _PASSPHRASE
    ),
    **dict.fromkeys(
        (
            "ansible_ssh_executable",
            "ansible_sftp_executable",
            "ansible_scp_executable",
            "ansible_sftp_extra_args",
            "ansible_scp_extra_args",
            "ansible_ssh_pkcs11_provider",
        ),
        _PROGRAM,
    ),
    "ansible_ssh_args": Rule(
        "would replace the options that make ssh check host keys: use"
        " ansible_ssh_common_args, which adds to them"
    ),
    "ansible_connection": Rule(
        "is not ssh, and fwbench reaches hosts over SSH alone: remove it",
        ("ssh", "ansible.builtin.ssh", "smart"),
    ),
    **dict.fromkeys(("ansible_become_user", "ansible_sudo_user"), _ROOT),
    "ansible_become_method": Rule(_SUDO, ("sudo", "ansible.builtin.sudo")),
    **dict.fromkeys(("ansible_become_exe", "ansible_sudo_exe"), Rule(_SUDO, ("sudo",))),
    **dict.fromkeys(
        ("ansible_become_flags", "ansible_sudo_flags"),
        Rule(
            "has other options than fwbench gives sudo: remove it",
            ("-H -S -n", "-n", "-H", "-H -n"),
        ),
    ),
}

# Ansible inserts these into shell commands on the host without quoting them.
SHELL_VARIABLES = (
    "ansible_python_interpreter",
    "ansible_remote_tmp",
    "ansible_async_dir",
    "ansible_shell_executable",
    "ansible_shell_type",
)
PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.+/~-]+")

# Roles and Ansible itself evaluate these: a template there can start programs on this machine.
_TEMPLATED_PREFIXES = (
    "ansible_",
    "contender_images_",
    "docker_engine_",
    "fwbench_",
    "load_generators_",
)
_ENVIRONMENT_LOOKUP = re.compile(
    r"""\{\{\s*lookup\(\s*(['"])(?:ansible\.builtin\.)?env\1\s*,\s*(['"])\w+\2\s*\)\s*\}\}"""
)


def has_template(key: object, value: object) -> bool:
    """Return whether a variable contains a template that would be evaluated on this machine.

    The lookup of an environment variable does not count: it keeps secrets out of the inventory.
    """
    if not str(key).startswith(_TEMPLATED_PREFIXES):
        return False
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, Mapping):
            left += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            left += part
        elif isinstance(part, str) and re.search(r"\{[{%#]", _ENVIRONMENT_LOOKUP.sub("", part)):
            return True
    return False
