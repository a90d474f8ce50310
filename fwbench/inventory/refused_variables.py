"""Variables that Ansible would heed and fwbench's own connections would not, or must not.

A value of them is never repeated: it may be a secret.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple


class Rule(NamedTuple):
    """What such a variable may be all the same, and what to do instead of any other value."""

    message: str
    allowed: tuple[object, ...] = ()


_PASSWORD = Rule(
    "is a password, and fwbench logs in with keys alone: put a public key on the host,"
    " name its file in ansible_ssh_private_key_file, and take the password out"
)
_SUDO_PASSWORD = Rule(
    "is a password, and fwbench needs sudo without one: give the login user NOPASSWD in sudoers,"
    " and take the password out"
)
_KEY = Rule(
    "is a secret key, and fwbench reads keys from files: name one in"
    " ansible_ssh_private_key_file, and take the key out"
)
_PASSPHRASE = Rule("is a passphrase: load the key into ssh-agent, and take the passphrase out")
_PROGRAM = Rule(
    "would have a program or other options executed on this machine: take it out, and put"
    " what ssh needs into ~/.ssh/config"
)
_ROOT = Rule("is not root, which fwbench has to become: leave it out", ("root",))
_SUDO = "is not sudo, by which fwbench becomes root: leave it out"

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
        "would replace the options with which fwbench has host keys checked: write it as"
        " ansible_ssh_common_args, which are added to them"
    ),
    "ansible_connection": Rule(
        "is not ssh, by which fwbench reaches hosts: leave it out",
        ("ssh", "ansible.builtin.ssh", "smart"),
    ),
    **dict.fromkeys(("ansible_become_user", "ansible_sudo_user"), _ROOT),
    "ansible_become_method": Rule(_SUDO, ("sudo", "ansible.builtin.sudo")),
    **dict.fromkeys(("ansible_become_exe", "ansible_sudo_exe"), Rule(_SUDO, ("sudo",))),
    **dict.fromkeys(
        ("ansible_become_flags", "ansible_sudo_flags"),
        Rule(
            "is not what fwbench calls sudo with: leave it out", ("-H -S -n", "-n", "-H", "-H -n")
        ),
    ),
}

# Ansible puts these into shell lines on the host without quoting them.
SHELL_VARIABLES = (
    "ansible_python_interpreter",
    "ansible_remote_tmp",
    "ansible_async_dir",
    "ansible_shell_executable",
    "ansible_shell_type",
)
PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.+/~-]+")

# What roles, and Ansible itself, evaluate: a template there may start programs on this machine.
_TEMPLATED_PREFIXES = ("ansible_", "contender_images_", "docker_engine_", "fwbench_", "h2load_")
_ENVIRONMENT_LOOKUP = re.compile(
    r"""\{\{\s*lookup\(\s*(['"])(?:ansible\.builtin\.)?env\1\s*,\s*(['"])\w+\2\s*\)\s*\}\}"""
)


def has_template(key: object, value: object) -> bool:
    """Whether a variable is a template, or holds one, that would be evaluated on this machine.

    An environment variable alone may be looked up: so a secret can stay out of the inventory.
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
