"""The errors that a user or a network can cause: one class per family, each with its exit code.

`docs/exit-codes.md` documents them; a test keeps it complete. Exit code 2 is for wrong usage of the
command line, and 130 for Ctrl-C, as in shells.
"""

from collections.abc import Iterable


class FwbenchError(Exception):
    """One sentence that names what is wrong and what to do.

    It may quote the output of a host or a tool. `str()` therefore replaces line breaks and control
    characters, so that the quotation cannot send commands to a terminal.
    """

    exit_code = 1

    def __str__(self) -> str:
        return "".join(map(_printable, super().__str__()))


class SuiteError(FwbenchError):
    """A suite file, or a contender that it names, is wrong.

    `problems` has a sentence for each problem that was found, in the order of the file.
    """

    exit_code = 3

    def __init__(self, message: str, problems: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple("".join(map(_printable, each)) for each in problems) or (str(self),)


class InventoryError(FwbenchError):
    """An inventory is wrong, or contains no usable rig."""

    exit_code = 4


class HostError(FwbenchError):
    """A host does not answer, refuses something, or shows another host key than before."""

    exit_code = 5


class HostKeyError(HostError):
    """A host, or one of its jump hosts, shows another host key than before."""


class LostError(HostError):
    """A host does not answer, or the connection was lost; the caller may try again."""


class ProvisionError(FwbenchError):
    """A playbook failed on a host."""

    exit_code = 6


class NotReadyError(FwbenchError):
    """A host lacks what a run needs, or is in use by another session."""

    exit_code = 7


class RunError(FwbenchError):
    """A run could not be completed; it is recorded as failed."""

    exit_code = 8


class RigError(FwbenchError):
    """A rig was excluded, or quarantined after repeated failures; the others continued."""

    exit_code = 11


class EngineKeptError(FwbenchError):
    """A teardown left a Docker engine on a host, since it holds something that others made."""

    exit_code = 12


class LabError(FwbenchError):
    """The lab cannot be started or removed."""

    exit_code = 9


class SessionError(FwbenchError):
    """A session folder cannot be read or written."""

    exit_code = 10


class ParseError(FwbenchError):
    """The output of a tool is unlike that of any known version."""

    exit_code = 1


class DefectError(FwbenchError):
    """An unexpected exception: a defect of fwbench, whose traceback is in a file."""

    exit_code = 70  # EX_SOFTWARE of sysexits.h


class MissingPackageError(FwbenchError):
    """A command needs a Python package that only an extra of fwbench installs."""

    exit_code = 1


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else repr(character)[1:-1]
