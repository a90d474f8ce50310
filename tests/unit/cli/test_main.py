import errno
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import pytest
from builders import finding, header, record, rig, suite
from click.testing import CliRunner, Result
from repository import ROOT

from fwbench import __version__, errors
from fwbench.cli.main import main
from fwbench.model.record import Record
from fwbench.plan import make_plan
from fwbench.storage.store import SessionStore

HEAVY_MODULES = {
    *["ansible", "ansible_runner", "fabric", "invoke", "numpy", "paramiko", "pydantic", "rich"],
    *["scipy", "yaml"],
}
COMPLETION = {
    "_FWBENCH_COMPLETE": "bash_complete",
    "COMP_WORDS": "fwbench re",
    "COMP_CWORD": "1",
}


def commands(group: click.Group = main, parents: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*parents, name))
        else:
            yield (*parents, name)


COMMANDS = list(commands())


@pytest.fixture(autouse=True)
def _isolated_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use a temporary home and working folder, and restore signal handlers."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.chdir(tmp_path)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def fwbench(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


PROCESS = (sys.executable, "-c", "from fwbench.cli.main import main; main()")


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def write_inventory(folder: Path, target_port: int, client_port: int) -> str:
    (folder / "hosts.yml").write_text(
        "all:\n"
        "  vars: {ansible_host: 127.0.0.1, fwbench_load_address: 192.0.2.1}\n"
        "  children:\n"
        f"    targets: {{hosts: {{box-t: {{ansible_port: {target_port}}}}}}}\n"
        f"    clients: {{hosts: {{box-c: {{ansible_port: {client_port}}}}}}}\n"
    )
    return "hosts.yml"


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    """Return an inventory of two hosts whose SSH ports are closed."""
    return write_inventory(tmp_path, closed_port(), closed_port())


def assert_one_line(stderr: str, *parts: str) -> None:
    (line,) = stderr.splitlines()
    assert line.startswith("fwbench: ")
    assert "Traceback" not in line
    for part in parts:
        assert part in line


# Errors, each with its exit code


def test_missing_suite_is_reported(inventory: str) -> None:
    result = fwbench("run", "nowhere.yml", "-i", inventory)
    assert result.exit_code == errors.SuiteError.exit_code
    assert_one_line(result.stderr, "nowhere.yml")


def test_typo_in_a_suite_is_reported_with_file_line_and_key(tmp_path: Path, inventory: str) -> None:
    shipped = (ROOT / "suites" / "smoke.yml").read_text()
    lines = shipped.splitlines()
    number = next(n for n, line in enumerate(lines) if line.startswith("contenders:"))
    lines[number] = lines[number].replace("contenders:", "contnders:")
    (tmp_path / "mine.yml").write_text("\n".join(lines) + "\n")
    result = fwbench("run", "mine.yml", "-i", inventory)
    assert result.exit_code == errors.SuiteError.exit_code
    assert_one_line(result.stderr, f"mine.yml:{number + 1}: ", "contnders", "contenders")


@pytest.mark.parametrize("command", ["doctor", "provision", "teardown", "prune"])
def test_missing_inventory_is_reported(command: str) -> None:
    result = fwbench(command, "-i", "nowhere.yml")
    assert result.exit_code == errors.InventoryError.exit_code
    assert_one_line(result.stderr, "nowhere.yml: no such inventory")


def test_inventory_without_targets_is_reported(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("clients: {hosts: {box: {}}}\n")
    result = fwbench("doctor", "-i", "hosts.yml")
    assert result.exit_code == errors.InventoryError.exit_code
    assert_one_line(result.stderr, "hosts.yml: group 'targets' has no host")


@pytest.mark.parametrize("arguments", [("provision",), ("teardown",), ("run", "smoke", "--quiet")])
def test_unreachable_host_is_reported(arguments: tuple[str, ...], inventory: str) -> None:
    result = fwbench(*arguments, "-i", inventory)
    assert result.exit_code == errors.HostError.exit_code
    assert_one_line(result.stderr, "box-t: 127.0.0.1:", "does not answer SSH")


def test_unreachable_host_leaves_no_session(tmp_path: Path, inventory: str) -> None:
    fwbench("run", "smoke", "-i", inventory)
    assert not (tmp_path / "sessions").exists()


def test_doctor_reports_the_error_of_every_host(inventory: str) -> None:
    result = fwbench("doctor", "-i", inventory)
    assert result.exit_code == errors.HostError.exit_code
    first, second = result.stderr.splitlines()
    assert first.startswith("fwbench: box-t: 127.0.0.1:")
    assert second.startswith("fwbench: box-c: 127.0.0.1:")
    assert "failed: see below" in result.stdout


def test_missing_lab_is_reported() -> None:
    result = fwbench("lab", "inventory", "--name", "nowhere")
    assert result.exit_code == errors.LabError.exit_code
    assert_one_line(result.stderr, "the lab 'nowhere' is not up; run `fwbench lab up`")


def test_folder_without_a_session_is_reported(tmp_path: Path) -> None:
    result = fwbench("report", str(tmp_path))
    assert result.exit_code == errors.SessionError.exit_code
    assert_one_line(result.stderr, f"{tmp_path}: not a session folder")


def test_unusable_output_folder_is_a_usage_error(tmp_path: Path, inventory: str) -> None:
    (tmp_path / "file").touch()
    result = fwbench("run", "smoke", "-i", inventory, "-o", "file")
    assert result.exit_code == 2
    assert "file" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("dance",),
        ("lab", "dance"),
        ("run",),
        ("run", "smoke"),
        ("doctor", "--dance"),
        ("lab", "up", "--targets", "0"),
        ("lab", "up", "--os", "plan9:4"),
        ("lab", "up", "--ca-cert", "nowhere.crt"),
    ],
)
def test_usage_error_exits_2_and_prints_the_usage(arguments: tuple[str, ...]) -> None:
    result = fwbench(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("former", "current"), [("clean", "prune"), ("verify", "doctor")])
def test_former_command_name_prints_the_current_one(former: str, current: str) -> None:
    result = fwbench(former, "-i", "hosts.yml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"fwbench: `fwbench {former}` is now `fwbench {current}`\n"
    assert f"  {former} " not in fwbench("--help").stdout


@pytest.mark.parametrize("arguments", [("provision",), ("teardown",), ("run", "smoke")])
def test_k_option_is_refused_with_its_replacement(arguments: tuple[str, ...]) -> None:
    result = fwbench(*arguments, "-i", "hosts.yml", "-k")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: -k does not exist; use --keep-going\n" in result.stderr
    assert "-k," not in fwbench(arguments[0], "--help").stdout


@pytest.mark.parametrize("option", ["--dry-run", "--check"])
def test_dry_run_and_check_print_the_plan(option: str, inventory: str) -> None:
    result = fwbench("run", "smoke", "-i", inventory, option)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "runs" in result.stdout


@pytest.mark.parametrize("error_class", errors.FwbenchError.__subclasses__())
def test_error_class_sets_the_exit_code_and_prints_one_line(
    error_class: type[errors.FwbenchError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error_class("box: it is broken; mend it")

    monkeypatch.setattr("fwbench.cli.runs._print_report", fail)
    result = fwbench("report", "anything")
    assert result.exit_code == error_class.exit_code
    assert result.stderr == "fwbench: box: it is broken; mend it\n"


def test_ctrl_c_is_reported_and_exits_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fwbench.cli.runs._print_report", interrupt)
    result = fwbench("report", "anything")
    assert (result.exit_code, result.stderr) == (130, "fwbench: interrupted\n")


# Defects


@pytest.fixture
def defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `fwbench report` raise an unexpected error whose message has several lines."""

    def fail(*_: object) -> None:
        secret = "hunter2"  # noqa: F841 - what a traceback with local variables would show
        try:
            {}["cause"]
        except KeyError as error:
            raise ValueError("nobody thought\x1b[2J of it\nwith input hunter2") from error

    monkeypatch.setenv("API_TOKEN", "hunter2")
    monkeypatch.setattr("fwbench.cli.runs._print_report", fail)


def traceback_file(result: Result) -> Path:
    (line,) = result.stderr.splitlines()
    match = re.fullmatch(
        r"fwbench: this is a defect of fwbench: ValueError: nobody thought\\x1b\[2J of it;"
        r" its traceback is in (/\S+); please report it with that file",
        line,
    )
    assert match is not None, line
    return Path(match[1])


@pytest.mark.usefixtures("defect")
def test_defect_prints_one_line_and_writes_a_private_traceback(tmp_path: Path) -> None:
    result = fwbench("report", "anything")
    assert result.exit_code == errors.DefectError.exit_code
    file = traceback_file(result)
    assert file.parent == tmp_path / "state" / "fwbench"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    assert f"fwbench {__version__}" in text
    assert text.index("KeyError: 'cause'") < text.index("ValueError: nobody thought")
    assert f'File "{__file__}"' in text


@pytest.mark.usefixtures("defect")
def test_traceback_omits_variables_environment_and_input() -> None:
    source = Path(__file__).read_text().splitlines()
    text = traceback_file(fwbench("report", "anything")).read_text()
    other_lines = [line for line in text.splitlines() if line.strip() not in map(str.strip, source)]
    assert "hunter2" not in "\n".join(other_lines)


@pytest.mark.usefixtures("defect")
def test_traceback_falls_back_to_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").touch()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    file = traceback_file(fwbench("report", "anything"))
    assert file.parent == tmp_path / "temporary"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    result = fwbench("report", "anything")
    assert result.exit_code == errors.DefectError.exit_code
    assert_one_line(result.stderr, "of it; its traceback cannot be written", "please report it")


@pytest.mark.usefixtures("defect")
def test_defect_in_a_process_prints_no_traceback() -> None:
    script = (
        "from fwbench.cli import runs\n"
        "from fwbench.cli.main import main\n"
        "def fail(*_): 1 / 0\n"
        "runs._print_report = fail\n"
        "main(['report', 'anything'])\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (errors.DefectError.exit_code, "")
    assert_one_line(result.stderr, "this is a defect of fwbench: ZeroDivisionError: ")


def test_session_ended_by_a_defect_prints_the_resume_command(
    session: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ValueError("nobody thought of it")

    monkeypatch.setattr("fwbench.execution.session.Session.run", fail)
    monkeypatch.setattr("fwbench.hosts.changes.config_changes", lambda *_: [])
    result = fwbench("resume", str(session.folder))
    assert result.exit_code == errors.DefectError.exit_code
    hint, defect = result.stderr.splitlines()
    assert hint == f"what was measured is kept; continue with: fwbench resume {session.folder}"
    assert "ValueError: nobody thought of it" in defect


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("arguments", [("--help",), ("doctor", "--help"), ("report", "session")])
def test_full_disk_behind_stdout_is_reported_in_one_line(
    session: SessionStore, arguments: tuple[str, ...]
) -> None:
    assert session.folder.name == "session"
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*PROCESS, *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.returncode == 1
    assert_one_line(result.stderr, "No space left on device")


@pytest.mark.parametrize("missing", ["HOME", "USER"])
def test_unknown_user_id_error_names_the_variable_to_set(
    missing: str, inventory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may run with a user id that has no entry in /etc/passwd."""

    def unknown(_: int) -> None:
        raise KeyError("getpwuid(): uid not found")

    for name in ("XDG_STATE_HOME", "HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER" if missing == "HOME" else "HOME", "somebody")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    result = fwbench("doctor", "-i", inventory)
    assert result.exit_code == errors.HostError.exit_code
    for line in result.stderr.splitlines():
        assert line.startswith("fwbench: ")
        assert f": set {missing} to a " in line


@pytest.mark.parametrize("command", ["doctor", "provision", "teardown", "prune"])
def test_named_pipe_as_inventory_is_refused_at_once(command: str) -> None:
    os.mkfifo("pipe.yml")
    result = subprocess.run(
        [*PROCESS, command, "-i", "pipe.yml"], capture_output=True, text=True, timeout=20
    )
    assert result.returncode == errors.InventoryError.exit_code
    assert_one_line(result.stderr, "pipe.yml: neither a file nor a folder")


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (click.UsageError("so it is not used"), 2),
        (click.exceptions.Exit(4), 4),
        (click.Abort(), 1),
        (SystemExit(8), 8),
        (BrokenPipeError(errno.EPIPE, "FaultyRig pipe"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exits_of_click_are_not_defects(
    raised: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr("fwbench.cli.runs._print_report", fail)
    result = fwbench("report", "anything")
    assert result.exit_code == code
    assert "defect" not in result.stderr


# Reports


@pytest.fixture
def session(tmp_path: Path) -> SessionStore:
    store = SessionStore.create(tmp_path / "session")
    store.initialise(header(), make_plan(suite(), [rig()]))
    return store


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ((), 0),
        ((record(),), 0),
        ((record(), record(block=2, findings=(finding(),))), 8),
    ],
    ids=["none", "valid", "invalid"],
)
def test_report_is_printed_and_invalid_runs_set_the_exit_code(
    session: SessionStore, records: tuple[Record, ...], code: int
) -> None:
    for run_record in records:
        session.append_record(run_record)
    result = fwbench("report", str(session.folder))
    assert (result.exit_code, result.stderr) == (code, "")
    assert header().suite.question in result.stdout
    assert result.stdout.endswith(f"Session: {session.folder}\n")


# Findings


def test_finding_is_explained() -> None:
    result = fwbench("explain", "oom-kill")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("oom-kill (invalid)\n\nThe kernel's OOM killer killed")
    assert "What to do: Raise the memory limit" in result.stdout


def test_explain_without_a_code_lists_all_findings() -> None:
    result = fwbench("explain")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "\nsteal                   invalid  The hypervisor withheld over 1 %" in result.stdout


@pytest.mark.parametrize(
    ("code", "hint"),
    [("oom-kil", "did you mean 'oom-kill'?"), ("xyzzy", "`fwbench explain` lists all codes")],
)
def test_unknown_code_is_a_usage_error(code: str, hint: str) -> None:
    result = fwbench("explain", code)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"no finding has the code '{code}'; {hint}" in result.stderr


# Help


def test_commands_are_discovered() -> None:
    assert ("run",) in COMMANDS
    assert ("lab", "up") in COMMANDS


@pytest.mark.parametrize("command_path", COMMANDS, ids=" ".join)
def test_help_of_every_command_has_an_example(command_path: tuple[str, ...]) -> None:
    result = fwbench(*command_path, "--help")
    assert result.exit_code == 0
    assert re.search(rf"Examples?:\s+fwbench {' '.join(command_path)}\b", result.stdout)


@pytest.mark.parametrize("command_path", COMMANDS, ids=" ".join)
def test_h_is_short_for_help(command_path: tuple[str, ...]) -> None:
    assert fwbench(*command_path, "-h").stdout == fwbench(*command_path, "--help").stdout


def test_every_option_has_a_help_text() -> None:
    for command_path in COMMANDS:
        command: click.Command = main
        for name in command_path:
            assert isinstance(command, click.Group)
            subcommand = command.get_command(click.Context(command), name)
            assert subcommand is not None
            command = subcommand
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help or parameter.show_default, (command_path, parameter.name)


def test_help_lists_exactly_the_exit_codes() -> None:
    text = fwbench("--help").stdout.partition("Exit codes:")[2]
    listed = {int(code) for code in re.findall(r"(?:^|\s{2,})(\d+)\s{2,}", text)}
    raised = {error_class.exit_code for error_class in errors.FwbenchError.__subclasses__()}
    # Exit code 1 is for errors that users should never see.
    assert listed - {1} == (raised - {1}) | {0, 2, 130}


def test_error_classes_have_different_exit_codes() -> None:
    all_codes = [error_class.exit_code for error_class in errors.FwbenchError.__subclasses__()]
    codes = [code for code in all_codes if code != 1]
    assert len(set(codes)) == len(codes)


def test_version_is_that_of_the_package() -> None:
    assert fwbench("--version").stdout == f"fwbench, version {__version__}\n"


# In a separate process


def run_process(*arguments: str, **environment: str) -> str:
    """Run fwbench in a process; return its output, and last the heavy modules it imported."""
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('heavy:', sorted(set(sys.modules) & {HEAVY_MODULES})))\n"
        "from fwbench.cli.main import main\n"
        "main(prog_name='fwbench')\n"
    )
    argv = [sys.executable, "-c", script, *arguments]
    result = subprocess.run(
        argv, capture_output=True, text=True, timeout=60, env=os.environ | environment
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize(
    "command_path", [(), *COMMANDS], ids=lambda path: " ".join(path) or "alone"
)
def test_help_imports_no_heavy_module(command_path: tuple[str, ...]) -> None:
    assert run_process(*command_path, "--help").endswith("heavy: []\n")


def test_version_imports_no_heavy_module() -> None:
    assert run_process("--version").endswith("heavy: []\n")


def test_shell_completion_imports_no_heavy_module() -> None:
    assert run_process(**COMPLETION) == "plain,report\nplain,resume\nheavy: []\n"


def test_process_exits_with_the_code_and_prints_one_line(inventory: str) -> None:
    argv = [*PROCESS, "provision", "-i", inventory]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (5, "")
    assert_one_line(result.stderr, "box-t: ")


def test_server_without_ssh_is_reported_without_traceback(tmp_path: Path) -> None:
    """paramiko logs a traceback if a server answers in another protocol."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        port = server.getsockname()[1]
        argv = [*PROCESS, "provision", "-i", write_inventory(tmp_path, port, closed_port())]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            _, stderr = process.communicate(timeout=60)
    assert process.returncode == 5
    assert_one_line(stderr, f"box-t: 127.0.0.1:{port} does not answer SSH")


def test_ignored_hangup_signal_stays_ignored() -> None:
    """`nohup` and similar programs make their child ignore SIGHUP."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert fwbench("report", "nowhere").exit_code == 10
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["ctrl-c", "term", "hang-up"]
)
def test_interrupted_session_exits_130_without_traceback(tmp_path: Path, number: int) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in "ab"]
        for server in servers:
            server.settimeout(30)
        ports = [server.getsockname()[1] for server in servers]
        argv = [*PROCESS, "run", "smoke", "-q", "-i", write_inventory(tmp_path, *ports)]
        # The process that runs the tests may ignore the signal.
        with subprocess.Popen(
            argv,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        ) as process:
            for server in servers:
                connection, _ = server.accept()
                connection.settimeout(10)
                stack.callback(connection.close)
                connection.recv(4)  # the client's banner; the client now waits for the server's
            os.kill(process.pid, number)
            stack.close()  # otherwise the process would wait for its connections
            _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "fwbench: interrupted\n")


def test_unknown_suite_error_lists_the_bundled_suites() -> None:
    result = CliRunner().invoke(main, ["run", "smok", "-i", "hosts.yml"])
    assert result.exit_code == 3
    assert (
        "smok: no such file; name a file, or one of flask-vs-fastapi, highest-rate, latency,"
        " published, smoke" in result.stderr
    )


def test_full_disk_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "sessions/x/runs/r1")

    monkeypatch.setattr("fwbench.cli.runs._print_report", full)
    result = CliRunner().invoke(main, ["report", "sessions/x"])
    assert result.exit_code == 1
    assert result.stderr == "fwbench: No space left on device: sessions/x/runs/r1\n"
