"""Check that the engine can start a container, with an image that contains the host's own `true`.

An engine may answer and still be unable to start containers, for instance if AppArmor is enabled
and the program that loads profiles is missing. Nothing is pulled, and nothing is left behind.
Standard library alone, since it runs on hosts.
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
    """Start the container; exit with the engine's error if it cannot be started."""
    docker("import", "--change", "LABEL fwbench.try=1", "-", IMAGE, stdin=archive())
    try:
        docker("run", "--rm", "--pull=never", "--cap-drop=ALL", "--read-only", IMAGE, "/true")
    finally:
        docker("image", "rm", IMAGE)


def archive() -> bytes:
    """Return a tar archive with `true` and the libraries that it loads."""
    program = shutil.which("true") or "/bin/true"
    libraries = re.findall(r"/\S+", run(["ldd", program]).decode())
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as files:
        files.add(program, "true")
        for library in dict.fromkeys(libraries):
            files.add(Path(library).resolve(), library.lstrip("/"))
    return buffer.getvalue()


def docker(*argv: str, stdin: bytes = b"") -> None:
    """Run a docker command."""
    run(["docker", *argv], stdin)


def run(argv: "list[str]", stdin: bytes = b"") -> bytes:
    """Return what a command prints; exit with its stderr if it fails."""
    try:
        completed = subprocess.run(argv, input=stdin, capture_output=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        sys.exit(f"`{' '.join(argv[:2])}` took over {LIMIT_S} s")
    if completed.returncode:
        sys.exit(completed.stderr.decode(errors="replace").strip() or f"{argv[:2]} failed")
    return completed.stdout


if __name__ == "__main__":
    main()
