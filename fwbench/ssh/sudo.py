"""A command under sudo, whose own words are told apart from those of sudo.

sudo's words depend on the host's language, and some of them are harmless: a host that does not know
its own name is complained of before every command. So a line is printed between the two.
"""

from collections.abc import Sequence

_MARKER = "fwbench: sudo let the command in"
_PRINT_MARKER_AND_EXECUTE = 'printf "\\n%s\\n" "$1" >&2; shift; exec "$@"'


def sudo_argv(command: Sequence[str]) -> list[str]:
    """Return the command that has sudo execute a command, without ever asking for a password."""
    return ["sudo", "-n", "--", "sh", "-c", _PRINT_MARKER_AND_EXECUTE, "sh", _MARKER, *command]


def split_stderr(stderr: str) -> tuple[str, str | None]:
    """Return what sudo printed, and what the command did: None where sudo never executed it."""
    before, mark, after = f"\n{stderr}".partition(f"\n{_MARKER}\n")
    return before.strip(), after if mark else None
