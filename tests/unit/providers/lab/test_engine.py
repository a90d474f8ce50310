import os
from pathlib import Path
from typing import Any

import pytest

from fwbench.errors import LabError
from fwbench.model.play import HostResult, PlayResult
from fwbench.providers.lab import docker, engine
from fwbench.provisioning.playbook import play


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The playbooks that were asked for; none is really played."""
    asked: list[str] = []

    def note(name: str, *_: Any, **__: Any) -> PlayResult:
        asked.append(name)
        return PlayResult(hosts=(HostResult(host="localhost", changed=1),))

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(engine, "play", note)
    return asked


def answering(monkeypatch: pytest.MonkeyPatch, *answers: bool) -> None:
    told = list(answers)
    monkeypatch.setattr(docker, "engine_answers", lambda: told.pop(0) if len(told) > 1 else told[0])


def quiet(_: str) -> None:
    pass


def test_an_engine_that_answers_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch, played: list[str]
) -> None:
    answering(monkeypatch, True)
    engine.ensure(quiet)
    engine.release(quiet)
    assert played == []


def test_without_engine_and_without_root_one_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, played: list[str]
) -> None:
    answering(monkeypatch, False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="no Docker engine answers you: start Docker, or join"):
        engine.ensure(quiet)
    assert played == []


def test_root_gets_one_which_is_removed_again_and_once(
    monkeypatch: pytest.MonkeyPatch, played: list[str]
) -> None:
    answering(monkeypatch, False, True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    engine.ensure(quiet)
    engine.release(quiet)
    engine.release(quiet)
    assert played == ["engine.yml", "engine_remove.yml"]


@pytest.mark.usefixtures("played")
def test_an_engine_in_which_others_keep_something_stays_and_may_be_removed_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answering(monkeypatch, False, True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    engine.ensure(quiet)
    kept = HostResult(host="localhost", changed=0, foreign_engine_data=("volume data in /there",))
    monkeypatch.setattr(engine, "play", lambda *_: PlayResult(hosts=(kept,)))
    said: list[str] = []
    engine.release(said.append)
    assert said[-1] == "the Docker engine stays: it holds volume data in /there"
    engine.release(said.append)
    assert said[-1] == "the Docker engine stays: it holds volume data in /there"


def test_an_engine_that_was_installed_and_does_not_answer_is_an_error(
    monkeypatch: pytest.MonkeyPatch, played: list[str]
) -> None:
    answering(monkeypatch, False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(LabError, match="it does not answer"):
        engine.ensure(quiet)
    assert played == ["engine.yml"]


def test_its_inventory_has_this_machine_for_a_playbook(tmp_path: Path) -> None:
    written = tmp_path / "play.yml"
    written.write_text(
        "- hosts: localhost\n"
        "  connection: local\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - name: Look for this process\n"
        f"      ansible.builtin.raw: kill -0 {os.getpid()}\n"
    )
    (host,) = play(str(written), engine.LOCALHOST, ["localhost"]).hosts
    assert (host.host, host.error) == ("localhost", None)
