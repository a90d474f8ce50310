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

HEAVY = {
    *["ansible", "ansible_runner", "fabric", "invoke", "numpy", "paramiko", "pydantic", "rich"],
    *["scipy", "yaml"],
}
COMPLETION = {
    "_FWBENCH_COMPLETE": "bash_complete",
    "COMP_WORDS": "fwbench re",
    "COMP_CWORD": "1",
}


def commands(group: click.Group = main, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name)


COMMANDS = list(commands())


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A home and a working folder of their own, and signals as they were."""
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
    """Two hosts at ports on which nobody listens."""
    return write_inventory(tmp_path, closed_port(), closed_port())


def assert_one_sentence(stderr: str, *parts: str) -> None:
    (line,) = stderr.splitlines()
    assert line.startswith("fwbench: ")
    assert "Traceback" not in line
    for part in parts:
        assert part in line


# Errors, each with its exit code


def test_a_suite_that_is_missing(inventory: str) -> None:
    done = fwbench("run", "nowhere.yml", "-i", inventory)
    assert done.exit_code == errors.SuiteError.exit_code
    assert_one_sentence(done.stderr, "nowhere.yml")


def test_a_suite_with_a_typo_names_file_line_and_key(tmp_path: Path, inventory: str) -> None:
    shipped = (ROOT / "suites" / "smoke.yml").read_text()
    lines = shipped.splitlines()
    number = next(n for n, line in enumerate(lines) if line.startswith("contenders:"))
    lines[number] = lines[number].replace("contenders:", "contnders:")
    (tmp_path / "mine.yml").write_text("\n".join(lines) + "\n")
    done = fwbench("run", "mine.yml", "-i", inventory)
    assert done.exit_code == errors.SuiteError.exit_code
    assert_one_sentence(done.stderr, f"mine.yml:{number + 1}: ", "contnders", "contenders")


@pytest.mark.parametrize("command", ["doctor", "provision", "teardown", "prune"])
def test_an_inventory_that_is_missing(command: str) -> None:
    done = fwbench(command, "-i", "nowhere.yml")
    assert done.exit_code == errors.InventoryError.exit_code
    assert_one_sentence(done.stderr, "nowhere.yml: no such inventory")


def test_an_inventory_without_targets(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("clients: {hosts: {box: {}}}\n")
    done = fwbench("doctor", "-i", "hosts.yml")
    assert done.exit_code == errors.InventoryError.exit_code
    assert_one_sentence(done.stderr, "hosts.yml: group 'targets' has no host")


@pytest.mark.parametrize("words", [("provision",), ("teardown",), ("run", "smoke", "--quiet")])
def test_a_host_that_does_not_answer(words: tuple[str, ...], inventory: str) -> None:
    done = fwbench(*words, "-i", inventory)
    assert done.exit_code == errors.HostError.exit_code
    assert_one_sentence(done.stderr, "box-t: 127.0.0.1:", "does not answer SSH")


def test_a_host_that_does_not_answer_leaves_no_session(tmp_path: Path, inventory: str) -> None:
    fwbench("run", "smoke", "-i", inventory)
    assert not (tmp_path / "sessions").exists()


def test_the_doctor_says_what_is_wrong_with_every_host(inventory: str) -> None:
    done = fwbench("doctor", "-i", inventory)
    assert done.exit_code == errors.HostError.exit_code
    first, second = done.stderr.splitlines()
    assert first.startswith("fwbench: box-t: 127.0.0.1:")
    assert second.startswith("fwbench: box-c: 127.0.0.1:")
    assert "failed: see below" in done.stdout


def test_a_lab_that_is_not_up() -> None:
    done = fwbench("lab", "inventory", "--name", "nowhere")
    assert done.exit_code == errors.LabError.exit_code
    assert_one_sentence(done.stderr, "the lab 'nowhere' is not up; run `fwbench lab up`")


def test_a_folder_that_is_no_session(tmp_path: Path) -> None:
    done = fwbench("report", str(tmp_path))
    assert done.exit_code == errors.SessionError.exit_code
    assert_one_sentence(done.stderr, f"{tmp_path}: not a session folder")


def test_a_folder_in_which_no_session_can_be_made(tmp_path: Path, inventory: str) -> None:
    (tmp_path / "file").touch()
    done = fwbench("run", "smoke", "-i", inventory, "-o", "file")
    assert done.exit_code == 2
    assert "file" in done.stderr


@pytest.mark.parametrize(
    "words",
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
def test_wrong_usage_is_said_to(words: tuple[str, ...]) -> None:
    done = fwbench(*words)
    assert done.exit_code == 2
    assert "Usage: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("former", "present"), [("clean", "prune"), ("verify", "doctor")])
def test_the_former_name_of_a_command_prints_the_present_one(former: str, present: str) -> None:
    done = fwbench(former, "-i", "hosts.yml")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"fwbench: `fwbench {former}` is now `fwbench {present}`\n"
    assert f"  {former} " not in fwbench("--help").stdout


@pytest.mark.parametrize("words", [("provision",), ("teardown",), ("run", "smoke")])
def test_k_is_refused_with_the_option_to_use(words: tuple[str, ...]) -> None:
    done = fwbench(*words, "-i", "hosts.yml", "-k")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Error: -k does not exist; use --keep-going\n" in done.stderr
    assert "-k," not in fwbench(words[0], "--help").stdout


@pytest.mark.parametrize("option", ["--dry-run", "--check"])
def test_a_plan_is_printed_by_either_name_of_the_option(option: str, inventory: str) -> None:
    done = fwbench("run", "smoke", "-i", inventory, option)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "runs" in done.stdout


@pytest.mark.parametrize("family", errors.FwbenchError.__subclasses__())
def test_every_family_ends_with_its_code_and_one_sentence(
    family: type[errors.FwbenchError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise family("box: it is broken; mend it")

    monkeypatch.setattr("fwbench.cli.runs._print_report", fail)
    done = fwbench("report", "anything")
    assert done.exit_code == family.exit_code
    assert done.stderr == "fwbench: box: it is broken; mend it\n"


def test_ctrl_c_is_told_and_has_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fwbench.cli.runs._print_report", interrupt)
    done = fwbench("report", "anything")
    assert (done.exit_code, done.stderr) == (130, "fwbench: interrupted\n")


# Defects


@pytest.fixture
def defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fwbench report` with a defect, whose message goes over several lines."""

    def fail(*_: object) -> None:
        secret = "hunter2"  # noqa: F841 - what a traceback with local variables would show
        try:
            {}["cause"]
        except KeyError as error:
            raise ValueError("nobody thought\x1b[2J of it\nwith input hunter2") from error

    monkeypatch.setenv("API_TOKEN", "hunter2")
    monkeypatch.setattr("fwbench.cli.runs._print_report", fail)


def traceback_file(done: Result) -> Path:
    (line,) = done.stderr.splitlines()
    said = re.fullmatch(
        r"fwbench: this is a defect of fwbench: ValueError: nobody thought\\x1b\[2J of it;"
        r" its traceback is in (/\S+); please report it with that file",
        line,
    )
    assert said is not None, line
    return Path(said[1])


@pytest.mark.usefixtures("defect")
def test_a_defect_is_one_sentence_and_its_traceback_a_private_file(tmp_path: Path) -> None:
    done = fwbench("report", "anything")
    assert done.exit_code == errors.DefectError.exit_code
    file = traceback_file(done)
    assert file.parent == tmp_path / "state" / "fwbench"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    assert f"fwbench {__version__}" in text
    assert text.index("KeyError: 'cause'") < text.index("ValueError: nobody thought")
    assert f'File "{__file__}"' in text


@pytest.mark.usefixtures("defect")
def test_a_traceback_holds_neither_variables_nor_environment_nor_input() -> None:
    source = Path(__file__).read_text().splitlines()
    text = traceback_file(fwbench("report", "anything")).read_text()
    ours = [line for line in text.splitlines() if line.strip() not in map(str.strip, source)]
    assert "hunter2" not in "\n".join(ours)


@pytest.mark.usefixtures("defect")
def test_a_traceback_goes_to_the_temporary_folder_where_the_users_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").touch()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    file = traceback_file(fwbench("report", "anything"))
    assert file.parent == tmp_path / "temporary"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    done = fwbench("report", "anything")
    assert done.exit_code == errors.DefectError.exit_code
    assert_one_sentence(done.stderr, "of it; its traceback cannot be written", "please report it")


@pytest.mark.usefixtures("defect")
def test_a_defect_of_a_process_leaves_no_traceback_on_the_terminal() -> None:
    script = (
        "from fwbench.cli.main import main, runs\n"
        "def fail(*_): 1 / 0\n"
        "runs._print_report = fail\n"
        "main(['report', 'anything'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (errors.DefectError.exit_code, "")
    assert_one_sentence(done.stderr, "this is a defect of fwbench: ZeroDivisionError: ")


def test_a_session_that_a_defect_ends_says_how_it_goes_on(
    session: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ValueError("nobody thought of it")

    monkeypatch.setattr("fwbench.execution.session.Session.run", fail)
    monkeypatch.setattr("fwbench.hosts.changes.config_changes", lambda *_: [])
    done = fwbench("resume", str(session.folder))
    assert done.exit_code == errors.DefectError.exit_code
    kept, defect = done.stderr.splitlines()
    assert kept == f"what was measured is kept; continue with: fwbench resume {session.folder}"
    assert "ValueError: nobody thought of it" in defect


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("words", [("--help",), ("doctor", "--help"), ("report", "session")])
def test_a_full_disk_behind_the_output_is_one_sentence(
    session: SessionStore, words: tuple[str, ...]
) -> None:
    assert session.folder.name == "session"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*PROCESS, *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert_one_sentence(done.stderr, "No space left on device")


@pytest.mark.parametrize("lacking", ["HOME", "USER"])
def test_a_user_whom_nobody_knows_is_told_what_to_set(
    lacking: str, inventory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container with a user id of its own."""

    def unknown(_: int) -> None:
        raise KeyError("getpwuid(): uid not found")

    for name in ("XDG_STATE_HOME", "HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER" if lacking == "HOME" else "HOME", "somebody")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    done = fwbench("doctor", "-i", inventory)
    assert done.exit_code == errors.HostError.exit_code
    for line in done.stderr.splitlines():
        assert line.startswith("fwbench: ")
        assert f": set {lacking} to a " in line


@pytest.mark.parametrize("command", ["doctor", "provision", "teardown", "prune"])
def test_an_inventory_that_is_a_pipe_is_not_waited_for(command: str) -> None:
    os.mkfifo("pipe.yml")
    done = subprocess.run(
        [*PROCESS, command, "-i", "pipe.yml"], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == errors.InventoryError.exit_code
    assert_one_sentence(done.stderr, "pipe.yml: neither a file nor a folder")


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
def test_what_click_ends_with_is_no_defect(
    raised: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr("fwbench.cli.runs._print_report", fail)
    done = fwbench("report", "anything")
    assert done.exit_code == code
    assert "defect" not in done.stderr


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
def test_a_report_is_printed_and_an_invalid_run_shows_in_the_exit_code(
    session: SessionStore, records: tuple[Record, ...], code: int
) -> None:
    for each in records:
        session.append_record(each)
    done = fwbench("report", str(session.folder))
    assert (done.exit_code, done.stderr) == (code, "")
    assert header().suite.question in done.stdout
    assert done.stdout.endswith(f"Session: {session.folder}\n")


# Findings


def test_a_finding_is_explained() -> None:
    done = fwbench("explain", "oom-kill")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("oom-kill (invalid)\n\nThe kernel's OOM killer killed")
    assert "What to do: Raise the memory limit" in done.stdout


def test_without_a_code_all_findings_are_listed() -> None:
    done = fwbench("explain")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "\nsteal                   invalid  The hypervisor withheld over 1 %" in done.stdout


@pytest.mark.parametrize(
    ("code", "hint"),
    [("oom-kil", "did you mean 'oom-kill'?"), ("xyzzy", "`fwbench explain` lists all codes")],
)
def test_a_code_that_does_not_exist_is_wrong_usage(code: str, hint: str) -> None:
    done = fwbench("explain", code)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"no finding has the code '{code}'; {hint}" in done.stderr


# Help


def test_there_are_commands() -> None:
    assert ("run",) in COMMANDS
    assert ("lab", "up") in COMMANDS


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_an_example_of_it(words: tuple[str, ...]) -> None:
    done = fwbench(*words, "--help")
    assert done.exit_code == 0
    assert re.search(rf"Examples?:\s+fwbench {' '.join(words)}\b", done.stdout)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_is_short_for_h(words: tuple[str, ...]) -> None:
    assert fwbench(*words, "-h").stdout == fwbench(*words, "--help").stdout


def test_every_option_says_what_it_does() -> None:
    for words in COMMANDS:
        command: click.Command = main
        for word in words:
            assert isinstance(command, click.Group)
            command = command.commands[word]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help or parameter.show_default, (words, parameter.name)


def test_the_help_tells_every_exit_code_and_no_other() -> None:
    text = fwbench("--help").stdout.partition("Exit codes:")[2]
    told = {int(code) for code in re.findall(r"(?:^|\s{2,})(\d+)\s{2,}", text)}
    families = {family.exit_code for family in errors.FwbenchError.__subclasses__()}
    # 1 is what should never be seen.
    assert told - {1} == (families - {1}) | {0, 2, 130}


def test_no_two_families_that_are_seen_share_a_code() -> None:
    codes = [family.exit_code for family in errors.FwbenchError.__subclasses__()]
    seen = [code for code in codes if code != 1]
    assert len(set(seen)) == len(seen)


def test_the_version_is_the_packages() -> None:
    assert fwbench("--version").stdout == f"fwbench, version {__version__}\n"


# As a process of its own


def start(*words: str, **environment: str) -> str:
    """What a process prints that has nothing to do, and last its heavy imports."""
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('heavy:', sorted(set(sys.modules) & {HEAVY})))\n"
        "from fwbench.cli.main import main\n"
        "main(prog_name='fwbench')\n"
    )
    argv = [sys.executable, "-c", script, *words]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=60, env=os.environ | environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("words", [(), *COMMANDS], ids=lambda words: " ".join(words) or "alone")
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    assert start(*words, "--help").endswith("heavy: []\n")


def test_the_version_imports_nothing_heavy() -> None:
    assert start("--version").endswith("heavy: []\n")


def test_the_shells_completion_imports_nothing_heavy() -> None:
    assert start(**COMPLETION) == "plain,report\nplain,resume\nheavy: []\n"


def test_a_process_ends_with_code_and_sentence_too(inventory: str) -> None:
    argv = [*PROCESS, "provision", "-i", inventory]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (5, "")
    assert_one_sentence(done.stderr, "box-t: ")


def test_a_host_that_is_something_else_is_told_without_a_traceback(tmp_path: Path) -> None:
    """paramiko logs one where a server greets in another protocol."""
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
    assert_one_sentence(stderr, f"box-t: 127.0.0.1:{port} does not answer SSH")


def test_a_program_that_is_to_outlive_its_terminal_does() -> None:
    """`nohup` and the like let the signal be ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert fwbench("report", "nowhere").exit_code == 10
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["ctrl-c", "term", "hang-up"]
)
def test_a_session_that_is_interrupted_ends_with_its_code_and_no_traceback(
    tmp_path: Path, number: int
) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in "ab"]
        for server in servers:
            server.settimeout(30)
        ports = [server.getsockname()[1] for server in servers]
        argv = [*PROCESS, "run", "smoke", "-q", "-i", write_inventory(tmp_path, *ports)]
        # Whoever runs the tests may have it ignored.
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
                connection.recv(4)  # the client's greeting: it is waiting for that of the host
            os.kill(process.pid, number)
            stack.close()  # what is being connected must not have to be waited for
            _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "fwbench: interrupted\n")


def test_a_suite_that_is_neither_a_file_nor_shipped_is_refused_with_those_that_are() -> None:
    done = CliRunner().invoke(main, ["run", "smok", "-i", "hosts.yml"])
    assert done.exit_code == 3
    assert (
        "smok: no such file; name a file, or one of flask-vs-fastapi, highest-rate, latency,"
        " published, smoke" in done.stderr
    )


def test_a_disk_that_refuses_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "sessions/x/runs/r1")

    monkeypatch.setattr("fwbench.cli.runs._print_report", full)
    done = CliRunner().invoke(main, ["report", "sessions/x"])
    assert done.exit_code == 1
    assert done.stderr == "fwbench: No space left on device: sessions/x/runs/r1\n"
