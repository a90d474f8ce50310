"""Which hosts a command uses, and the question before it changes them."""

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
CHANGING = ("provision", "teardown", "prune")


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with an inventory, no inventory of the user, and signals as they were."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hosts.yml").write_text(HOSTS)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that a command would log in to; none answers."""
    reached: list[str] = []

    def refuse(remote: SshRemote) -> None:
        reached.append(remote.name)
        raise LostError(f"{remote.name}: nobody answers here")

    monkeypatch.setattr(SshRemote, "__enter__", refuse)
    monkeypatch.setattr("fwbench.provisioning.inventory.list_inventory", lambda _: LISTING)
    return reached


def fwbench(*words: str, answer: str = "") -> Result:
    return CliRunner().invoke(main, words, input=answer)


def plan(*words: str) -> Result:
    done = fwbench("run", "smoke", "--dry-run", *words)
    assert done.exit_code == 0, done.stderr
    return done


# Which inventory


def test_sources_are_merged_and_lists_of_hosts_are_sources() -> None:
    Path("more.yml").write_text("targets: {hosts: {t2: }}\n")
    assert "on 2 rigs" in plan("-i", "hosts.yml", "-i", "more.yml").stdout
    chosen = ("--targets", "a, b", "--clients", "c", "--clients", "d")
    assert "on 2 rigs" in plan("-i", "a,b,c,d", *chosen).stdout


def test_the_option_precedes_the_variables_and_fwbenchs_own_that_of_ansible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("own.yml").write_text(HOSTS.replace("t1:", "own:"))
    Path("theirs.yml").write_text(HOSTS.replace("t1:", "theirs:"))
    monkeypatch.setenv("ANSIBLE_INVENTORY", "theirs.yml")
    done = plan()
    assert "rig theirs" in done.stdout
    assert done.stderr == "using the inventory theirs.yml (from ANSIBLE_INVENTORY)\n"
    monkeypatch.setenv("FWBENCH_INVENTORY", "own.yml")
    done = plan()
    assert "rig own" in done.stdout
    assert done.stderr == "using the inventory own.yml (from FWBENCH_INVENTORY)\n"
    done = plan("-i", "hosts.yml")
    assert "rig t1" in done.stdout
    assert done.stderr == ""


def test_a_variable_separates_files_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("more.yml").write_text("targets: {hosts: {t2: }}\n")
    monkeypatch.setenv("ANSIBLE_INVENTORY", "hosts.yml, more.yml")
    assert "on 2 rigs" in plan().stdout


@pytest.mark.parametrize("words", [(), ("--targets", "a"), ("-i", "")])
@pytest.mark.parametrize("command", [*CHANGING, "doctor", "run"])
def test_without_an_inventory_the_error_names_the_ways_to_give_one(
    command: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_INVENTORY", "")
    done = fwbench(command, *(("smoke",) if command == "run" else ()), *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "name an inventory" in done.stderr


def test_a_plan_without_an_inventory_is_for_one_rig_and_says_so() -> None:
    done = plan()
    assert "on 1 rig," in done.stdout
    assert done.stderr == "no inventory is named: assuming one rig of one target and one client\n"
    assert fwbench("run", "smoke", "--dry-run", "--targets", "a").exit_code == 2


# The question


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "_is_interactive", lambda: True)


@pytest.mark.parametrize("command", CHANGING)
def test_hosts_of_an_option_are_changed_without_a_question(
    command: str, reached: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_INVENTORY", "nowhere.yml")
    done = fwbench(command, "-i", "hosts.yml")
    assert done.exit_code == 5
    assert sorted(reached) == ["c1", "c2", "t1"]
    assert "Continue?" not in done.stderr


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("command", CHANGING)
def test_hosts_of_a_variable_are_not_changed_without_a_terminal(
    command: str, variable: str, reached: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "hosts.yml")
    done = fwbench(command, answer="y\n")
    assert (done.exit_code, done.stdout, reached) == (2, "", [])
    assert done.stderr.splitlines()[1:] == [
        f"fwbench: {variable} names the inventory, and `{command}` changes hosts of it: t1, c1, c2;"
        " confirm this with --yes, or name the inventory with -i"
    ]


@pytest.mark.parametrize("option", ["-y", "--yes"])
@pytest.mark.parametrize("command", CHANGING)
def test_yes_answers_the_question(
    command: str, option: str, reached: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_INVENTORY", "hosts.yml")
    assert fwbench(command, option).exit_code == 5
    assert sorted(reached) == ["c1", "c2", "t1"]


@pytest.mark.parametrize("command", CHANGING)
@pytest.mark.parametrize(
    ("answer", "code"), [("y\n", 5), ("Yes\n", 5), ("\n", 130), ("n\n", 130), ("", 130)]
)
def test_an_answer_on_a_terminal_decides(
    command: str,
    answer: str,
    code: int,
    reached: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_a_terminal(monkeypatch)
    monkeypatch.setenv("ANSIBLE_INVENTORY", "hosts.yml")
    done = fwbench(command, answer=answer)
    assert done.exit_code == code
    assert "changes hosts of it: t1, c1, c2\nContinue? [y/N] " in done.stderr
    assert "Continue?" not in done.stdout
    assert bool(reached) is (code == 5)
    assert ("fwbench: nothing was changed\n" in done.stderr) is (code == 130)


@pytest.mark.parametrize(
    "words", [("provision", "--check"), ("teardown", "--dry-run"), ("doctor",), ("run", "smoke")]
)
def test_commands_that_leave_nothing_on_hosts_ask_nothing(
    words: tuple[str, ...], reached: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_INVENTORY", "hosts.yml")
    done = fwbench(*words)
    assert done.exit_code == 5, done.stderr
    assert "t1" in reached
    assert done.stderr.startswith("using the inventory hosts.yml (from ANSIBLE_INVENTORY)\n")
    assert "Continue?" not in done.stderr


def test_a_terminal_is_asked_and_ctrl_c_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_INVENTORY", "hosts.yml")
    script = "from fwbench.cli.main import main; main(prog_name='fwbench')"
    for typed, told in (("n\n", "nothing was changed"), ("\x03", "interrupted")):
        # A program inherits that SIGINT is ignored, as in a background job of a script.
        process = pexpect.spawn(
            sys.executable,
            ["-c", script, "prune"],
            timeout=30,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        process.expect_exact("Continue? [y/N] ")
        process.send(typed)
        process.expect_exact(f"fwbench: {told}")
        process.expect(pexpect.EOF)
        process.close()
        assert process.exitstatus == 130
