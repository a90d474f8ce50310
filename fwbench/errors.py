"""Every error that a user or a network can cause: one class per family, each with its exit code.

`docs/exit-codes.md` documents them; a test keeps it complete. 2 is left to the command line's own
usage errors, and 130 to Ctrl-C, as shells have it.
"""


class FwbenchError(Exception):
    """One sentence that names the thing at fault and says what to do.

    It may quote what a host, a tool or a file says: whatever that is, it stays one line of text
    that steers no terminal.
    """

    exit_code = 1

    def __str__(self) -> str:
        return "".join(map(_printable, super().__str__()))


class SuiteError(FwbenchError):
    """A suite file, or a contender that it names, cannot be used."""

    exit_code = 3


class InventoryError(FwbenchError):
    """An inventory gives no rig that could be used."""

    exit_code = 4


class HostError(FwbenchError):
    """A host does not answer, refuses, or shows another key than before."""

    exit_code = 5


class HostKeyError(HostError):
    """A host, or one on the way to it, shows another host key than before."""


class LostError(HostError):
    """A host does not answer, or the connection to it broke: what was asked may be asked again."""


class ProvisionError(FwbenchError):
    """A playbook did not make every host ready."""

    exit_code = 6


class NotReadyError(FwbenchError):
    """A host lacks what a run needs; provisioning puts it there."""

    exit_code = 7


class RunError(FwbenchError):
    """A run could not be executed to its end; it is kept as failed."""

    exit_code = 8


class RigError(FwbenchError):
    """A rig was left out, or set aside after it failed again and again; the others went on."""

    exit_code = 11


class EngineKeptError(FwbenchError):
    """A teardown left a Docker engine on a host, since it holds what is somebody else's."""

    exit_code = 12


class LabError(FwbenchError):
    """The lab cannot be brought up or taken down."""

    exit_code = 9


class SessionError(FwbenchError):
    """A session folder cannot be read or written."""

    exit_code = 10


class ParseError(FwbenchError):
    """A tool's output is not what any known version of it prints."""

    exit_code = 1


class DefectError(FwbenchError):
    """Something that nobody thought of: a defect of fwbench, whose traceback is in a file."""

    exit_code = 70  # EX_SOFTWARE of sysexits.h


class MissingPackageError(FwbenchError):
    """What was asked for needs a Python package that is an extra of fwbench's."""

    exit_code = 1


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else repr(character)[1:-1]
