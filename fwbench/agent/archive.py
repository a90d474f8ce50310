"""The agent as one file that any host's Python executes: an archive of this package."""

import io
import zipfile
from pathlib import Path

_PACKAGE = Path(__file__).parent
_MAIN = """import sys

from fwbench.agent.commands import main

main(sys.argv[1:])
"""


def archive() -> bytes:
    """The archive; `python3 -I` takes it for a program, with nothing else of fwbench in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("__main__.py", _MAIN)
        files.writestr("fwbench/__init__.py", "")
        for source in sorted(_PACKAGE.glob("*.py")):
            files.writestr(f"fwbench/agent/{source.name}", source.read_bytes())
    return packed.getvalue()
