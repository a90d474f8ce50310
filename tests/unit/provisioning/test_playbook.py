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

# What Ansible counts becomes a result


def result(host: str = "box", error: str | None = None, **stats: dict[str, int]) -> HostResult:
    return playbook._host_result(host, stats, {host: error} if error else {})


def test_a_host_that_was_processed_is_well() -> None:
    assert result(processed={"box": 1}, changed={"box": 3}) == HostResult(host="box", changed=3)


def test_a_host_that_a_pattern_did_not_match_is_trouble() -> None:
    assert result(processed={"other": 1}).error == "the playbook never reached it"
    assert result().error == "the playbook never reached it"


def test_a_host_that_failed_has_its_tasks_words() -> None:
    failed = result(error="Install: no network", processed={"box": 1}, failures={"box": 1})
    assert failed.error == "Install: no network"


def test_a_host_to_which_ssh_did_not_come_is_unreachable() -> None:
    assert result(processed={"box": 1}, dark={"box": 1}).unreachable
    assert not result(processed={"box": 1}, failures={"box": 1}).unreachable


@pytest.mark.parametrize("count", ["dark", "failures"])
def test_a_host_that_failed_without_a_word_is_trouble_all_the_same(count: str) -> None:
    assert result(processed={"box": 1}, **{count: {"box": 1}}).error is not None


def test_a_failure_that_was_rescued_is_no_trouble() -> None:
    rescued = result(error="Try: no", processed={"box": 1}, rescued={"box": 1})
    assert rescued.error is None


def test_the_hosts_in_trouble_are_those_that_failed() -> None:
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
            msg: what a machine says
      rescue:
        - name: Explain
          ansible.builtin.fail:
            msg: what a person understands

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
        how = "local"
        if host == "unreachable":
            how = f"ssh ansible_host=127.0.0.1 ansible_port={closed_port()}"
        lines.append(f"{host} ansible_connection={how}")
    lines += ["[all:vars]", f"ansible_python_interpreter={sys.executable}"]
    inventory = folder / "hosts.ini"
    inventory.write_text("\n".join(lines) + "\n")
    return Inventory((inventory,))


def files_beneath(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home and a folder for temporary files that nobody else uses."""
    place = tmp_path_factory.mktemp("ansible")
    (place / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(place))
        patch.setenv("FWBENCH_TEST_SECRET", "sesame-sesame")
        patch.setenv("TMPDIR", str(place / "temporary"))
        patch.setattr(tempfile, "tempdir", str(place / "temporary"))
        yield place


class Outcome:
    """A play of everything, and what it did to this process."""

    def __init__(self, place: Path) -> None:
        written = place / "play.yml"
        written.write_text(PLAYBOOK)
        self.tasks: list[str] = []
        self.private: list[tuple[str, int]] = []
        before = dict(os.environ), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        inventory = write_inventory(place, *HOSTS)
        played = play(str(written), inventory, [*HOSTS, "absent"], on_task=self._hear)
        after = dict(os.environ), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        self.left_process_alone = before == after
        self.trouble = {host.host: host.error for host in played.hosts}
        self.changed = {host.host: host.changed for host in played.hosts}

    def _hear(self, task: str) -> None:
        self.tasks.append(task)
        mine = [path for path in Path(tempfile.gettempdir()).iterdir() if "fwbench-" in path.name]
        self.private = [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in mine]


@pytest.fixture(scope="module")
def outcome(place: Path) -> Outcome:
    return Outcome(place)


@pytest.mark.parametrize("host", ["good", "changes", "rescued", "ignores"])
def test_a_host_that_came_to_the_end_is_well(outcome: Outcome, host: str) -> None:
    assert outcome.trouble[host] is None


def test_changes_are_counted(outcome: Outcome) -> None:
    assert (outcome.changed["good"], outcome.changed["changes"]) == (0, 1)


def test_a_task_that_fails_is_named_with_its_reason_in_one_line(outcome: Outcome) -> None:
    assert outcome.trouble["fails"] == "Fail with a reason: out of luck"


def test_of_a_loop_the_item_that_failed_tells_why(outcome: Outcome) -> None:
    trouble = outcome.trouble["items"] or ""
    assert trouble.startswith("Fail one of several: ")
    assert "non-zero return code" in trouble


def test_a_rescue_that_fails_has_the_last_word(outcome: Outcome) -> None:
    """Roles explain in a rescue what the task before it only failed with."""
    assert outcome.trouble["explains"] == "Explain: what a person understands"


def test_a_host_that_does_not_answer_is_trouble(outcome: Outcome) -> None:
    trouble = outcome.trouble["unreachable"] or ""
    assert trouble.startswith("Reach the host: ")
    assert "Connection refused" in trouble
    assert "\n" not in trouble


def test_a_host_that_the_inventory_does_not_have_is_trouble(outcome: Outcome) -> None:
    assert outcome.trouble["absent"] == "the playbook never reached it"


def test_engines_that_a_role_left_are_told_of_each_host(place: Path) -> None:
    written = place / "keeps.yml"
    written.write_text(
        "- hosts: all\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - name: Tell\n"
        "      ansible.builtin.set_stats:\n"
        "        data: {kept_engines: '{{ {inventory_hostname: [\"web\"]} }}'}\n"
        "      when: inventory_hostname != 'c'\n"
    )
    played = play(str(written), write_inventory(place, "a", "b", "c"), ["a", "b", "c"])
    assert [host.foreign_engine_data for host in played.hosts] == [("web",), ("web",), ()]


def test_tasks_are_told_as_they_start(outcome: Outcome) -> None:
    assert outcome.tasks[:3] == ["Reach the host", "Change something", "Fail with a reason"]


def test_what_ansible_leaves_is_private_and_does_not_stay(outcome: Outcome, place: Path) -> None:
    """It holds the whole environment, secrets among it."""
    assert [mode for _, mode in outcome.private] == [0o700]
    assert not [path for path in (place / "temporary").iterdir() if "fwbench-" in path.name]
    holding = [path for path in files_beneath(place) if b"sesame-sesame" in path.read_bytes()]
    assert holding == []


def test_environment_and_signals_are_as_before(outcome: Outcome) -> None:
    assert outcome.left_process_alone


def test_a_playbook_that_ansible_cannot_read_is_an_error_with_its_words(place: Path) -> None:
    broken = place / "broken.yml"
    broken.write_text("- hosts: all\n  tusks: []\n")
    with pytest.raises(ProvisionError, match=r"Ansible did not run: .*tusks") as refused:
        play(str(broken), write_inventory(place, "good"), ["good"])
    assert "\n" not in str(refused.value)


def test_only_the_expected_hosts_are_played_on_whatever_they_are_called(place: Path) -> None:
    odd = """o,d:d; $(touch pwned) '"&|*"""
    hosts = {name: {"ansible_connection": "local"} for name in (odd, "good", "other")}
    inventory = place / "odd.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    written = place / "who.yml"
    written.write_text(
        "- hosts: all\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - name: Count\n"
        "      ansible.builtin.fail: {msg: '{{ ansible_play_hosts_all | length }} are played on'}\n"
    )
    played = play(str(written), Inventory((inventory,)), [odd, "good"])
    assert [(host.host, host.error) for host in played.hosts] == [
        (odd, "Count: 2 are played on"),
        ("good", "Count: 2 are played on"),
    ]


def test_what_a_role_leaves_on_the_controller_does_not_stay(place: Path) -> None:
    """Its own removal is not reached where its host is lost."""
    written = place / "leaves.yml"
    written.write_text(
        "- hosts: all\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - name: Leave something\n"
        "      ansible.builtin.tempfile: {state: directory, prefix: left-behind-}\n"
        "      delegate_to: localhost\n"
    )
    played = play(str(written), write_inventory(place, "good"), ["good"])
    assert played.hosts[0].changed == 1
    assert not list(place.rglob("left-behind-*"))
    assert not list(Path("/tmp").glob("left-behind-*"))


def test_ctrl_c_ends_ansible_first(place: Path) -> None:
    slow = place / "slow.yml"
    slow.write_text(
        "- hosts: all\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - name: Take long\n"
        "      ansible.builtin.command: sleep 61.5\n"
    )
    before = signal.getsignal(signal.SIGINT)
    inventory = write_inventory(place, "good")
    with pytest.raises(KeyboardInterrupt):
        play(str(slow), inventory, ["good"], on_task=lambda _: signal.raise_signal(signal.SIGINT))
    assert signal.getsignal(signal.SIGINT) is before
    assert not [path for path in (place / "temporary").iterdir() if "fwbench-" in path.name]


def test_signals_are_left_alone_outside_the_main_thread() -> None:
    seen: list[bool] = []

    def ask() -> None:
        with playbook._deferred_sigint() as interrupted:
            seen.append(interrupted.is_set())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert seen == [False]


# Inventories


def test_an_inventory_is_listed_with_its_variables(place: Path) -> None:
    listing = list_inventory(write_inventory(place, "good"))
    assert listing["_meta"]["hostvars"]["good"]["ansible_connection"] == "local"


def test_an_inventory_that_is_missing_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"hosts\.yml: no such inventory; copy .*example\.yml"):
        list_inventory(Inventory((tmp_path / "hosts.yml",)))


def test_an_inventory_that_ansible_cannot_read_is_an_error_in_one_line(
    tmp_path: Path,
) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: [unclosed\n")
    with pytest.raises(InventoryError, match=f"{inventory}: not an inventory") as refused:
        list_inventory(Inventory((inventory,)))
    assert "\n" not in str(refused.value)


# The groups of a play


def test_a_play_has_the_hosts_of_all_sources_and_the_groups_that_were_chosen(place: Path) -> None:
    listed, file = "one,two,three", place / "more.ini"
    file.write_text("[web]\nfour\nfive\n")
    written = place / "groups.yml"
    written.write_text(
        "- hosts: targets:clients\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - name: Name the groups\n"
        "      ansible.builtin.fail: {msg: '{{ group_names | join(\" \") }}'}\n"
    )
    chosen = Inventory((listed, file), targets=("web", "two"), clients=("one",))
    played = play(str(written), chosen, ["one", "two", "three", "four", "five"])
    errors = {host.host: host.error for host in played.hosts}
    assert errors == {
        "one": "Name the groups: clients",
        "two": "Name the groups: targets",
        "three": "the playbook never reached it",
        "four": "Name the groups: targets web",
        "five": "Name the groups: targets web",
    }


# The environment of Ansible


def test_ansible_finds_its_programs_beside_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that is not activated is not on the PATH."""
    monkeypatch.setenv("PATH", "/usr/bin")
    first = environment.ansible_environment()["PATH"].split(os.pathsep)[0]
    assert (Path(first) / "ansible-playbook").exists()


def test_without_utf_8_ansible_is_given_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setattr(environment.locale, "getpreferredencoding", lambda _: "ANSI_X3.4-1968")
    assert environment.ansible_environment()["LC_ALL"] == "C.UTF-8"
    monkeypatch.setattr(environment.locale, "getpreferredencoding", lambda _: "UTF-8")
    assert "LC_ALL" not in environment.ansible_environment()
