"""Pack the agent into one zip file that any host's Python can execute."""

import io
import zipfile
from pathlib import Path

_PACKAGE = Path(__file__).parent
_MAIN = """import sys

from fwbench.agent.commands import main

main(sys.argv[1:])
"""


def build_archive() -> bytes:
    """Return a zip file of this package, which `python3 -I` executes as a program.

    The rest of fwbench is not in it.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zip_file:
        zip_file.writestr("__main__.py", _MAIN)
        zip_file.writestr("fwbench/__init__.py", "")
        for source in sorted(_PACKAGE.glob("*.py")):
            zip_file.writestr(f"fwbench/agent/{source.name}", source.read_bytes())
    return buffer.getvalue()
