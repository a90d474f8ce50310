import os
import signal
import socket
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from fwbench.errors import InventoryError, ProvisionError
from fwbench.model.play import HostResult, PlayResult
from fwbench.provisioning import environment, playbook
from fwbench.provisioning.inventory import Inventory, list_inventory
from fwbench.provisioning.playbook import play

# Conversion of Ansible's counts


def host_result(host: str = "box", error: str | None = None, **stats: dict[str, int]) -> HostResult:
    return playbook._host_result(host, stats, {host: error} if error else {})


def test_processed_host_has_no_error() -> None:
    assert host_result(processed={"box": 1}, changed={"box": 3}) == HostResult(
        host="box", changed=3
    )


def test_host_outside_the_plays_pattern_is_an_error() -> None:
    assert host_result(processed={"other": 1}).error == "the playbook never reached it"
    assert host_result().error == "the playbook never reached it"


def test_failed_host_has_the_message_of_its_task() -> None:
    result = host_result(error="Install: no network", processed={"box": 1}, failures={"box": 1})
    assert result.error == "Install: no network"


def test_host_without_ssh_connection_is_unreachable() -> None:
    assert host_result(processed={"box": 1}, dark={"box": 1}).unreachable
    assert not host_result(processed={"box": 1}, failures={"box": 1}).unreachable


@pytest.mark.parametrize("count", ["dark", "failures"])
def test_failure_without_a_message_is_still_an_error(count: str) -> None:
    assert host_result(processed={"box": 1}, **{count: {"box": 1}}).error is not None


def test_rescued_failure_is_no_error() -> None:
    result = host_result(error="Try: no", processed={"box": 1}, rescued={"box": 1})
    assert result.error is None


def test_failed_hosts_are_those_with_an_error() -> None:
    good, bad = HostResult(host="a", changed=0), HostResult(host="b", changed=0, error="no")
    assert PlayResult(hosts=(good, bad)).failed == (bad,)


# Real plays on this machine

HOSTS = ("good", "changes", "fails", "items", "rescued", "explains", "ignores", "unreachable")
PLAYBOOK = """\
- name: Go wrong in every way
  hosts: all
  gather_facts: false
  tasks:
    # As in the roles: a module's code would be piped to an ssh that may have ended already.
    - name: Reach the host
      ansible.builtin.raw: "true"
      changed_when: false

    - name: Change something
      ansible.builtin.command: "true"
      when: inventory_hostname == 'changes'

    - name: Fail with a reason
      ansible.builtin.fail:
        msg: out of

          luck
      when: inventory_hostname == 'fails'

    - name: Fail one of several
      ansible.builtin.command: "{{ item }}"
      loop: ["true", ls /nowhere-at-all]
      when: inventory_hostname == 'items'

    - name: Fail and be rescued
      when: inventory_hostname == 'rescued'
      block:
        - name: Try
          ansible.builtin.fail:
            msg: not like this
      rescue:
        - name: Do it another way
          ansible.builtin.ping:

    - name: Fail and explain
      when: inventory_hostname == 'explains'
      block:
        - name: Try
          ansible.builtin.fail:
            msg: exit status 100
      rescue:
        - name: Explain
          ansible.builtin.fail:
            msg: the disk is full

    - name: Fail and go on
      ansible.builtin.fail:
        msg: never mind
      ignore_errors: true
      when: inventory_hostname == 'ignores'
"""


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def write_inventory(folder: Path, *hosts: str) -> Inventory:
    lines = ["[all]"]
    for host in hosts:
        connection = "local"
        if host == "unreachable":
            connection = f"ssh ansible_host=127.0.0.1 ansible_port={closed_port()}"
        lines.append(f"{host} ansible_connection={connection}")
    lines += ["[all:vars]", f"ansible_python_interpreter={sys.executable}"]
    inventory = folder / "hosts.ini"
    inventory.write_text("\n".join(lines) + "\n")
    return Inventory((inventory,))


def files_beneath(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Set and yield a home folder for these tests, with a folder for temporary files in it."""
    home = tmp_path_factory.mktemp("ansible")
    (home / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("FWBENCH_TEST_SECRET", "sesame-sesame")
        patch.setenv("TMPDIR", str(home / "temporary"))
        patch.setattr(tempfile, "tempdir", str(home / "temporary"))
        yield home


class EverythingPlay:
    """The result of `PLAYBOOK`, and its effects on this process and its temporary files."""

    def __init__(self, home: Path) -> None:
        playbook_file = home / "play.yml"
        playbook_file.write_text(PLAYBOOK)
        self.tasks: list[str] = []
        self.folder_modes: list[tuple[str, int]] = []
        before = dict(os.environ), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        inventory = write_inventory(home, *HOSTS)
        result = play(str(playbook_file), inventory, [*HOSTS, "absent"], on_task=self._record)
        after = dict(os.environ), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        self.process_state_restored = before == after
        self.errors = {host.host: host.error for host in result.hosts}
        self.changed = {host.host: host.changed for host in result.hosts}

    def _record(self, task: str) -> None:
        self.tasks.append(task)
        folders = [
            path for path in Path(tempfile.gettempdir()).iterdir() if "fwbench-" in path.name
        ]
        self.folder_modes = [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in folders]


@pytest.fixture(scope="module")
def everything_play(home: Path) -> EverythingPlay:
    return EverythingPlay(home)


@pytest.mark.parametrize("host", ["good", "changes", "rescued", "ignores"])
def test_host_that_finishes_the_play_has_no_error(
    everything_play: EverythingPlay, host: str
) -> None:
    assert everything_play.errors[host] is None


def test_changes_are_counted(everything_play: EverythingPlay) -> None:
    assert (everything_play.changed["good"], everything_play.changed["changes"]) == (0, 1)


def test_error_is_task_name_and_message_in_one_line(everything_play: EverythingPlay) -> None:
    assert everything_play.errors["fails"] == "Fail with a reason: out of luck"


def test_error_of_a_loop_is_that_of_the_failed_item(everything_play: EverythingPlay) -> None:
    error = everything_play.errors["items"] or ""
    assert error.startswith("Fail one of several: ")
    assert "non-zero return code" in error


def test_error_of_a_failed_rescue_replaces_the_first(everything_play: EverythingPlay) -> None:
    """A role explains a failure in a rescue."""
    assert everything_play.errors["explains"] == "Explain: the disk is full"


def test_unreachable_host_is_an_error_in_one_line(everything_play: EverythingPlay) -> None:
    error = everything_play.errors["unreachable"] or ""
    assert error.startswith("Reach the host: ")
    assert "Connection refused" in error
    assert "\n" not in error


def test_host_missing_from_the_inventory_is_an_error(everything_play: EverythingPlay) -> None:
    assert everything_play.errors["absent"] == "the playbook never reached it"


def test_kept_engine_data_is_reported_by_host(home: Path) -> None:
    playbook_file = home / "keeps.yml"
    playbook_file.write_text(
        "- hosts: all\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - name: Tell\n"
        "      ansible.builtin.set_stats:\n"
        "        data: {kept_engines: '{{ {inventory_hostname: [\"web\"]} }}'}\n"
        "      when: inventory_hostname != 'c'\n"
    )
    result = play(str(playbook_file), write_inventory(home, "a", "b", "c"), ["a", "b", "c"])
    assert [host.foreign_engine_data for host in result.hosts] == [("web",), ("web",), ()]


def test_callback_receives_each_task_as_it_starts(everything_play: EverythingPlay) -> None:
    assert everything_play.tasks[:3] == ["Reach the host", "Change something", "Fail with a reason"]


def test_ansible_runner_folder_is_private_and_is_removed(
    everything_play: EverythingPlay, home: Path
) -> None:
    """The folder contains the whole environment, with its secrets."""
    assert [mode for _, mode in everything_play.folder_modes] == [0o700]
    assert not [path for path in (home / "temporary").iterdir() if "fwbench-" in path.name]
    files_with_secret = [
        path for path in files_beneath(home) if b"sesame-sesame" in path.read_bytes()
    ]
    assert files_with_secret == []


def test_environment_and_signal_handlers_are_restored(everything_play: EverythingPlay) -> None:
    assert everything_play.process_state_restored


def test_invalid_playbook_is_an_error_that_quotes_ansible(home: Path) -> None:
    playbook_file = home / "broken.yml"
    playbook_file.write_text("- hosts: all\n  tusks: []\n")
    with pytest.raises(ProvisionError, match=r"Ansible did not run: .*tusks") as caught:
        play(str(playbook_file), write_inventory(home, "good"), ["good"])
    assert "\n" not in str(caught.value)


def test_play_is_limited_to_expected_hosts_with_odd_names(home: Path) -> None:
    odd_name = """o,d:d; $(touch pwned) '"&|*"""
    hosts = {name: {"ansible_connection": "local"} for name in (odd_name, "good", "other")}
    inventory = home / "odd.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    playbook_file = home / "who.yml"
    playbook_file.write_text(
        "- hosts: all\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - name: Count\n"
        "      ansible.builtin.fail: {msg: '{{ ansible_play_hosts_all | length }} are played on'}\n"
    )
    result = play(str(playbook_file), Inventory((inventory,)), [odd_name, "good"])
    assert [(host.host, host.error) for host in result.hosts] == [
        (odd_name, "Count: 2 are played on"),
        ("good", "Count: 2 are played on"),
    ]


def test_temporary_files_on_the_controller_are_removed(home: Path) -> None:
    """If its host is lost, a role does not reach the task that removes them."""
    playbook_file = home / "leaves.yml"
    playbook_file.write_text(
        "- hosts: all\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - name: Leave something\n"
        "      ansible.builtin.tempfile: {state: directory, prefix: left-behind-}\n"
        "      delegate_to: localhost\n"
    )
    result = play(str(playbook_file), write_inventory(home, "good"), ["good"])
    assert result.hosts[0].changed == 1
    assert not list(home.rglob("left-behind-*"))
    assert not list(Path("/tmp").glob("left-behind-*"))


def test_ctrl_c_stops_ansible_then_raises_keyboard_interrupt(home: Path) -> None:
    playbook_file = home / "slow.yml"
    playbook_file.write_text(
        "- hosts: all\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - name: Take long\n"
        "      ansible.builtin.command: sleep 61.5\n"
    )
    before = signal.getsignal(signal.SIGINT)
    inventory = write_inventory(home, "good")
    with pytest.raises(KeyboardInterrupt):
        play(
            str(playbook_file),
            inventory,
            ["good"],
            on_task=lambda _: signal.raise_signal(signal.SIGINT),
        )
    assert signal.getsignal(signal.SIGINT) is before
    assert not [path for path in (home / "temporary").iterdir() if "fwbench-" in path.name]


def test_other_threads_set_no_signal_handler() -> None:
    interrupted_flags: list[bool] = []

    def enter() -> None:
        with playbook._deferred_sigint() as interrupted:
            interrupted_flags.append(interrupted.is_set())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert interrupted_flags == [False]


# Inventories


def test_inventory_listing_has_host_variables(home: Path) -> None:
    listing = list_inventory(write_inventory(home, "good"))
    assert listing["_meta"]["hostvars"]["good"]["ansible_connection"] == "local"


def test_missing_inventory_is_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"hosts\.yml: no such inventory; copy .*example\.yml"):
        list_inventory(Inventory((tmp_path / "hosts.yml",)))


def test_invalid_inventory_is_an_error_in_one_line(
    tmp_path: Path,
) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: [unclosed\n")
    with pytest.raises(InventoryError, match=f"{inventory}: not an inventory") as caught:
        list_inventory(Inventory((inventory,)))
    assert "\n" not in str(caught.value)


# Groups


def test_play_uses_all_inventory_sources_and_the_chosen_groups(home: Path) -> None:
    names, file = "one,two,three", home / "more.ini"
    file.write_text("[web]\nfour\nfive\n")
    playbook_file = home / "groups.yml"
    playbook_file.write_text(
        "- hosts: targets:clients\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - name: Name the groups\n"
        "      ansible.builtin.fail: {msg: '{{ group_names | join(\" \") }}'}\n"
    )
    inventory = Inventory((names, file), targets=("web", "two"), clients=("one",))
    result = play(str(playbook_file), inventory, ["one", "two", "three", "four", "five"])
    errors = {host.host: host.error for host in result.hosts}
    assert errors == {
        "one": "Name the groups: clients",
        "two": "Name the groups: targets",
        "three": "the playbook never reached it",
        "four": "Name the groups: targets web",
        "five": "Name the groups: targets web",
    }


# Ansible's environment variables


def test_path_begins_with_the_programs_of_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual environment that is not activated is not on the PATH."""
    monkeypatch.setenv("PATH", "/usr/bin")
    first = environment.ansible_environment()["PATH"].split(os.pathsep)[0]
    assert (Path(first) / "ansible-playbook").exists()


def test_locale_is_set_to_utf_8_if_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setattr(environment.locale, "getpreferredencoding", lambda _: "ANSI_X3.4-1968")
    assert environment.ansible_environment()["LC_ALL"] == "C.UTF-8"
    monkeypatch.setattr(environment.locale, "getpreferredencoding", lambda _: "UTF-8")
    assert "LC_ALL" not in environment.ansible_environment()
