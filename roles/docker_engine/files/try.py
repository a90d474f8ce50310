"""Starts a container, to see that the engine can: of an image made out of the host's own `true`.

An engine may answer and still start none, as where its kernel has AppArmor on and the program that
loads profiles is missing. Nothing is pulled, and nothing stays. Standard library alone.
"""

import io
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

IMAGE = "fwbench/try:once"
LIMIT_S = 60


def main() -> None:
    """Start the container; what the engine says against it is the last word."""
    docker("import", "--change", "LABEL fwbench.try=1", "-", IMAGE, given=archive())
    try:
        docker("run", "--rm", "--pull=never", "--cap-drop=ALL", "--read-only", IMAGE, "/true")
    finally:
        docker("image", "rm", IMAGE)


def archive() -> bytes:
    """A file system with one program, and the libraries that it loads."""
    program = shutil.which("true") or "/bin/true"
    libraries = re.findall(r"/\S+", run(["ldd", program]).decode())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as files:
        files.add(program, "true")
        for library in dict.fromkeys(libraries):
            files.add(Path(library).resolve(), library.lstrip("/"))
    return packed.getvalue()


def docker(*argv: str, given: bytes = b"") -> None:
    """Have the engine do something."""
    run(["docker", *argv], given)


def run(argv: "list[str]", given: bytes = b"") -> bytes:
    """What a command prints; ends the program with its words where it fails."""
    try:
        done = subprocess.run(argv, input=given, capture_output=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        sys.exit(f"`{' '.join(argv[:2])}` took over {LIMIT_S} s")
    if done.returncode:
        sys.exit(done.stderr.decode(errors="replace").strip() or f"{argv[:2]} failed")
    return done.stdout


if __name__ == "__main__":
    main()
