"""Which hosts a command uses, and the confirmation before it changes them."""

import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pexpect
import pytest
from click.testing import CliRunner, Result

from fwbench.cli import inventory as options
from fwbench.cli.main import main
from fwbench.errors import LostError
from fwbench.ssh.remote import SshRemote

HOSTS = (
    "all: {children: {targets: {hosts: {t1: {fwbench_load_address: 192.0.2.1}}},"
    " clients: {hosts: {c1: , c2: }}}}\n"
)
LISTING = {
    "_meta": {"hostvars": {"t1": {"fwbench_load_address": "192.0.2.1"}}},
    "targets": {"hosts": ["t1"]},
    "clients": {"hosts": ["c1", "c2"]},
}
VARIABLES = ("FWBENCH_INVENTORY", "ANSIBLE_INVENTORY")
CHANGING_COMMANDS = ("provision", "teardown", "prune")


@pytest.fixture(autouse=True)
def _isolated_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use a folder with an inventory, unset the user's inventory, restore signal handlers."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hosts.yml").write_text(HOSTS)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def logins(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the hosts to which a command tries to log in; every login fails."""
    logins: list[str] = []

    def refuse(remote: SshRemote) -> None:
        logins.append(remote.name)
        raise LostError(f"{remote.name}: connection refused")

    monkeypatch.setattr(SshRemote, "__enter__", refuse)
    monkeypatch.setattr("fwbench.provisioning.inventory.list_inventory", lambda _: LISTING)
    return logins


def fwbench(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=answer)


def plan(*arguments: str) -> Result:
    result = fwbench("run", "smoke", "--dry-run", *arguments)
    assert result.exit_code == 0, result.stderr
    return result


# Which inventory


def test_inventories_are_merged_and_may_be_host_lists() -> None:
    Path("more.yml").write_text("targets: {hosts: {t2: }}\n")
    assert "on 2 rigs" in plan("-i", "hosts.yml", "-i", "more.yml").stdout
    chosen = ("--targets", "a, b", "--clients", "c", "--clients", "d")
    assert "on 2 rigs" in plan("-i", "a,b,c,d", *chosen).stdout


def test_option_overrides_fwbench_and_ansible_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("own.yml").write_text(HOSTS.replace("t1:", "own:"))
    Path("theirs.yml").write_text(HOSTS.replace("t1:", "theirs:"))
    monkeypatch.setenv("ANSIBLE_INVENTORY", "theirs.yml")
    result = plan()
    assert "rig theirs" in result.stdout
    assert result.stderr == "using the inventory theirs.yml (from ANSIBLE_INVENTORY)\n"
    monkeypatch.setenv("FWBENCH_INVENTORY", "own.yml")
    result = plan()
    assert "rig own" in result.stdout
    assert result.stderr == "using the inventory own.yml (from FWBENCH_INVENTORY)\n"
    result = plan("-i", "hosts.yml")
    assert "rig t1" in result.stdout
    assert result.stderr == ""


def test_variable_may_list_files_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("more.yml").write_text("targets: {hosts: {t2: }}\n")
    monkeypatch.setenv("ANSIBLE_INVENTORY", "hosts.yml, more.yml")
    assert "on 2 rigs" in plan().stdout


@pytest.mark.parametrize("arguments", [(), ("--targets", "a"), ("-i", "")])
@pytest.mark.parametrize("command", [*CHANGING_COMMANDS, "doctor", "run"])
def test_missing_inventory_error_says_how_to_name_one(
    command: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_INVENTORY", "")
    result = fwbench(command, *(("smoke",) if command == "run" else ()), *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "name an inventory" in result.stderr


def test_dry_run_without_inventory_assumes_one_rig() -> None:
    result = plan()
    assert "on 1 rig," in result.stdout
    assert result.stderr == "no inventory is named: assuming one rig of one target and one client\n"
    assert fwbench("run", "smoke", "--dry-run", "--targets", "a").exit_code == 2


# The confirmation


def mock_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "_is_interactive", lambda: True)


@pytest.mark.parametrize("command", CHANGING_COMMANDS)
def test_hosts_named_by_option_need_no_confirmation(
    command: str, logins: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_INVENTORY", "nowhere.yml")
    result = fwbench(command, "-i", "hosts.yml")
    assert result.exit_code == 5
    assert sorted(logins) == ["c1", "c2", "t1"]
    assert "Continue?" not in result.stderr


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("command", CHANGING_COMMANDS)
def test_hosts_named_by_variable_need_yes_without_a_terminal(
    command: str, variable: str, logins: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "hosts.yml")
    result = fwbench(command, answer="y\n")
    assert (result.exit_code, result.stdout, logins) == (2, "", [])
    assert result.stderr.splitlines()[1:] == [
        f"fwbench: {variable} names the inventory, and `{command}` changes hosts of it: t1, c1, c2;"
        " confirm this with --yes, or name the inventory with -i"
    ]


@pytest.mark.parametrize("option", ["-y", "--yes"])
@pytest.mark.parametrize("command", CHANGING_COMMANDS)
def test_yes_option_confirms(
    command: str, option: str, logins: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_INVENTORY", "hosts.yml")
    assert fwbench(command, option).exit_code == 5
    assert sorted(logins) == ["c1", "c2", "t1"]


@pytest.mark.parametrize("command", CHANGING_COMMANDS)
@pytest.mark.parametrize(
    ("answer", "code"), [("y\n", 5), ("Yes\n", 5), ("\n", 130), ("n\n", 130), ("", 130)]
)
def test_answer_on_a_terminal_decides(
    command: str,
    answer: str,
    code: int,
    logins: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mock_terminal(monkeypatch)
    monkeypatch.setenv("ANSIBLE_INVENTORY", "hosts.yml")
    result = fwbench(command, answer=answer)
    assert result.exit_code == code
    assert "changes hosts of it: t1, c1, c2\nContinue? [y/N] " in result.stderr
    assert "Continue?" not in result.stdout
    assert bool(logins) is (code == 5)
    assert ("fwbench: nothing was changed\n" in result.stderr) is (code == 130)


@pytest.mark.parametrize(
    "arguments",
    [("provision", "--check"), ("teardown", "--dry-run"), ("doctor",), ("run", "smoke")],
)
def test_commands_that_leave_hosts_unchanged_do_not_ask(
    arguments: tuple[str, ...], logins: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_INVENTORY", "hosts.yml")
    result = fwbench(*arguments)
    assert result.exit_code == 5, result.stderr
    assert "t1" in logins
    assert result.stderr.startswith("using the inventory hosts.yml (from ANSIBLE_INVENTORY)\n")
    assert "Continue?" not in result.stderr


def test_prompt_accepts_no_and_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_INVENTORY", "hosts.yml")
    script = "from fwbench.cli.main import main; main(prog_name='fwbench')"
    for keys, message in (("n\n", "nothing was changed"), ("\x03", "interrupted")):
        # A process inherits an ignored SIGINT, for example in a background job of a script.
        process = pexpect.spawn(
            sys.executable,
            ["-c", script, "prune"],
            timeout=30,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        process.expect_exact("Continue? [y/N] ")
        process.send(keys)
        process.expect_exact(f"fwbench: {message}")
        process.expect(pexpect.EOF)
        process.close()
        assert process.exitstatus == 130


@pytest.mark.parametrize("option", ["--targets", "--clients"])
@pytest.mark.parametrize("value", ["", ","])
def test_empty_choice_of_hosts_is_wrong_usage(option: str, value: str) -> None:
    result = CliRunner().invoke(main, ["run", "smoke", "--dry-run", "-i", "a,b", option, value])
    assert result.exit_code == 2
    assert f"{option} is empty: name hosts or groups, or leave it out" in result.stderr
