"""Run a command under sudo, and separate its stderr from sudo's.

sudo prints messages in the host's language, and some are harmless, such as the warning that it
cannot resolve the host's own name. A marker line is therefore printed before the command starts.
"""

from collections.abc import Sequence

_MARKER = "fwbench: sudo let the command in"
_PRINT_MARKER_AND_EXECUTE = 'printf "\\n%s\\n" "$1" >&2; shift; exec "$@"'


def sudo_argv(command: Sequence[str]) -> list[str]:
    """Return the command that runs a command under sudo without asking for a password."""
    return ["sudo", "-n", "--", "sh", "-c", _PRINT_MARKER_AND_EXECUTE, "sh", _MARKER, *command]


def split_stderr(stderr: str) -> tuple[str, str | None]:
    """Return sudo's stderr and the command's, which is None if sudo did not execute it."""
    before, mark, after = f"\n{stderr}".partition(f"\n{_MARKER}\n")
    return before.strip(), after if mark else None
