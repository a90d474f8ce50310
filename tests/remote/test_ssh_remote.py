"""`SshRemote` against a real sshd: what arrives there, and what is said when it goes wrong."""

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
Known = Callable[[str, Path], Path]

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


def refusal(host: Host) -> str:
    """The one sentence with which the first command on a host ends."""
    with SshRemote(host) as box, pytest.raises(HostError) as refused:
        box.check(["true"])
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert sentence.startswith(f"{host.name}: ")
    return sentence


def await_file(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# Commands


def test_the_exit_status_and_the_end_of_stderr_come_back(box: SshRemote) -> None:
    done = box.execute(["sh", "-c", "echo not this; echo this >&2; exit 3"])
    assert (done.exit_status, done.stderr) == (3, "this\n")


def test_a_command_that_must_succeed_and_does_not_is_an_error_with_its_words(
    box: SshRemote,
) -> None:
    with pytest.raises(HostError, match=r"box: `sh -c .*` exited 3: out of luck"):
        box.check(["sh", "-c", "echo out of luck >&2; exit 3"])


def test_a_command_that_fails_in_silence_is_said_to(box: SshRemote) -> None:
    with pytest.raises(HostError, match="box: `false` exited 1: no output"):
        box.check(["false"])


def test_a_program_that_is_missing_is_an_error_that_names_it(box: SshRemote) -> None:
    with pytest.raises(HostError, match="no-such-program"):
        box.check(["no-such-program"])


@pytest.mark.parametrize("argument", HOSTILE)
def test_an_argument_arrives_as_it_was_given(box: SshRemote, tmp_path: Path, argument: str) -> None:
    there = tmp_path / "arguments.json"
    box.check(["python3", "-c", ECHO, str(there), argument])
    assert json.loads(there.read_text()) == [argument]


def test_all_hostile_arguments_arrive_together_and_none_is_executed(
    box: SshRemote, tmp_path: Path
) -> None:
    there = tmp_path / "arguments.json"
    box.check(["env", f"--chdir={tmp_path}", "python3", "-c", ECHO, str(there), *HOSTILE])
    assert json.loads(there.read_text()) == list(HOSTILE)
    assert not (tmp_path / "pwned").exists()


def test_a_command_is_run_within_a_folder_of_its_users_own(box: SshRemote, tmp_path: Path) -> None:
    folder = tmp_path / "it's mine"
    folder.mkdir(mode=0o700)
    box.check(["touch", "here"], within=PurePosixPath(folder))
    assert (folder / "here").exists()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_no_command_is_run_within_a_folder_that_others_can_enter(
    box: SshRemote, tmp_path: Path, mode: int
) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(HostError, match=f"{tmp_path} is not the folder that fwbench made"):
        box.check(["touch", "here"], within=PurePosixPath(tmp_path))
    assert list(tmp_path.glob("here")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_no_command_is_run_within_a_folder_of_another_user(box: SshRemote, tmp_path: Path) -> None:
    folder = tmp_path / "his"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    with pytest.raises(HostError, match=f"{folder} is not the folder that fwbench made"):
        box.check(["touch", "here"], within=PurePosixPath(folder))
    assert list(folder.iterdir()) == []


def test_no_command_is_run_within_a_folder_that_is_gone(box: SshRemote, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="or no longer exists"):
        box.check(["true"], within=PurePosixPath(tmp_path / "gone"))


def test_a_command_over_its_time_is_ended_on_the_host_itself(
    box: SshRemote, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    hang = f"echo $$ > {shlex.quote(str(pid_file))}; exec sleep 60"
    with pytest.raises(HostError, match=r"took over 0\.5 s"):
        box.check(["sh", "-c", hang], timeout_s=0.5)
    assert not is_alive(int(pid_file.read_text()))


def test_the_connection_is_usable_after_a_command_over_its_time(box: SshRemote) -> None:
    assert box.execute(["sleep", "60"], timeout_s=0.1).exit_status == 124
    box.check(["true"])


def test_two_megabytes_on_both_outputs_do_not_block(box: SshRemote) -> None:
    flood = "import sys; sys.stdout.write('o' * 2**21); sys.stderr.write('e' * 2**21)"
    done = box.execute(["python3", "-c", flood])
    assert done.exit_status == 0
    assert done.stderr == "e" * 4000


def test_of_a_commands_outputs_no_more_is_read_than_16_mib(
    box: SshRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connection._BoundedRunner._remaining_bytes == 16 << 20
    monkeypatch.setattr(connection._BoundedRunner, "_remaining_bytes", 1 << 16)
    flood = "import sys; sys.stderr.write('e' * {}); sys.stderr.write('the end')"
    assert box.execute(["python3", "-c", flood.format(1 << 10)]).stderr.endswith("the end")
    assert not box.execute(["python3", "-c", flood.format(1 << 20)]).stderr.endswith("the end")


def test_bytes_that_are_no_text_do_no_harm(box: SshRemote) -> None:
    done = box.execute(["python3", "-c", r"import sys; sys.stderr.buffer.write(b'\xff\xfe!')"])
    assert done.stderr.endswith("!")


def test_commands_do_not_wait_for_more_to_send(box: SshRemote) -> None:
    """Nagle's algorithm costs 40 ms a command, which paramiko leaves on."""
    box.check(["true"])
    sock = box._connection.transport.sock
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def sudo(folder: Path, script: str) -> Path:
    program = folder / "sudo"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def programs(sshd: Server) -> Iterator[Path]:
    """A folder in which the server looks for programs first; empty again afterwards."""
    yield sshd.programs
    for program in sshd.programs.iterdir():
        program.unlink()


# What sudo says where a host does not know its own name, in two languages
WARNINGS = (
    "sudo: unable to resolve host vm: Name or service not known",
    "sudo: kann Host vm nicht auflösen: Der Name oder der Dienst ist nicht bekannt",
)
LETS_IN = 'shift 2; exec "$@"'  # what sudo -n -- does


def test_sudo_never_asks_and_takes_the_command_for_no_option(
    box: SshRemote, programs: Path, tmp_path: Path
) -> None:
    there = tmp_path / "arguments"
    sudo(programs, f'printf "%s\\n" "$1" "$2" > {there}; {LETS_IN}')
    box.check(["true", "-n"], timeout_s=7, sudo=True)
    assert there.read_text().splitlines() == ["-n", "--"]


@pytest.mark.parametrize("argument", HOSTILE)
def test_an_argument_arrives_under_sudo_as_it_was_given(
    box: SshRemote, programs: Path, tmp_path: Path, argument: str
) -> None:
    sudo(programs, LETS_IN)
    there = tmp_path / "arguments.json"
    box.check(["python3", "-c", ECHO, str(there), argument], sudo=True)
    assert json.loads(there.read_text()) == [argument]


@pytest.mark.parametrize("words", ["sudo: a password is required", "sudo: ein Passwort ist nötig"])
@pytest.mark.parametrize("status", [1, 2])
def test_sudo_that_wants_a_password_is_an_error_that_says_what_to_do(
    box: SshRemote, programs: Path, host: HostOf, words: str, status: int
) -> None:
    sudo(programs, f"echo '{WARNINGS[0]}' >&2; echo '{words}' >&2; exit {status}")
    with pytest.raises(
        HostError, match=f"box: sudo does not let {host().user} run .*{words}.*NOPASSWD"
    ) as refused:
        box.execute(["true"], sudo=True)
    assert "\n" not in str(refused.value)


def test_sudo_that_executes_nothing_is_an_error_whatever_its_exit_status(
    box: SshRemote, programs: Path
) -> None:
    sudo(programs, "exit 0")
    with pytest.raises(HostError, match=r"box: sudo does not let .* run .*no output"):
        box.execute(["true"], sudo=True)


@pytest.mark.parametrize("warning", WARNINGS)
def test_what_sudo_warns_of_is_not_taken_for_the_commands_words(
    box: SshRemote, programs: Path, warning: str
) -> None:
    sudo(programs, f"echo '{warning}' >&2; {LETS_IN}")
    for status in (0, 1):
        done = box.execute(["sh", "-c", f"echo mine >&2; exit {status}"], sudo=True)
        assert (done.exit_status, done.stderr) == (status, "mine\n")
    with pytest.raises(HostError, match="`false` exited 1: no output"):
        box.check(["false"], sudo=True)


def test_a_warning_without_the_end_of_its_line_is_told_apart_too(
    box: SshRemote, programs: Path
) -> None:
    sudo(programs, f"printf warning >&2; {LETS_IN}")
    assert box.execute(["sh", "-c", "echo mine >&2"], sudo=True).stderr == "mine\n"


def test_a_command_that_says_what_sudo_says_is_not_blamed_on_sudo(
    box: SshRemote, programs: Path
) -> None:
    sudo(programs, LETS_IN)
    script = "echo 'sudo: a password is required' >&2; exit 1"
    done = box.execute(["sh", "-c", script], sudo=True)
    assert (done.exit_status, done.stderr) == (1, "sudo: a password is required\n")


def test_a_program_that_is_missing_is_not_blamed_on_sudo(box: SshRemote, programs: Path) -> None:
    sudo(programs, f"echo '{WARNINGS[0]}' >&2; {LETS_IN}")
    done = box.execute(["no-such-program"], sudo=True)
    assert done.exit_status == 127
    assert "no-such-program" in done.stderr
    assert "resolve" not in done.stderr


def test_a_command_over_its_time_under_sudo_is_ended_on_the_host_itself(
    box: SshRemote, programs: Path, tmp_path: Path
) -> None:
    sudo(programs, f"echo '{WARNINGS[0]}' >&2; {LETS_IN}")
    pid_file = tmp_path / "pid"
    hang = f"echo $$ > {shlex.quote(str(pid_file))}; exec sleep 60"
    with pytest.raises(HostError, match=r"took over 0\.5 s"):
        box.check(["sh", "-c", hang], timeout_s=0.5, sudo=True)
    assert not is_alive(int(pid_file.read_text()))


def test_a_command_that_is_killed_under_sudo_is_said_to_be(box: SshRemote, programs: Path) -> None:
    sudo(programs, LETS_IN)
    kill = "kill -KILL $PPID"  # `timeout`, which sudo started
    with pytest.raises(HostError, match="was killed on the host") as killed:
        box.execute(["sh", "-c", kill], sudo=True)
    assert not isinstance(killed.value, LostError)


def test_a_login_of_root_does_without_sudo(host: HostOf, programs: Path, tmp_path: Path) -> None:
    sudo(programs, "exit 9")
    with SshRemote(host(become=False)) as box:
        box.check(["touch", str(tmp_path / "there")], sudo=True)
    assert (tmp_path / "there").exists()


def test_a_host_without_sudo_is_told_what_to_do(box: SshRemote, programs: Path) -> None:
    sudo(programs, "echo 'sh: 1: sudo: not found' >&2; exit 127")
    with pytest.raises(HostError, match=r"box: there is no sudo; install it, or .* as root with"):
        box.check(["true"], sudo=True)


# Files


def test_a_file_comes_back_as_it_was_put(box: SshRemote, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    there, back = tmp_path / "a b;$(c) ü", tmp_path / "back"
    box.put(content, str(there))
    box.get(str(there), back)
    assert there.read_bytes() == back.read_bytes() == content


def test_a_file_that_is_put_is_its_owners_alone(box: SshRemote, tmp_path: Path) -> None:
    there = tmp_path / "private"
    box.put(b"x", str(there))
    assert stat.S_IMODE(there.stat().st_mode) == 0o600


def test_putting_again_leaves_nothing_of_the_longer_file_before(
    box: SshRemote, tmp_path: Path
) -> None:
    there = tmp_path / "file"
    box.put(b"longer", str(there))
    box.put(b"short", str(there))
    assert there.read_bytes() == b"short"


def test_a_file_exists_or_not(box: SshRemote, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    assert box.exists(str(tmp_path / "there"))
    assert not box.exists(str(tmp_path / "nowhere"))
    assert not box.exists(str(tmp_path / "nowhere" / "at all"))


def test_a_file_over_the_limit_is_not_fetched(box: SshRemote, tmp_path: Path) -> None:
    (tmp_path / "ten").write_bytes(b"0123456789")
    (tmp_path / "eleven").write_bytes(b"0123456789a")
    box.get(str(tmp_path / "ten"), tmp_path / "back", limit_bytes=10)
    with pytest.raises(HostError, match=r"box: .*eleven has 11 bytes, more than fwbench fetches"):
        box.get(str(tmp_path / "eleven"), tmp_path / "not-back", limit_bytes=10)
    assert not (tmp_path / "not-back").exists()


def test_a_missing_file_is_an_error_that_names_it(box: SshRemote, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    with pytest.raises(HostError, match=f"box: .*{nowhere}"):
        box.get(nowhere, tmp_path / "back")


def test_a_folder_that_is_missing_is_an_error_that_names_the_file(
    box: SshRemote, tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "nowhere" / "file")
    with pytest.raises(HostError, match=f"box: .*{nowhere}"):
        box.put(b"", nowhere)


def test_what_is_wrong_with_a_file_is_not_blamed_on_ssh(box: SshRemote, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=f"box: .*{tmp_path}") as refused:
        box.put(b"", str(tmp_path))
    assert "does not answer" not in str(refused.value)


def test_a_file_that_cannot_be_written_here_is_no_fault_of_the_host(
    box: SshRemote, tmp_path: Path
) -> None:
    (tmp_path / "there").write_bytes(b"x")
    with pytest.raises(
        SessionError, match=r"^/dev/full cannot be written: No space left on device"
    ):
        box.get(str(tmp_path / "there"), Path("/dev/full"))
    assert box.exists(str(tmp_path / "there"))


# Host keys


def test_the_first_contact_records_the_key(sshd: Server, host: HostOf) -> None:
    with SshRemote(host()) as box:
        box.check(["true"])
    kind, key = Path(f"{sshd.host_key}.pub").read_text().split()[:2]
    assert paths.known_hosts().read_text() == f"{sshd.name_in_known_hosts} {kind} {key}\n"


def test_the_key_of_the_first_contact_is_shown(sshd: Server, host: HostOf, tmp_path: Path) -> None:
    """By the program itself, with the fingerprint that ssh-keygen prints of the server's key."""
    own = {
        "ansible_port": sshd.port,
        "ansible_user": host().user,
        "ansible_ssh_private_key_file": str(sshd.user_key),
    }
    groups = {
        "targets": {"hosts": {"t": own | {"ansible_host": "127.0.0.1"}}},
        "clients": {"hosts": {"c": own | {"ansible_host": "127.1"}}},
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"children": groups}}))
    program = "from fwbench.cli.main import main; main()"
    argv = [sys.executable, "-c", program, "doctor", "--inventory", str(inventory)]
    shown = " ".join(subprocess.run(argv, capture_output=True, text=True).stderr.split())
    listed = subprocess.run(
        ["ssh-keygen", "-l", "-f", sshd.host_key], capture_output=True, text=True, check=True
    )
    fingerprint = listed.stdout.split()[1]
    assert (
        f"first contact with {sshd.name_in_known_hosts}: recorded its host key"
        f" ssh-ed25519 {fingerprint} in {paths.known_hosts()}"
    ) in shown


def test_the_second_contact_records_nothing(host: HostOf) -> None:
    for _ in range(2):
        with SshRemote(host()) as box:
            box.check(["true"])
    assert len(paths.known_hosts().read_text().splitlines()) == 1


def test_a_key_that_the_inventory_knows_is_not_recorded(
    sshd: Server, host: HostOf, known: Known, tmp_path: Path
) -> None:
    named = known(sshd.name_in_known_hosts, sshd.host_key).rename(tmp_path / "known_hosts")
    with SshRemote(host(known_hosts=named)) as box:
        box.check(["true"])
    assert not paths.known_hosts().exists()


def test_a_key_that_the_user_knows_is_not_recorded(
    sshd: Server, host: HostOf, known: Known, tmp_path: Path
) -> None:
    (tmp_path / ".ssh").mkdir()
    known(sshd.name_in_known_hosts, sshd.host_key).rename(tmp_path / ".ssh" / "known_hosts")
    with SshRemote(host()) as box:
        box.check(["true"])
    assert not paths.known_hosts().exists()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_another_key_than_before_is_refused(
    sshd: Server, host: HostOf, known: Known, tmp_path: Path, kind: str
) -> None:
    """Of the same kind as of another: a stranger can choose what kind it shows."""
    file = known(sshd.name_in_known_hosts, keygen(tmp_path / "other", kind))
    before = file.read_text()
    sentence = refusal(host())
    assert f"127.0.0.1:{sshd.port} shows another host key than before" in sentence
    assert f"remove its line from {file}" in sentence
    assert file.read_text() == before


def test_a_host_keeps_its_key_for_as_long_as_the_session_whatever_becomes_of_the_files(
    sshd: Server, host: HostOf, tmp_path: Path
) -> None:
    with SshRemote(host()) as box:
        box.check(["true"])
        other = Path(f"{keygen(tmp_path / 'other')}.pub").read_text().split()[:2]
        paths.known_hosts().write_text(f"{sshd.name_in_known_hosts} {' '.join(other)}\n")
        sshd.kill_sessions()
        with suppress(LostError):
            box.check(["true"])
        box.check(["true"])


def test_another_key_after_a_lost_connection_is_refused_though_nothing_is_recorded(
    host: HostOf, tmp_path: Path
) -> None:
    """Somebody else answers at its address, and the record of the first contact is gone."""
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


def test_two_that_meet_a_host_at_once_must_meet_the_same(
    sshd: Server, host: HostOf, known: Known, tmp_path: Path
) -> None:
    with SshRemote(host()) as box:  # it has read the files, and found none
        known(sshd.name_in_known_hosts, keygen(tmp_path / "other"))
        with pytest.raises(HostError, match="shows another host key than before"):
            box.check(["true"])
    assert len(paths.known_hosts().read_text().splitlines()) == 1


@pytest.mark.parametrize("of_user", [".ssh/known_hosts", "state/fwbench/known_hosts"])
@pytest.mark.parametrize("right", ["user", "inventory"])
def test_files_that_contradict_each_other_are_named_and_neither_is_believed(
    sshd: Server, host: HostOf, tmp_path: Path, of_user: str, right: str
) -> None:
    keys = [sshd.host_key, keygen(tmp_path / "other")]
    files = [tmp_path / of_user, tmp_path / "of-inventory"]
    for path, key in zip(files, keys if right == "user" else reversed(keys), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{sshd.name_in_known_hosts} {key_of(key)}\n")
    with pytest.raises(HostKeyError) as refused:
        SshRemote(host(known_hosts=files[1]))
    assert str(refused.value).startswith(
        f"box: {files[0]} and {files[1]} contain different ssh-ed25519 keys of"
        f" {sshd.name_in_known_hosts} (SHA256:"
    )


def test_an_inventory_adds_no_key_to_those_that_the_user_knows(
    sshd: Server, host: HostOf, known: Known, tmp_path: Path
) -> None:
    """A stranger can choose what kind of key it shows."""
    known(sshd.name_in_known_hosts, keygen(tmp_path / "other", "rsa"))
    file = tmp_path / "of-inventory"
    file.write_text(f"{sshd.name_in_known_hosts} {key_of(sshd.host_key)}\n")
    assert "shows another host key than before" in refusal(host(known_hosts=file))


def key_of(path: Path) -> str:
    return " ".join(Path(f"{path}.pub").read_text().split()[:2])


@pytest.mark.parametrize("line", [b"elsewhere ssh-ed25519 A\n", b"\xff\xfe\n"])
def test_a_broken_line_of_known_hosts_is_an_error_that_names_it(
    host: HostOf, tmp_path: Path, line: bytes
) -> None:
    """The lines after it would not be read, so that another key than before were let in."""
    file = tmp_path / "known_hosts"
    file.write_bytes(line)
    with pytest.raises(
        HostError, match=rf"box: {file} has a line that is not a host key: b?'.{{6}}"
    ):
        SshRemote(host(known_hosts=file))


def test_a_pipe_in_the_place_of_known_hosts_is_not_waited_for(host: HostOf, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "known")
    opener = threading.Timer(5, lambda: (tmp_path / "known").open("w").close())
    opener.start()  # what is waited for comes to an end, and the test fails
    with pytest.raises(HostError, match=f"box: {tmp_path / 'known'} is a pipe; replace it by a"):
        SshRemote(host(known_hosts=tmp_path / "known"))
    opener.cancel()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".ssh/config", b"Host\n"),
        (".ssh/config", b"\xff\n"),
        (".fabric.yml", b"x: [\n"),
    ],
    ids=["no host", "no text", "no YAML"],
)
def test_a_configuration_of_the_user_that_cannot_be_read_is_one_sentence(
    host: HostOf, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HostError, match=r"^box: your SSH configuration \(~/.ssh/config, .*\Z"):
        SshRemote(host())


def test_known_hosts_that_cannot_be_read_are_an_error_that_names_them(
    host: HostOf, tmp_path: Path
) -> None:
    with pytest.raises(HostError, match=f"box: .*{tmp_path}"):
        SshRemote(host(known_hosts=tmp_path))


# What goes wrong with a connection


def test_a_key_that_is_not_let_in(host: HostOf, tmp_path: Path) -> None:
    other = keygen(tmp_path / "other")
    sentence = refusal(host(key_file=other))
    assert f"refuses the login of {host().user} with {other}" in sentence


def test_no_key_at_all(host: HostOf) -> None:
    assert "the keys of your agent and ~/.ssh" in refusal(host(key_file=None))


def test_a_key_that_is_locked(host: HostOf, tmp_path: Path) -> None:
    locked = keygen(tmp_path / "locked", passphrase="opensesame")
    assert str(locked) in refusal(host(key_file=locked))


def test_a_key_file_that_is_missing(host: HostOf, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert str(nowhere) in refusal(host(key_file=nowhere))


def test_a_key_file_that_is_none(host: HostOf, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_text("not a key\n")
    assert str(garbage) in refusal(host(key_file=garbage))


def test_a_port_at_which_nobody_listens(host: HostOf) -> None:
    port = free_port()
    assert f"127.0.0.1:{port} does not answer SSH: " in refusal(host(port=port))


def test_a_name_that_nobody_has(host: HostOf) -> None:
    assert "nobody.invalid:" in refusal(host(address="nobody.invalid"))


def test_a_port_that_accepts_and_says_nothing(
    host: HostOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert f"127.0.0.1:{port} does not answer SSH: " in refusal(host(port=port))


def test_a_server_of_something_else(host: HostOf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=greet, args=(server, b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        thread.start()
        sentence = refusal(host(port=server.getsockname()[1]))
        thread.join()
    assert "does not answer SSH: " in sentence


def greet(server: socket.socket, words: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(words)
        connection.recv(1000)


@pytest.mark.parametrize(
    "prints", ["echo Welcome", r"printf '\000\000\000\001\002'"], ids=["words", "half a packet"]
)
def test_a_login_shell_that_prints_before_sftp_begins(
    host: HostOf, tmp_path: Path, prints: str
) -> None:
    noisy = tmp_path / "noisy"
    noisy.write_text(f"#!/bin/sh\n{prints}\nexec cat\n")
    noisy.chmod(0o755)
    server = Server(tmp_path, sftp=str(noisy))
    of = host(port=server.port, key_file=server.user_key)
    with server.running(), SshRemote(of) as box, pytest.raises(HostError) as refused:
        box.put(b"", str(tmp_path / "file"))
    assert f"box: 127.0.0.1:{server.port} does not speak SFTP" in str(refused.value)
    assert "~/.bashrc" in str(refused.value)
    assert not isinstance(refused.value, LostError)


def test_a_connection_that_is_lost_during_a_command(
    host: HostOf, relay: Relay, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"

    def cut_once_begun() -> None:
        await_file(begun)
        relay.cut()

    thread = threading.Thread(target=cut_once_begun)
    with SshRemote(host(port=relay.port)) as box:
        thread.start()
        with pytest.raises(HostError, match="box: the connection was lost during `sh -c"):
            box.check(["sh", "-c", f"touch {begun}; sleep 5"], timeout_s=5)
        thread.join()


def test_a_host_is_usable_again_after_a_lost_connection(
    host: HostOf, relay: Relay, tmp_path: Path
) -> None:
    here = str(tmp_path / "here")
    with SshRemote(host(port=relay.port)) as box:
        box.put(b"x", here)
        relay.cut_on_next_data()
        with pytest.raises(HostError):
            box.exists(here)
        box.check(["true"])
        assert box.exists(here)


@pytest.mark.parametrize("act", ["put", "get", "exists"])
def test_a_connection_that_is_lost_during_a_transfer(
    host: HostOf, relay: Relay, tmp_path: Path, act: str
) -> None:
    (tmp_path / "here").touch()
    with SshRemote(host(port=relay.port)) as box:
        assert box.exists(str(tmp_path / "here"))
        relay.cut_on_next_data()
        acts = {
            "put": lambda: box.put(b"x" * 10**6, str(tmp_path / "there")),
            "get": lambda: box.get(str(tmp_path / "here"), tmp_path / "back"),
            "exists": lambda: box.exists(str(tmp_path / "here")),
        }
        with pytest.raises(HostError, match=r"box: [^\n]+$"):
            acts[act]()


def test_a_host_that_hangs_during_a_command(
    host: HostOf, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENCE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.3)
    with SshRemote(host(port=relay.port)) as box:
        box.check(["true"])
        relay.freeze()
        with pytest.raises(HostError, match=f"box: 127.0.0.1:{relay.port} "):
            box.check(["true"], timeout_s=0.1)


def test_a_host_that_hangs_before_files_are_asked_for(
    host: HostOf, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENCE_TIMEOUT_S", 0.3)
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.5)
    with SshRemote(host(port=relay.port)) as box:
        box.check(["true"])
        relay.freeze()
        with pytest.raises(LostError, match=f"box: 127.0.0.1:{relay.port} "):
            box.exists("/")


@pytest.mark.parametrize("act", ["put", "get", "exists", "check"])
def test_a_host_that_hangs_once_it_is_connected(
    sshd: Server, host: HostOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """Its kernel goes on acknowledging: nothing but the lack of answers tells."""
    (tmp_path / "here").write_bytes(b"x")
    with SshRemote(host()) as box:
        assert box.exists(str(tmp_path / "here"))
        monkeypatch.setattr(connection, "SILENCE_TIMEOUT_S", 0.5)
        box._connection.files()
        sshd.kill_sessions(signal.SIGSTOP)
        began = time.monotonic()
        try:
            with pytest.raises(LostError, match=r"box: [^\n]+$"):
                acting(box, act, tmp_path)
        finally:
            sshd.kill_sessions()
        assert time.monotonic() - began < 8
        acting(box, act, tmp_path)


def acting(box: SshRemote, act: str, folder: Path) -> None:
    acts = {
        "put": lambda: box.put(b"x" * 10**6, str(folder / "there")),
        "get": lambda: box.get(str(folder / "here"), folder / "back"),
        "exists": lambda: box.exists(str(folder / "here")),
        "check": lambda: box.check(["true"], timeout_s=0.5),
    }
    acts[act]()


@pytest.mark.parametrize("act", ["put", "get", "exists", "check"])
def test_after_its_session_was_killed_the_next_call_but_one_works(
    sshd: Server, host: HostOf, tmp_path: Path, act: str
) -> None:
    (tmp_path / "here").write_bytes(b"x")
    with SshRemote(host()) as box:
        acting(box, act, tmp_path)
        for _ in range(3):
            assert sshd.kill_sessions()
            try:
                acting(box, act, tmp_path)  # where it was seen in time, it has connected anew
            except LostError:
                acting(box, act, tmp_path)


def test_a_loss_that_was_seen_in_time_costs_nothing(
    sshd: Server, box: SshRemote, tmp_path: Path
) -> None:
    assert box.exists(str(tmp_path))
    sshd.kill_sessions()
    deadline = time.monotonic() + 10
    while box._connection.is_connected:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert box.exists(str(tmp_path))


def test_a_host_that_hangs_while_a_command_is_at_work(
    sshd: Server, host: HostOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = tmp_path / "begun"
    monkeypatch.setattr(connection, "SILENCE_TIMEOUT_S", 1)

    def stop_once_begun() -> None:
        await_file(begun)
        sshd.kill_sessions(signal.SIGSTOP)

    thread = threading.Thread(target=stop_once_begun)
    with SshRemote(host()) as box:
        box.check(["true"])
        thread.start()
        began = time.monotonic()
        try:
            with pytest.raises(LostError, match=f"box: 127.0.0.1:{sshd.port} stopped answering"):
                box.check(["sh", "-c", f"touch {begun}; sleep 20"], timeout_s=1)
        finally:
            thread.join()
            sshd.kill_sessions()
        assert time.monotonic() - began < 8
        box.check(["true"])


def test_a_session_that_is_killed_during_a_command(
    sshd: Server, host: HostOf, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"

    def kill_once_begun() -> None:
        await_file(begun)
        sshd.kill_sessions()

    thread = threading.Thread(target=kill_once_begun)
    with SshRemote(host()) as box:
        thread.start()
        with pytest.raises(LostError, match="box: the connection was lost during `sh -c"):
            box.check(["sh", "-c", f"touch {begun}; sleep 5"], timeout_s=5)
        thread.join()
        box.check(["true"])


def test_a_command_that_is_killed_is_not_blamed_on_the_connection(box: SshRemote) -> None:
    with pytest.raises(HostError, match=r"box: `sh -c .* was killed on the host") as killed:
        box.check(["sh", "-c", "kill -9 $PPID"])
    assert not isinstance(killed.value, LostError)
    box.check(["true"])


def test_a_connection_that_was_lost_is_not_left_open(host: HostOf, relay: Relay) -> None:
    with SshRemote(host(port=relay.port)) as box:
        for _ in range(3):
            box.check(["true"])
            relay.cut_on_next_data()
            with suppress(LostError):
                box.check(["true"])
            box.check(["true"])
        assert len([t for t in threading.enumerate() if "paramiko" in type(t).__module__]) == 1


@pytest.mark.parametrize("refuse", ["key", "host key"])
def test_what_a_host_refuses_is_not_to_be_asked_again(
    sshd: Server, host: HostOf, known: Known, tmp_path: Path, refuse: str
) -> None:
    other = keygen(tmp_path / "other")
    if refuse == "host key":
        known(sshd.name_in_known_hosts, other)
    with SshRemote(host(key_file=other)) as box, pytest.raises(HostError) as refused:
        box.check(["true"])
    assert not isinstance(refused.value, LostError)


def test_a_host_that_does_not_answer_may_be_asked_again(host: HostOf) -> None:
    with SshRemote(host(port=free_port())) as box, pytest.raises(LostError):
        box.check(["true"])


def test_what_goes_wrong_is_printed_by_nobody_but_the_caller() -> None:
    """paramiko logs a traceback, which Python prints where nobody has set up logging."""
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
        thread = threading.Thread(target=greet, args=(server, b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        thread.start()
        argv = [sys.executable, "-c", script, str(server.getsockname()[1])]
        done = subprocess.run(argv, capture_output=True, text=True)
        thread.join()
    assert done.stdout.startswith("box: 127.0.0.1:")
    assert done.stderr == ""


# Ways round


def write_ssh_config(home: Path, text: str) -> None:
    (home / ".ssh").mkdir(exist_ok=True)
    (home / ".ssh" / "config").write_text(text)


def test_a_host_behind_a_command_is_reached(sshd: Server, tmp_path: Path) -> None:
    forward = tmp_path / "forward.py"
    forward.write_text(
        "import os, socket, sys, threading\n"
        "far = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
        "def out():\n"
        "    while data := far.recv(65536):\n"
        "        os.write(1, data)\n"
        "threading.Thread(target=out, daemon=True).start()\n"
        "while data := os.read(0, 65536):\n"
        "    far.sendall(data)\n"
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
    # In a process of its own, since paramiko leaves the pipes of a ProxyCommand unclosed.
    argv = [sys.executable, "-c", script, str(sshd.user_key)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("first contact with behind: ")


def jump(sshd: Server, home: Path, port: int) -> None:
    write_ssh_config(
        home,
        f"Host behind\n  HostName 127.0.0.1\n  ProxyJump {getpass.getuser()}@localhost:{port}\n"
        f"Host *\n  IdentityFile {sshd.user_key}\n",
    )


def test_a_host_behind_another_is_reached_and_both_keys_are_recorded(
    sshd: Server, host: HostOf, tmp_path: Path
) -> None:
    jump(sshd, tmp_path, sshd.port)
    with SshRemote(host(address="behind")) as box:
        box.check(["true"])
    names = [line.split()[0] for line in paths.known_hosts().read_text().splitlines()]
    assert sorted(names) == [f"[127.0.0.1]:{sshd.port}", f"[localhost]:{sshd.port}"]


def test_another_key_of_the_host_in_between_is_refused(
    sshd: Server, host: HostOf, known: Known, tmp_path: Path
) -> None:
    jump(sshd, tmp_path, sshd.port)
    known(f"[localhost]:{sshd.port}", keygen(tmp_path / "other"))
    assert "shows another host key than before" in refusal(host(address="behind"))


def names_met() -> list[str]:
    return [line.split()[0] for line in paths.known_hosts().read_text().splitlines()]


def test_a_jump_that_the_inventory_names_is_taken_with_the_hosts_own_key(
    sshd: Server, host: HostOf
) -> None:
    hop = JumpHost(address="localhost", port=sshd.port, user=getpass.getuser())
    with SshRemote(host(jump_hosts=(hop,))) as box:
        box.check(["true"])
        assert box.exists("/")
    assert names_met() == [f"[localhost]:{sshd.port}", f"[127.0.0.1]:{sshd.port}"]


def test_hops_are_taken_in_the_order_in_which_ssh_takes_them(
    sshd: Server, host: HostOf, tmp_path: Path
) -> None:
    """The nearest first; fabric would take them the other way round."""
    me, port = getpass.getuser(), sshd.port
    two = (
        JumpHost(address="localhost", port=port, user=me),
        JumpHost(address="127.1", port=port, user=me),
    )
    expected = [f"[{name}]:{port}" for name in ("localhost", "127.1", "127.0.0.1")]
    with SshRemote(host(jump_hosts=two)) as box:
        box.check(["true"])
    assert names_met() == expected
    paths.known_hosts().unlink()
    write_ssh_config(
        tmp_path,
        f"Host behind\n  HostName 127.0.0.1\n  ProxyJump {me}@localhost:{port},{me}@127.1:{port}\n",
    )
    with SshRemote(host(address="behind")) as box:
        box.check(["true"])
    assert names_met() == expected


def test_the_inventory_goes_before_the_users_configuration(host: HostOf, tmp_path: Path) -> None:
    write_ssh_config(tmp_path, "Host 127.0.0.1\n  ProxyJump nobody.invalid\n")
    assert "nobody.invalid" in refusal(host())
    with SshRemote(host(jump_hosts=())) as box:
        box.check(["true"])


def test_an_alias_of_the_users_configuration_is_the_name_of_the_key(
    sshd: Server, host: HostOf, tmp_path: Path
) -> None:
    write_ssh_config(tmp_path, "Host 127.0.0.1\n  HostKeyAlias machine-7\n")
    for _ in range(2):  # the second time it is known
        with SshRemote(host()) as box:
            box.check(["true"])
        assert names_met() == ["machine-7"]
    kind, data = Path(f"{sshd.user_key}.pub").read_text().split()[:2]
    paths.known_hosts().write_text(f"machine-7 {kind} {data}\n")
    assert "shows another host key than before" in refusal(host())


@pytest.mark.parametrize("value", ["yes", "/tmp/agent"])
def test_no_agent_is_forwarded_whatever_the_users_configuration_says(
    host: HostOf, tmp_path: Path, value: str
) -> None:
    write_ssh_config(tmp_path, f"Host *\n  ForwardAgent {value}\n")
    with SshRemote(host()) as box:
        box.check(["sh", "-c", 'test -z "$SSH_AUTH_SOCK"'])
        assert not box._connection.forward_agent


@pytest.mark.parametrize("value", ["none", "None"])
def test_a_jump_of_none_in_the_users_configuration_is_none(
    host: HostOf, tmp_path: Path, value: str
) -> None:
    write_ssh_config(tmp_path, f"Host 127.0.0.1\n  ProxyJump {value}\n")
    with SshRemote(host()) as box:
        box.check(["true"])


def test_a_hop_that_shows_another_key_or_lets_nobody_in_is_named(
    sshd: Server, host: HostOf, known: Known, tmp_path: Path
) -> None:
    hop = JumpHost(address="localhost", port=sshd.port, key_file=keygen(tmp_path / "other"))
    assert f"box: localhost:{sshd.port} (a jump host) refuses" in refusal(host(jump_hosts=(hop,)))
    paths.known_hosts().unlink()
    paths.known_hosts().parent.rmdir()
    known(f"[localhost]:{sshd.port}", tmp_path / "other")
    sentence = refusal(host(jump_hosts=(hop.model_copy(update={"key_file": None}),)))
    assert f"box: localhost:{sshd.port} (a jump host) shows another host key" in sentence


def test_a_host_behind_a_hop_is_reached_again_after_the_hop_was_cut(
    host: HostOf, relay: Relay
) -> None:
    hop = JumpHost(address="127.0.0.1", port=relay.port, user=getpass.getuser())
    with SshRemote(host(jump_hosts=(hop,))) as box:
        box.check(["true"])
        relay.cut_on_next_data()
        with suppress(LostError):  # a late word of the first command may have ended it already
            box.check(["true"])
        box.check(["true"])
