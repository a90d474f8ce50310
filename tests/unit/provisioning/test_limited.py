import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fwbench.errors import InventoryError
from fwbench.provisioning import inventory
from fwbench.provisioning.limited import LimitExceededError, Limits, run_limited

GENEROUS = Limits(seconds=30, output_bytes=1 << 20, memory_bytes=1 << 30)


def run(program: str, limits: Limits = GENEROUS) -> "subprocess.CompletedProcess[str]":
    return run_limited([sys.executable, "-c", program], limits, os.environ)


def test_status_and_both_outputs_are_returned() -> None:
    completed = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (completed.returncode, completed.stdout, completed.stderr) == (3, "out\n", "err\n")


def test_bytes_that_are_not_utf_8_are_escaped() -> None:
    assert run("import os; os.write(1, b'\\xff')").stdout == "\\xff"


def test_slow_program_is_stopped() -> None:
    with pytest.raises(LimitExceededError, match=r"took over 0\.2 s"):
        run("import time; time.sleep(60)", GENEROUS._replace(seconds=0.2))


def test_program_that_prints_without_end_is_stopped() -> None:
    with pytest.raises(LimitExceededError, match="printed over 1 MiB"):
        run("while True: print('x' * 1000)")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is checked on Linux")
def test_program_that_needs_too_much_memory_is_stopped() -> None:
    with pytest.raises(LimitExceededError, match="needed over 100 MiB of memory"):
        run(
            "import time; x = b'x' * (200 << 20); time.sleep(60)",
            GENEROUS._replace(memory_bytes=100 << 20),
        )


def test_children_of_a_stopped_program_are_stopped_too(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    program = (
        "import subprocess, sys, time; "
        "child = subprocess.Popen(['sleep', '60']); "
        f"open({str(file)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    with pytest.raises(LimitExceededError):
        run(program, GENEROUS._replace(seconds=2))
    child = Path(f"/proc/{file.read_text()}/stat")
    deadline = time.monotonic() + 5
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_program_that_does_not_exist_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        run_limited(["no-such-program"], GENEROUS, os.environ)


def test_inventory_script_that_never_ends_is_one_line_of_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "hosts.sh"
    script.write_text("#!/bin/sh\nsleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr(inventory, "LISTING_LIMITS", GENEROUS._replace(seconds=2))
    with pytest.raises(InventoryError, match=r"hosts\.sh: ansible-inventory took over 2 s and was"):
        inventory.list_inventory(inventory.Inventory((script,)))


def test_stopped_listing_leaves_no_temporary_folder_in_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(inventory, "LISTING_LIMITS", GENEROUS._replace(seconds=2))
    script = tmp_path / "hosts.sh"
    script.write_text("#!/bin/sh\nsleep 60\n")
    script.chmod(0o755)
    with pytest.raises(InventoryError):
        inventory.list_inventory(inventory.Inventory((script,)))
    assert not (tmp_path / ".ansible" / "tmp").exists()
