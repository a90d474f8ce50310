"""`SshRemote` with a real sshd: commands, files, host keys and error messages."""

import getpass
import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest
from sshd import Relay, Server, free_port, keygen

from fwbench import paths
from fwbench.errors import HostError, HostKeyError, LostError, SessionError
from fwbench.model.host import Host, JumpHost
from fwbench.ssh import connection
from fwbench.ssh.remote import SshRemote

HostOf = Callable[..., Host]
RecordKey = Callable[[str, Path], Path]

ECHO = "import json, sys; open(sys.argv[1], 'w').write(json.dumps(sys.argv[2:]))"
HOSTILE = (
    "two words",
    "it's",
    '"quoted"',
    "a; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "$HOME",
    "line\nbreak\n",
    "tab\there",
    "back\\slash",
    "*",
    "~",
    "!!",
    "",
    "--",
    "-n",
    "Grüße, 世界 🎉",
    "& | > <",
    "#comment",
)


def error_message(host: Host) -> str:
    """Return the one-line error of the first command on a host."""
    with SshRemote(host) as box, pytest.raises(HostError) as error:
        box.check(["true"])
    message = str(error.value)
    assert "\n" not in message
    assert "Traceback" not in message
    assert message.startswith(f"{host.name}: ")
    return message


def await_file(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was not created"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# Commands


def test_execute_returns_exit_status_and_end_of_stderr(box: SshRemote) -> None:
    result = box.execute(["sh", "-c", "echo not this; echo this >&2; exit 3"])
    assert (result.exit_status, result.stderr) == (3, "this\n")


def test_check_raises_status_and_stderr_of_a_failed_command(
    box: SshRemote,
) -> None:
    with pytest.raises(HostError, match=r"box: `sh -c .*` exited 3: out of luck"):
        box.check(["sh", "-c", "echo out of luck >&2; exit 3"])


def test_failure_without_output_is_reported(box: SshRemote) -> None:
    with pytest.raises(HostError, match="box: `false` exited 1: no output"):
        box.check(["false"])


def test_missing_program_is_named_in_the_error(box: SshRemote) -> None:
    with pytest.raises(HostError, match="no-such-program"):
        box.check(["no-such-program"])


@pytest.mark.parametrize("argument", HOSTILE)
def test_argument_arrives_unchanged(box: SshRemote, tmp_path: Path, argument: str) -> None:
    output = tmp_path / "arguments.json"
    box.check(["python3", "-c", ECHO, str(output), argument])
    assert json.loads(output.read_text()) == [argument]


def test_hostile_arguments_arrive_unchanged_and_are_not_executed(
    box: SshRemote, tmp_path: Path
) -> None:
    output = tmp_path / "arguments.json"
    box.check(["env", f"--chdir={tmp_path}", "python3", "-c", ECHO, str(output), *HOSTILE])
    assert json.loads(output.read_text()) == list(HOSTILE)
    assert not (tmp_path / "pwned").exists()


def test_command_runs_in_a_folder_that_its_user_owns(box: SshRemote, tmp_path: Path) -> None:
    folder = tmp_path / "it's mine"
    folder.mkdir(mode=0o700)
    box.check(["touch", "here"], within=PurePosixPath(folder))
    assert (folder / "here").exists()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_command_does_not_run_in_a_folder_others_can_enter(
    box: SshRemote, tmp_path: Path, mode: int
) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(HostError, match=f"{tmp_path} is not the folder that fwbench made"):
        box.check(["touch", "here"], within=PurePosixPath(tmp_path))
    assert list(tmp_path.glob("here")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_command_does_not_run_in_a_folder_of_another_user(box: SshRemote, tmp_path: Path) -> None:
    folder = tmp_path / "other-user"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    with pytest.raises(HostError, match=f"{folder} is not the folder that fwbench made"):
        box.check(["touch", "here"], within=PurePosixPath(folder))
    assert list(folder.iterdir()) == []


def test_command_does_not_run_in_a_missing_folder(box: SshRemote, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="or no longer exists"):
        box.check(["true"], within=PurePosixPath(tmp_path / "gone"))


def test_timed_out_command_is_killed_on_the_host(box: SshRemote, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    hang = f"echo $$ > {shlex.quote(str(pid_file))}; exec sleep 60"
    with pytest.raises(HostError, match=r"took over 0\.5 s"):
        box.check(["sh", "-c", hang], timeout_s=0.5)
    assert not is_alive(int(pid_file.read_text()))


def test_connection_is_usable_after_a_timeout(box: SshRemote) -> None:
    assert box.execute(["sleep", "60"], timeout_s=0.1).exit_status == 124
    box.check(["true"])


def test_two_mib_on_both_outputs_do_not_block(box: SshRemote) -> None:
    flood = "import sys; sys.stdout.write('o' * 2**21); sys.stderr.write('e' * 2**21)"
    result = box.execute(["python3", "-c", flood])
    assert result.exit_status == 0
    assert result.stderr == "e" * 4000


def test_output_is_read_up_to_16_mib(box: SshRemote, monkeypatch: pytest.MonkeyPatch) -> None:
    assert connection._BoundedRunner._remaining_bytes == 16 << 20
    monkeypatch.setattr(connection._BoundedRunner, "_remaining_bytes", 1 << 16)
    flood = "import sys; sys.stderr.write('e' * {}); sys.stderr.write('the end')"
    assert box.execute(["python3", "-c", flood.format(1 << 10)]).stderr.endswith("the end")
    assert not box.execute(["python3", "-c", flood.format(1 << 20)]).stderr.endswith("the end")


def test_output_that_is_not_utf_8_is_accepted(box: SshRemote) -> None:
    result = box.execute(["python3", "-c", r"import sys; sys.stderr.buffer.write(b'\xff\xfe!')"])
    assert result.stderr.endswith("!")


def test_connection_disables_nagles_algorithm(box: SshRemote) -> None:
    """Nagle's algorithm costs 40 ms a command, which paramiko leaves on."""
    box.check(["true"])
    sock = box._connection.transport.sock
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def write_sudo(folder: Path, script: str) -> Path:
    program = folder / "sudo"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def programs(sshd: Server) -> Iterator[Path]:
    """Yield the folder at the front of the server's PATH; empty it afterwards."""
    yield sshd.programs
    for program in sshd.programs.iterdir():
        program.unlink()


# What sudo prints, in two languages, on a host that cannot resolve its own name
WARNINGS = (
    "sudo: unable to resolve host vm: Name or service not known",
    "sudo: kann Host vm nicht auflösen: Der Name oder der Dienst ist nicht bekannt",
)
EXEC_COMMAND = 'shift 2; exec "$@"'  # as `sudo -n --` does


def test_sudo_never_prompts_or_parses_the_commands_options(
    box: SshRemote, programs: Path, tmp_path: Path
) -> None:
    log = tmp_path / "arguments"
    write_sudo(programs, f'printf "%s\\n" "$1" "$2" > {log}; {EXEC_COMMAND}')
    box.check(["true", "-n"], timeout_s=7, sudo=True)
    assert log.read_text().splitlines() == ["-n", "--"]


@pytest.mark.parametrize("argument", HOSTILE)
def test_argument_arrives_unchanged_under_sudo(
    box: SshRemote, programs: Path, tmp_path: Path, argument: str
) -> None:
    write_sudo(programs, EXEC_COMMAND)
    output = tmp_path / "arguments.json"
    box.check(["python3", "-c", ECHO, str(output), argument], sudo=True)
    assert json.loads(output.read_text()) == [argument]


@pytest.mark.parametrize(
    "message", ["sudo: a password is required", "sudo: ein Passwort ist nötig"]
)
@pytest.mark.parametrize("status", [1, 2])
def test_sudo_that_needs_a_password_is_an_error_with_advice(
    box: SshRemote, programs: Path, host: HostOf, message: str, status: int
) -> None:
    write_sudo(programs, f"echo '{WARNINGS[0]}' >&2; echo '{message}' >&2; exit {status}")
    with pytest.raises(
        HostError, match=f"box: sudo does not let {host().user} run .*{message}.*NOPASSWD"
    ) as error:
        box.execute(["true"], sudo=True)
    assert "\n" not in str(error.value)


def test_sudo_that_exits_0_without_executing_is_an_error(box: SshRemote, programs: Path) -> None:
    write_sudo(programs, "exit 0")
    with pytest.raises(HostError, match=r"box: sudo does not let .* run .*no output"):
        box.execute(["true"], sudo=True)


@pytest.mark.parametrize("warning", WARNINGS)
def test_sudo_warnings_are_removed_from_stderr(
    box: SshRemote, programs: Path, warning: str
) -> None:
    write_sudo(programs, f"echo '{warning}' >&2; {EXEC_COMMAND}")
    for status in (0, 1):
        result = box.execute(["sh", "-c", f"echo mine >&2; exit {status}"], sudo=True)
        assert (result.exit_status, result.stderr) == (status, "mine\n")
    with pytest.raises(HostError, match="`false` exited 1: no output"):
        box.check(["false"], sudo=True)


def test_sudo_warning_without_newline_is_removed(box: SshRemote, programs: Path) -> None:
    write_sudo(programs, f"printf warning >&2; {EXEC_COMMAND}")
    assert box.execute(["sh", "-c", "echo mine >&2"], sudo=True).stderr == "mine\n"


def test_command_that_prints_a_sudo_error_is_not_blamed_on_sudo(
    box: SshRemote, programs: Path
) -> None:
    write_sudo(programs, EXEC_COMMAND)
    script = "echo 'sudo: a password is required' >&2; exit 1"
    result = box.execute(["sh", "-c", script], sudo=True)
    assert (result.exit_status, result.stderr) == (1, "sudo: a password is required\n")


def test_missing_program_is_not_blamed_on_sudo(box: SshRemote, programs: Path) -> None:
    write_sudo(programs, f"echo '{WARNINGS[0]}' >&2; {EXEC_COMMAND}")
    result = box.execute(["no-such-program"], sudo=True)
    assert result.exit_status == 127
    assert "no-such-program" in result.stderr
    assert "resolve" not in result.stderr


def test_timed_out_command_under_sudo_is_killed_on_the_host(
    box: SshRemote, programs: Path, tmp_path: Path
) -> None:
    write_sudo(programs, f"echo '{WARNINGS[0]}' >&2; {EXEC_COMMAND}")
    pid_file = tmp_path / "pid"
    hang = f"echo $$ > {shlex.quote(str(pid_file))}; exec sleep 60"
    with pytest.raises(HostError, match=r"took over 0\.5 s"):
        box.check(["sh", "-c", hang], timeout_s=0.5, sudo=True)
    assert not is_alive(int(pid_file.read_text()))


def test_killed_command_under_sudo_is_reported(box: SshRemote, programs: Path) -> None:
    write_sudo(programs, EXEC_COMMAND)
    kill = "kill -KILL $PPID"  # `timeout`, which sudo started
    with pytest.raises(HostError, match="was killed on the host") as error:
        box.execute(["sh", "-c", kill], sudo=True)
    assert not isinstance(error.value, LostError)


def test_host_without_become_does_not_use_sudo(
    host: HostOf, programs: Path, tmp_path: Path
) -> None:
    write_sudo(programs, "exit 9")
    with SshRemote(host(become=False)) as box:
        box.check(["touch", str(tmp_path / "file")], sudo=True)
    assert (tmp_path / "file").exists()


def test_missing_sudo_is_an_error_with_advice(box: SshRemote, programs: Path) -> None:
    write_sudo(programs, "echo 'sh: 1: sudo: not found' >&2; exit 127")
    with pytest.raises(HostError, match=r"box: there is no sudo; install it, or .* as root with"):
        box.check(["true"], sudo=True)


# Files


def test_put_and_get_preserve_the_content(box: SshRemote, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    remote_path, local_path = tmp_path / "a b;$(c) ü", tmp_path / "back"
    box.put(content, str(remote_path))
    box.get(str(remote_path), local_path)
    assert remote_path.read_bytes() == local_path.read_bytes() == content


def test_put_creates_a_file_that_only_its_owner_can_read(box: SshRemote, tmp_path: Path) -> None:
    path = tmp_path / "private"
    box.put(b"x", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_put_replaces_a_longer_file(box: SshRemote, tmp_path: Path) -> None:
    path = tmp_path / "file"
    box.put(b"longer", str(path))
    box.put(b"short", str(path))
    assert path.read_bytes() == b"short"


def test_exists_is_true_only_for_existing_files(box: SshRemote, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert box.exists(str(tmp_path / "file"))
    assert not box.exists(str(tmp_path / "nowhere"))
    assert not box.exists(str(tmp_path / "nowhere" / "at all"))


def test_a_file_over_the_limit_is_not_fetched(box: SshRemote, tmp_path: Path) -> None:
    (tmp_path / "ten").write_bytes(b"0123456789")
    (tmp_path / "eleven").write_bytes(b"0123456789a")
    box.get(str(tmp_path / "ten"), tmp_path / "back", limit_bytes=10)
    with pytest.raises(HostError, match=r"box: .*eleven has 11 bytes, more than fwbench fetches"):
        box.get(str(tmp_path / "eleven"), tmp_path / "not-back", limit_bytes=10)
    assert not (tmp_path / "not-back").exists()


def test_missing_file_is_named_in_the_error(box: SshRemote, tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    with pytest.raises(HostError, match=f"box: .*{missing}"):
        box.get(missing, tmp_path / "back")


def test_file_in_a_missing_folder_is_named_in_the_error(box: SshRemote, tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere" / "file")
    with pytest.raises(HostError, match=f"box: .*{missing}"):
        box.put(b"", missing)


def test_file_error_is_not_blamed_on_ssh(box: SshRemote, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=f"box: .*{tmp_path}") as error:
        box.put(b"", str(tmp_path))
    assert "does not answer" not in str(error.value)


def test_local_write_error_is_not_blamed_on_the_host(box: SshRemote, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(
        SessionError, match=r"^/dev/full cannot be written: No space left on device"
    ):
        box.get(str(tmp_path / "file"), Path("/dev/full"))
    assert box.exists(str(tmp_path / "file"))


# Host keys


def test_the_first_contact_records_the_key(sshd: Server, host: HostOf) -> None:
    with SshRemote(host()) as box:
        box.check(["true"])
    kind, key = Path(f"{sshd.host_key}.pub").read_text().split()[:2]
    assert paths.known_hosts().read_text() == f"{sshd.name_in_known_hosts} {kind} {key}\n"


def test_the_first_contact_prints_the_key(sshd: Server, host: HostOf, tmp_path: Path) -> None:
    """`fwbench doctor` prints the same fingerprint as `ssh-keygen -l`."""
    connection_variables = {
        "ansible_port": sshd.port,
        "ansible_user": host().user,
        "ansible_ssh_private_key_file": str(sshd.user_key),
    }
    groups = {
        "targets": {"hosts": {"t": connection_variables | {"ansible_host": "127.0.0.1"}}},
        "clients": {"hosts": {"c": connection_variables | {"ansible_host": "127.1"}}},
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"children": groups}}))
    program = "from fwbench.cli.main import main; main()"
    argv = [sys.executable, "-c", program, "doctor", "--inventory", str(inventory)]
    stderr = " ".join(subprocess.run(argv, capture_output=True, text=True).stderr.split())
    ssh_keygen = subprocess.run(
        ["ssh-keygen", "-l", "-f", sshd.host_key], capture_output=True, text=True, check=True
    )
    fingerprint = ssh_keygen.stdout.split()[1]
    assert (
        f"first contact with {sshd.name_in_known_hosts}: recorded its host key"
        f" ssh-ed25519 {fingerprint} in {paths.known_hosts()}"
    ) in stderr


def test_the_second_contact_records_nothing(host: HostOf) -> None:
    for _ in range(2):
        with SshRemote(host()) as box:
            box.check(["true"])
    assert len(paths.known_hosts().read_text().splitlines()) == 1


def test_key_in_the_inventorys_known_hosts_is_not_recorded(
    sshd: Server, host: HostOf, record_key: RecordKey, tmp_path: Path
) -> None:
    file = record_key(sshd.name_in_known_hosts, sshd.host_key).rename(tmp_path / "known_hosts")
    with SshRemote(host(known_hosts=file)) as box:
        box.check(["true"])
    assert not paths.known_hosts().exists()


def test_key_in_the_users_known_hosts_is_not_recorded(
    sshd: Server, host: HostOf, record_key: RecordKey, tmp_path: Path
) -> None:
    (tmp_path / ".ssh").mkdir()
    record_key(sshd.name_in_known_hosts, sshd.host_key).rename(tmp_path / ".ssh" / "known_hosts")
    with SshRemote(host()) as box:
        box.check(["true"])
    assert not paths.known_hosts().exists()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_changed_host_key_is_refused(
    sshd: Server, host: HostOf, record_key: RecordKey, tmp_path: Path, kind: str
) -> None:
    """The type of the key does not matter: an attacker can choose which type to present."""
    file = record_key(sshd.name_in_known_hosts, keygen(tmp_path / "other", kind))
    before = file.read_text()
    message = error_message(host())
    assert f"127.0.0.1:{sshd.port} shows another host key than before" in message
    assert f"remove its line from {file}" in message
    assert file.read_text() == before


def test_host_key_is_pinned_for_the_session(sshd: Server, host: HostOf, tmp_path: Path) -> None:
    with SshRemote(host()) as box:
        box.check(["true"])
        other = Path(f"{keygen(tmp_path / 'other')}.pub").read_text().split()[:2]
        paths.known_hosts().write_text(f"{sshd.name_in_known_hosts} {' '.join(other)}\n")
        sshd.kill_sessions()
        with suppress(LostError):
            box.check(["true"])
        box.check(["true"])


def test_changed_key_is_refused_on_reconnect_without_a_record(host: HostOf, tmp_path: Path) -> None:
    """Another server answers at the address, and the record of the first contact is deleted."""
    server = Server(tmp_path)
    with SshRemote(host(port=server.port, key_file=server.user_key)) as box:
        with server.running():
            box.check(["true"])
            server.kill_sessions()
        with pytest.raises(LostError):
            box.check(["true"])
        paths.known_hosts().unlink()
        server.host_key.unlink()
        keygen(server.host_key)
        with server.running(), pytest.raises(HostError, match="shows another host key than before"):
            box.check(["true"])


def test_concurrent_first_contacts_must_see_the_same_key(
    sshd: Server, host: HostOf, record_key: RecordKey, tmp_path: Path
) -> None:
    with SshRemote(host()) as box:  # it has read the known_hosts files; they contain no key
        record_key(sshd.name_in_known_hosts, keygen(tmp_path / "other"))
        with pytest.raises(HostError, match="shows another host key than before"):
            box.check(["true"])
    assert len(paths.known_hosts().read_text().splitlines()) == 1


@pytest.mark.parametrize("user_file", [".ssh/known_hosts", "state/fwbench/known_hosts"])
@pytest.mark.parametrize("right", ["user", "inventory"])
def test_contradictory_known_hosts_files_are_named_and_refused(
    sshd: Server, host: HostOf, tmp_path: Path, user_file: str, right: str
) -> None:
    keys = [sshd.host_key, keygen(tmp_path / "other")]
    files = [tmp_path / user_file, tmp_path / "inventory-known-hosts"]
    for path, key in zip(files, keys if right == "user" else reversed(keys), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{sshd.name_in_known_hosts} {key_of(key)}\n")
    with pytest.raises(HostKeyError) as error:
        SshRemote(host(known_hosts=files[1]))
    assert str(error.value).startswith(
        f"box: {files[0]} and {files[1]} contain different ssh-ed25519 keys of"
        f" {sshd.name_in_known_hosts} (SHA256:"
    )


def test_inventory_adds_no_key_for_a_host_the_user_knows(
    sshd: Server, host: HostOf, record_key: RecordKey, tmp_path: Path
) -> None:
    """An attacker can choose which type of key to present."""
    record_key(sshd.name_in_known_hosts, keygen(tmp_path / "other", "rsa"))
    file = tmp_path / "inventory-known-hosts"
    file.write_text(f"{sshd.name_in_known_hosts} {key_of(sshd.host_key)}\n")
    assert "shows another host key than before" in error_message(host(known_hosts=file))


def key_of(path: Path) -> str:
    return " ".join(Path(f"{path}.pub").read_text().split()[:2])


@pytest.mark.parametrize("line", [b"elsewhere ssh-ed25519 A\n", b"\xff\xfe\n"])
def test_malformed_known_hosts_line_is_quoted_in_the_error(
    host: HostOf, tmp_path: Path, line: bytes
) -> None:
    """Otherwise the lines after it would be skipped, and a changed key would be accepted."""
    file = tmp_path / "known_hosts"
    file.write_bytes(line)
    with pytest.raises(
        HostError, match=rf"box: {file} has a line that is not a host key: b?'.{{6}}"
    ):
        SshRemote(host(known_hosts=file))


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_known_hosts_must_be_a_regular_file(host: HostOf, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "known"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")  # endless
    else:
        path.mkdir()
    with pytest.raises(HostError, match=f"box: {path} is not a file of host keys"):
        SshRemote(host(known_hosts=path))


def test_missing_known_hosts_of_the_inventory_is_an_error(host: HostOf, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=f"{tmp_path / 'misspelt'} does not exist, and the"):
        SshRemote(host(known_hosts=tmp_path / "misspelt"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".ssh/config", b"Host\n"),
        (".ssh/config", b"\xff\n"),
        (".fabric.yml", b"x: [\n"),
    ],
    ids=["no host", "no text", "no YAML"],
)
def test_unreadable_user_configuration_is_a_one_line_error(
    host: HostOf, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HostError, match=r"^box: your SSH configuration \(~/.ssh/config, .*\Z"):
        SshRemote(host())


def test_unreadable_known_hosts_is_named_in_the_error(host: HostOf, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=f"box: .*{tmp_path}"):
        SshRemote(host(known_hosts=tmp_path))


# Failing connections


def test_rejected_key_is_named_in_the_error(host: HostOf, tmp_path: Path) -> None:
    other = keygen(tmp_path / "other")
    message = error_message(host(key_file=other))
    assert f"refuses the login of {host().user} with {other}" in message


def test_error_without_a_key_file_names_agent_and_default_keys(host: HostOf) -> None:
    assert "the keys of your agent and ~/.ssh" in error_message(host(key_file=None))


def test_encrypted_key_is_named_in_the_error(host: HostOf, tmp_path: Path) -> None:
    locked = keygen(tmp_path / "locked", passphrase="opensesame")
    assert str(locked) in error_message(host(key_file=locked))


def test_missing_key_file_is_named_in_the_error(host: HostOf, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    assert str(missing) in error_message(host(key_file=missing))


def test_invalid_key_file_is_named_in_the_error(host: HostOf, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_text("not a key\n")
    assert str(garbage) in error_message(host(key_file=garbage))


def test_closed_port_is_reported(host: HostOf) -> None:
    port = free_port()
    assert f"127.0.0.1:{port} does not answer SSH: " in error_message(host(port=port))


def test_unresolvable_host_name_is_reported(host: HostOf) -> None:
    assert "nobody.invalid:" in error_message(host(address="nobody.invalid"))


def test_server_that_sends_no_banner_is_reported(
    host: HostOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert f"127.0.0.1:{port} does not answer SSH: " in error_message(host(port=port))


def test_server_that_is_not_ssh_is_reported(host: HostOf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(
            target=answer_once, args=(server, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        )
        thread.start()
        message = error_message(host(port=server.getsockname()[1]))
        thread.join()
    assert "does not answer SSH: " in message


def answer_once(server: socket.socket, response: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(response)
        connection.recv(1000)


@pytest.mark.parametrize(
    "prints", ["echo Welcome", r"printf '\000\000\000\001\002'"], ids=["words", "half a packet"]
)
def test_login_shell_output_before_sftp_is_reported(
    host: HostOf, tmp_path: Path, prints: str
) -> None:
    noisy = tmp_path / "noisy"
    noisy.write_text(f"#!/bin/sh\n{prints}\nexec cat\n")
    noisy.chmod(0o755)
    server = Server(tmp_path, sftp=str(noisy))
    noisy_host = host(port=server.port, key_file=server.user_key)
    with server.running(), SshRemote(noisy_host) as box, pytest.raises(HostError) as error:
        box.put(b"", str(tmp_path / "file"))
    assert f"box: 127.0.0.1:{server.port} does not speak SFTP" in str(error.value)
    assert "~/.bashrc" in str(error.value)
    assert not isinstance(error.value, LostError)


def test_connection_lost_during_a_command_is_reported(
    host: HostOf, relay: Relay, tmp_path: Path
) -> None:
    started = tmp_path / "started"

    def cut_once_started() -> None:
        await_file(started)
        relay.cut()

    thread = threading.Thread(target=cut_once_started)
    with SshRemote(host(port=relay.port)) as box:
        thread.start()
        with pytest.raises(HostError, match="box: the connection was lost during `sh -c"):
            box.check(["sh", "-c", f"touch {started}; sleep 5"], timeout_s=5)
        thread.join()


def test_remote_reconnects_after_a_lost_connection(
    host: HostOf, relay: Relay, tmp_path: Path
) -> None:
    path = str(tmp_path / "file")
    with SshRemote(host(port=relay.port)) as box:
        box.put(b"x", path)
        relay.cut_on_next_data()
        with pytest.raises(HostError):
            box.exists(path)
        box.check(["true"])
        assert box.exists(path)


@pytest.mark.parametrize("operation", ["put", "get", "exists"])
def test_connection_lost_during_a_transfer_is_reported(
    host: HostOf, relay: Relay, tmp_path: Path, operation: str
) -> None:
    (tmp_path / "file").touch()
    with SshRemote(host(port=relay.port)) as box:
        assert box.exists(str(tmp_path / "file"))
        relay.cut_on_next_data()
        operations = {
            "put": lambda: box.put(b"x" * 10**6, str(tmp_path / "uploaded")),
            "get": lambda: box.get(str(tmp_path / "file"), tmp_path / "back"),
            "exists": lambda: box.exists(str(tmp_path / "file")),
        }
        with pytest.raises(HostError, match=r"box: [^\n]+$"):
            operations[operation]()


def test_host_that_hangs_before_a_command_is_reported(
    host: HostOf, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENCE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.3)
    with SshRemote(host(port=relay.port)) as box:
        box.check(["true"])
        relay.freeze()
        with pytest.raises(HostError, match=f"box: 127.0.0.1:{relay.port} "):
            box.check(["true"], timeout_s=0.1)


def test_host_that_hangs_before_sftp_starts_is_reported(
    host: HostOf, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENCE_TIMEOUT_S", 0.3)
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.5)
    with SshRemote(host(port=relay.port)) as box:
        box.check(["true"])
        relay.freeze()
        with pytest.raises(LostError, match=f"box: 127.0.0.1:{relay.port} "):
            box.exists("/")


@pytest.mark.parametrize("operation", ["put", "get", "exists", "check"])
def test_hung_session_is_detected_and_replaced(
    sshd: Server, host: HostOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """The kernel still acknowledges packets, so only missing answers reveal the hang."""
    (tmp_path / "file").write_bytes(b"x")
    with SshRemote(host()) as box:
        assert box.exists(str(tmp_path / "file"))
        monkeypatch.setattr(connection, "SILENCE_TIMEOUT_S", 0.5)
        box._connection.files()
        sshd.kill_sessions(signal.SIGSTOP)
        start = time.monotonic()
        try:
            with pytest.raises(LostError, match=r"box: [^\n]+$"):
                perform(box, operation, tmp_path)
        finally:
            sshd.kill_sessions()
        assert time.monotonic() - start < 8
        perform(box, operation, tmp_path)


def perform(box: SshRemote, operation: str, folder: Path) -> None:
    operations = {
        "put": lambda: box.put(b"x" * 10**6, str(folder / "uploaded")),
        "get": lambda: box.get(str(folder / "file"), folder / "back"),
        "exists": lambda: box.exists(str(folder / "file")),
        "check": lambda: box.check(["true"], timeout_s=0.5),
    }
    operations[operation]()


@pytest.mark.parametrize("operation", ["put", "get", "exists", "check"])
def test_second_call_after_a_killed_session_works(
    sshd: Server, host: HostOf, tmp_path: Path, operation: str
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with SshRemote(host()) as box:
        perform(box, operation, tmp_path)
        for _ in range(3):
            assert sshd.kill_sessions()
            try:
                perform(box, operation, tmp_path)  # works if the loss is detected before the call
            except LostError:
                perform(box, operation, tmp_path)


def test_call_after_a_detected_loss_works(sshd: Server, box: SshRemote, tmp_path: Path) -> None:
    assert box.exists(str(tmp_path))
    sshd.kill_sessions()
    deadline = time.monotonic() + 10
    while box._connection.is_connected:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert box.exists(str(tmp_path))


def test_session_that_hangs_during_a_command_is_reported(
    sshd: Server, host: HostOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    monkeypatch.setattr(connection, "SILENCE_TIMEOUT_S", 1)

    def stop_once_started() -> None:
        await_file(started)
        sshd.kill_sessions(signal.SIGSTOP)

    thread = threading.Thread(target=stop_once_started)
    with SshRemote(host()) as box:
        box.check(["true"])
        thread.start()
        start = time.monotonic()
        try:
            with pytest.raises(LostError, match=f"box: 127.0.0.1:{sshd.port} stopped answering"):
                box.check(["sh", "-c", f"touch {started}; sleep 20"], timeout_s=1)
        finally:
            thread.join()
            sshd.kill_sessions()
        assert time.monotonic() - start < 8
        box.check(["true"])


def test_session_killed_during_a_command_is_reported(
    sshd: Server, host: HostOf, tmp_path: Path
) -> None:
    started = tmp_path / "started"

    def kill_once_started() -> None:
        await_file(started)
        sshd.kill_sessions()

    thread = threading.Thread(target=kill_once_started)
    with SshRemote(host()) as box:
        thread.start()
        with pytest.raises(LostError, match="box: the connection was lost during `sh -c"):
            box.check(["sh", "-c", f"touch {started}; sleep 5"], timeout_s=5)
        thread.join()
        box.check(["true"])


def test_killed_command_is_not_blamed_on_the_connection(box: SshRemote) -> None:
    with pytest.raises(HostError, match=r"box: `sh -c .* was killed on the host") as error:
        box.check(["sh", "-c", "kill -9 $PPID"])
    assert not isinstance(error.value, LostError)
    box.check(["true"])


def test_lost_connection_is_closed(host: HostOf, relay: Relay) -> None:
    with SshRemote(host(port=relay.port)) as box:
        for _ in range(3):
            box.check(["true"])
            relay.cut_on_next_data()
            with suppress(LostError):
                box.check(["true"])
            box.check(["true"])
        assert len([t for t in threading.enumerate() if "paramiko" in type(t).__module__]) == 1


@pytest.mark.parametrize("refused_key", ["key", "host key"])
def test_refused_key_is_not_a_lost_connection(
    sshd: Server, host: HostOf, record_key: RecordKey, tmp_path: Path, refused_key: str
) -> None:
    other = keygen(tmp_path / "other")
    if refused_key == "host key":
        record_key(sshd.name_in_known_hosts, other)
    with SshRemote(host(key_file=other)) as box, pytest.raises(HostError) as error:
        box.check(["true"])
    assert not isinstance(error.value, LostError)


def test_unreachable_host_is_a_lost_connection(host: HostOf) -> None:
    with SshRemote(host(port=free_port())) as box, pytest.raises(LostError):
        box.check(["true"])


def test_failure_prints_nothing_to_stderr() -> None:
    """paramiko logs a traceback, which Python prints unless logging is configured."""
    script = (
        "import sys\n"
        "from fwbench.errors import HostError\n"
        "from fwbench.model.host import Host\n"
        "from fwbench.ssh.remote import SshRemote\n"
        "with SshRemote(Host(name='box', address='127.0.0.1', port=int(sys.argv[1]))) as box:\n"
        "    try:\n"
        "        box.check(['true'])\n"
        "    except HostError as error:\n"
        "        print(error)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(
            target=answer_once, args=(server, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        )
        thread.start()
        argv = [sys.executable, "-c", script, str(server.getsockname()[1])]
        result = subprocess.run(argv, capture_output=True, text=True)
        thread.join()
    assert result.stdout.startswith("box: 127.0.0.1:")
    assert result.stderr == ""


# Jump hosts, proxy commands and the user's SSH configuration


def write_ssh_config(home: Path, text: str) -> None:
    (home / ".ssh").mkdir(exist_ok=True)
    (home / ".ssh" / "config").write_text(text)


def test_host_behind_a_proxy_command_is_reached(sshd: Server, tmp_path: Path) -> None:
    forward = tmp_path / "forward.py"
    forward.write_text(
        "import os, socket, sys, threading\n"
        "upstream = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
        "def copy_to_stdout():\n"
        "    while data := upstream.recv(65536):\n"
        "        os.write(1, data)\n"
        "threading.Thread(target=copy_to_stdout, daemon=True).start()\n"
        "while data := os.read(0, 65536):\n"
        "    upstream.sendall(data)\n"
    )
    write_ssh_config(
        tmp_path,
        f"Host behind\n  ProxyCommand {sys.executable} {forward} {sshd.port}\n",
    )
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from fwbench.model.host import Host\n"
        "from fwbench.ssh.remote import SshRemote\n"
        "with SshRemote(Host(name='box', address='behind', key_file=Path(sys.argv[1]))) as box:\n"
        "    box.check(['true'])\n"
    )
    # In a separate process, because paramiko does not close the pipes of a ProxyCommand.
    argv = [sys.executable, "-c", script, str(sshd.user_key)]
    result = subprocess.run(argv, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("first contact with behind: ")


def write_jump_config(sshd: Server, home: Path, port: int) -> None:
    write_ssh_config(
        home,
        f"Host behind\n  HostName 127.0.0.1\n  ProxyJump {getpass.getuser()}@localhost:{port}\n"
        f"Host *\n  IdentityFile {sshd.user_key}\n",
    )


def test_connecting_over_a_jump_host_records_both_keys(
    sshd: Server, host: HostOf, tmp_path: Path
) -> None:
    write_jump_config(sshd, tmp_path, sshd.port)
    with SshRemote(host(address="behind")) as box:
        box.check(["true"])
    names = [line.split()[0] for line in paths.known_hosts().read_text().splitlines()]
    assert sorted(names) == [f"[127.0.0.1]:{sshd.port}", f"[localhost]:{sshd.port}"]


def test_changed_key_of_a_jump_host_is_refused(
    sshd: Server, host: HostOf, record_key: RecordKey, tmp_path: Path
) -> None:
    write_jump_config(sshd, tmp_path, sshd.port)
    record_key(f"[localhost]:{sshd.port}", keygen(tmp_path / "other"))
    assert "shows another host key than before" in error_message(host(address="behind"))


def recorded_names() -> list[str]:
    return [line.split()[0] for line in paths.known_hosts().read_text().splitlines()]


def test_jump_host_in_the_inventory_uses_the_key_of_the_host(sshd: Server, host: HostOf) -> None:
    jump_host = JumpHost(address="localhost", port=sshd.port, user=getpass.getuser())
    with SshRemote(host(jump_hosts=(jump_host,))) as box:
        box.check(["true"])
        assert box.exists("/")
    assert recorded_names() == [f"[localhost]:{sshd.port}", f"[127.0.0.1]:{sshd.port}"]


def test_jump_hosts_are_used_in_the_order_of_ssh(
    sshd: Server, host: HostOf, tmp_path: Path
) -> None:
    """The nearest comes first; fabric would use them in reverse order."""
    me, port = getpass.getuser(), sshd.port
    jump_hosts = (
        JumpHost(address="localhost", port=port, user=me),
        JumpHost(address="127.1", port=port, user=me),
    )
    expected = [f"[{name}]:{port}" for name in ("localhost", "127.1", "127.0.0.1")]
    with SshRemote(host(jump_hosts=jump_hosts)) as box:
        box.check(["true"])
    assert recorded_names() == expected
    paths.known_hosts().unlink()
    write_ssh_config(
        tmp_path,
        f"Host behind\n  HostName 127.0.0.1\n  ProxyJump {me}@localhost:{port},{me}@127.1:{port}\n",
    )
    with SshRemote(host(address="behind")) as box:
        box.check(["true"])
    assert recorded_names() == expected


def test_inventory_overrides_the_users_ssh_configuration(host: HostOf, tmp_path: Path) -> None:
    write_ssh_config(tmp_path, "Host 127.0.0.1\n  ProxyJump nobody.invalid\n")
    assert "nobody.invalid" in error_message(host())
    with SshRemote(host(jump_hosts=())) as box:
        box.check(["true"])


def test_host_key_is_recorded_under_its_host_key_alias(
    sshd: Server, host: HostOf, tmp_path: Path
) -> None:
    write_ssh_config(tmp_path, "Host 127.0.0.1\n  HostKeyAlias machine-7\n")
    for _ in range(2):  # the second time, the key is recorded
        with SshRemote(host()) as box:
            box.check(["true"])
        assert recorded_names() == ["machine-7"]
    kind, data = Path(f"{sshd.user_key}.pub").read_text().split()[:2]
    paths.known_hosts().write_text(f"machine-7 {kind} {data}\n")
    assert "shows another host key than before" in error_message(host())


@pytest.mark.parametrize("value", ["yes", "/tmp/agent"])
def test_users_forward_agent_setting_is_ignored(host: HostOf, tmp_path: Path, value: str) -> None:
    write_ssh_config(tmp_path, f"Host *\n  ForwardAgent {value}\n")
    with SshRemote(host()) as box:
        box.check(["sh", "-c", 'test -z "$SSH_AUTH_SOCK"'])
        assert not box._connection.forward_agent


@pytest.mark.parametrize("value", ["none", "None"])
def test_proxy_jump_none_means_no_jump_host(host: HostOf, tmp_path: Path, value: str) -> None:
    write_ssh_config(tmp_path, f"Host 127.0.0.1\n  ProxyJump {value}\n")
    with SshRemote(host()) as box:
        box.check(["true"])


def test_failing_jump_host_is_named_in_the_error(
    sshd: Server, host: HostOf, record_key: RecordKey, tmp_path: Path
) -> None:
    jump_host = JumpHost(address="localhost", port=sshd.port, key_file=keygen(tmp_path / "other"))
    assert f"box: localhost:{sshd.port} (a jump host) refuses" in error_message(
        host(jump_hosts=(jump_host,))
    )
    paths.known_hosts().unlink()
    paths.known_hosts().parent.rmdir()
    record_key(f"[localhost]:{sshd.port}", tmp_path / "other")
    message = error_message(host(jump_hosts=(jump_host.model_copy(update={"key_file": None}),)))
    assert f"box: localhost:{sshd.port} (a jump host) shows another host key" in message


def test_remote_reconnects_after_its_jump_host_is_lost(host: HostOf, relay: Relay) -> None:
    jump_host = JumpHost(address="127.0.0.1", port=relay.port, user=getpass.getuser())
    with SshRemote(host(jump_hosts=(jump_host,))) as box:
        box.check(["true"])
        relay.cut_on_next_data()
        with suppress(LostError):  # late data of the first command may have triggered the cut
            box.check(["true"])
        box.check(["true"])
