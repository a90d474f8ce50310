"""Unexpected exceptions: one sentence for the user, and a private file with the traceback."""

from collections.abc import Iterator

from fwbench import __version__, paths
from fwbench.errors import DefectError, FwbenchError

_MAX_LENGTH = 200


def defect_error(error: Exception) -> DefectError:
    """Return the error to end with; its sentence names the file that contains the traceback."""
    sentence = f"this is a defect of fwbench: {_one_line(error)}"
    try:
        path = _write_traceback(error)
    except OSError as write_error:
        why = write_error.strerror
        return DefectError(f"{sentence}; its traceback cannot be written ({why}); please report it")
    return DefectError(f"{sentence}; its traceback is in {path}; please report it with that file")


def _write_traceback(error: Exception) -> str:
    """Write the traceback to a new file and return its path.

    The file is in the user's state folder or, where that cannot be written, in the temporary one.
    """
    import os
    import tempfile

    try:
        folder = paths.state_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, path = tempfile.mkstemp(".txt", "traceback-", folder)
    except (OSError, FwbenchError):  # FwbenchError: the user has no home folder
        descriptor, path = tempfile.mkstemp(".txt", "fwbench-traceback-")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(_traceback_lines(error))
    return path


def _traceback_lines(error: Exception) -> Iterator[str]:
    """Yield the versions and the tracebacks, causes first: no variables, environment or input.

    Only the first line of each message is kept: some libraries quote their input in later lines.
    """
    import platform
    import traceback

    yield f"fwbench {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    for exception in reversed(list(_chain(error))):
        yield "\n"
        yield from traceback.format_tb(exception.__traceback__)
        yield f"{_one_line(exception)}\n"


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )


def _one_line(error: BaseException) -> str:
    first_line = next(iter(str(error).splitlines()), "")
    text = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"
