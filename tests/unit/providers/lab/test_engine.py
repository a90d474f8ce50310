import os
from pathlib import Path
from typing import Any

import pytest

from fwbench.errors import LabError
from fwbench.model.play import HostResult, PlayResult
from fwbench.providers.lab import docker, engine, hosts
from fwbench.providers.lab.hosts import Lab
from fwbench.provisioning.playbook import play


@pytest.fixture
def played_playbooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Replace `play` by a stub, and return the names of the playbooks that it receives."""
    names: list[str] = []

    def record(name: str, *_: Any, **__: Any) -> PlayResult:
        names.append(name)
        return PlayResult(hosts=(HostResult(host="localhost", changed=1),))

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(engine, "play", record)
    return names


def set_engine_answers(monkeypatch: pytest.MonkeyPatch, *answers: bool) -> None:
    remaining = list(answers)
    monkeypatch.setattr(
        docker, "engine_answers", lambda: remaining.pop(0) if len(remaining) > 1 else remaining[0]
    )


def quiet(_: str) -> None:
    pass


def test_running_engine_is_used_and_not_removed(
    monkeypatch: pytest.MonkeyPatch, played_playbooks: list[str]
) -> None:
    set_engine_answers(monkeypatch, True)
    engine.ensure(quiet)
    engine.release(quiet)
    assert played_playbooks == []


def test_missing_engine_without_root_is_an_error_with_advice(
    monkeypatch: pytest.MonkeyPatch, played_playbooks: list[str]
) -> None:
    set_engine_answers(monkeypatch, False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="no Docker engine answers you: start Docker, or join"):
        engine.ensure(quiet)
    assert played_playbooks == []


def test_installed_engine_is_removed_once(
    monkeypatch: pytest.MonkeyPatch, played_playbooks: list[str]
) -> None:
    set_engine_answers(monkeypatch, False, True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    engine.ensure(quiet)
    engine.release(quiet)
    engine.release(quiet)
    assert played_playbooks == ["engine.yml", "engine_remove.yml"]


@pytest.mark.usefixtures("played_playbooks")
def test_engine_with_foreign_data_is_kept_and_can_be_released_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_engine_answers(monkeypatch, False, True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    engine.ensure(quiet)
    kept = HostResult(host="localhost", changed=0, foreign_engine_data=("volume data in /there",))
    monkeypatch.setattr(engine, "play", lambda *_: PlayResult(hosts=(kept,)))
    messages: list[str] = []
    engine.release(messages.append)
    assert messages[-1] == "the Docker engine stays: it holds volume data in /there"
    engine.release(messages.append)
    assert messages[-1] == "the Docker engine stays: it holds volume data in /there"


def test_installed_engine_that_does_not_answer_is_an_error(
    monkeypatch: pytest.MonkeyPatch, played_playbooks: list[str]
) -> None:
    set_engine_answers(monkeypatch, False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(LabError, match="it does not answer"):
        engine.ensure(quiet)
    assert played_playbooks == ["engine.yml"]


def test_localhost_inventory_plays_on_this_machine(tmp_path: Path) -> None:
    playbook_file = tmp_path / "play.yml"
    playbook_file.write_text(
        "- hosts: localhost\n"
        "  connection: local\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - name: Look for this process\n"
        f"      ansible.builtin.raw: kill -0 {os.getpid()}\n"
    )
    (host,) = play(str(playbook_file), engine.LOCALHOST, ["localhost"]).hosts
    assert (host.host, host.error) == ("localhost", None)


def test_half_removed_engine_is_released_again(
    monkeypatch: pytest.MonkeyPatch, played_playbooks: list[str]
) -> None:
    set_engine_answers(monkeypatch, False, True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    engine.ensure(quiet)
    failed = HostResult(host="localhost", changed=1, error="apt is locked")
    with monkeypatch.context() as patch:
        patch.setattr(engine, "play", lambda *_: PlayResult(hosts=(failed,)))
        with pytest.raises(LabError, match="could not be removed: apt is locked"):
            engine.release(quiet)
    set_engine_answers(monkeypatch, False)  # the failed attempt stopped it
    Lab().down(quiet, everything=True)
    assert played_playbooks == ["engine.yml", "engine_remove.yml"]
    assert not engine.is_half_removed()


def test_engine_of_the_owner_that_does_not_answer_is_not_removed(
    monkeypatch: pytest.MonkeyPatch, played_playbooks: list[str]
) -> None:
    set_engine_answers(monkeypatch, False)
    monkeypatch.setattr(hosts, "list_names", refuse)
    with pytest.raises(LabError, match="docker ps: no engine"):
        Lab().down(quiet, everything=True)
    assert played_playbooks == []


def refuse(*_: object) -> list[str]:
    raise LabError("docker ps: no engine")
