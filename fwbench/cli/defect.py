"""What nobody thought of: one sentence for the user, and a private file for those who mend it."""

from collections.abc import Iterator

from fwbench import __version__, paths
from fwbench.errors import DefectError, FwbenchError

_MAX_LENGTH = 200


def defect_error(error: Exception) -> DefectError:
    """The sentence about a defect, which names the file that now holds its traceback."""
    said = f"this is a defect of fwbench: {_one_line(error)}"
    try:
        path = _write_traceback(error)
    except OSError as unwritable:
        why = unwritable.strerror
        return DefectError(f"{said}; its traceback cannot be written ({why}); please report it")
    return DefectError(f"{said}; its traceback is in {path}; please report it with that file")


def _write_traceback(error: Exception) -> str:
    """The path of a new file with the traceback; the temporary folder's, where the user's fails."""
    import os
    import tempfile

    try:
        folder = paths.state_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, path = tempfile.mkstemp(".txt", "traceback-", folder)
    except (OSError, FwbenchError):  # of a user without a home
        descriptor, path = tempfile.mkstemp(".txt", "fwbench-traceback-")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(_traceback_lines(error))
    return path


def _traceback_lines(error: Exception) -> Iterator[str]:
    """Where it happened, causes first: no variables, no environment, and no input.

    Messages are cut to one line, since some libraries quote in the next what they were given.
    """
    import platform
    import traceback

    yield f"fwbench {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    for each in reversed(list(_chain(error))):
        yield from ("\n", *traceback.format_tb(each.__traceback__), f"{_one_line(each)}\n")


def _chain(error: BaseException) -> Iterator[BaseException]:
    last: BaseException | None = error
    while last is not None:
        yield last
        last = last.__cause__ or (None if last.__suppress_context__ else last.__context__)


def _one_line(error: BaseException) -> str:
    words = next(iter(str(error).splitlines()), "")
    text = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"
