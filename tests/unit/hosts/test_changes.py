from pathlib import Path

import pytest
from builders import header, target_facts

import fwbench
from fwbench import paths
from fwbench.config.suites import load_contenders, load_suite
from fwbench.hosts import changes
from fwbench.model.record import ImageFacts, SessionHeader

CONTENDERS = load_contenders(paths.data_folder() / "contenders")
SUITE = """
name: mine
question: Which?
contenders: [flask, fastapi]
baseline: flask
loads:
  - {connections: 10, warm_up_s: 1, duration_s: 2}
blocks: 3
"""


@pytest.fixture
def session(tmp_path: Path) -> SessionHeader:
    """Return the header of a session of this fwbench version, with a suite file."""
    file = tmp_path / "mine.yml"
    file.write_text(SUITE)
    suite = load_suite(file, CONTENDERS)
    return header().model_copy(
        update={
            "fwbench": fwbench.__version__,
            "suite": suite,
            "suite_file": file,
            "contenders": tuple(CONTENDERS[name] for name in suite.contenders),
            "facts": (target_facts(),),
        }
    )


def edit(session: SessionHeader, before: str, after: str) -> None:
    assert session.suite_file is not None
    text = session.suite_file.read_text()
    assert before in text
    session.suite_file.write_text(text.replace(before, after))


def test_unchanged_suite_is_no_change(session: SessionHeader) -> None:
    assert changes.config_changes(session, CONTENDERS) == ()


def test_a_comment_is_no_change(session: SessionHeader) -> None:
    edit(session, "blocks: 3", "blocks: 3  # enough for now")
    assert changes.config_changes(session, CONTENDERS) == ()


@pytest.mark.parametrize(
    "overrides", [("preset=smoke",), ("blocks=4", "loads.0.connections=3"), ("baseline=",)]
)
def test_command_line_override_is_no_change(
    session: SessionHeader, overrides: tuple[str, ...]
) -> None:
    assert session.suite_file is not None
    suite = load_suite(session.suite_file, CONTENDERS, overrides)
    session = session.model_copy(update={"suite": suite, "overrides": overrides})
    assert changes.config_changes(session, CONTENDERS) == ()
    edit(session, "duration_s: 2", "duration_s: 3")
    assert changes.config_changes(session, CONTENDERS) == (
        f"{session.suite_file} has changed: loads",
    )


def test_override_that_no_longer_applies_is_a_change(session: SessionHeader) -> None:
    edit(session, "loads:\n  - {", "loads: {")
    session = session.model_copy(update={"overrides": ("loads.0.connections=3",)})
    (message,) = changes.config_changes(session, CONTENDERS)
    assert "loads is not a list in the file" in message


def test_changed_suite_is_reported_with_its_keys(session: SessionHeader) -> None:
    edit(session, "connections: 10", "connections: 11")
    edit(session, "blocks: 3", "blocks: 4")
    (message,) = changes.config_changes(session, CONTENDERS)
    assert message == f"{session.suite_file} has changed: loads, blocks"


def test_suite_that_became_invalid_is_reported_with_its_line(session: SessionHeader) -> None:
    edit(session, "blocks: 3", "blocks: many")
    (message,) = changes.config_changes(session, CONTENDERS)
    assert message.startswith(f"{session.suite_file}:8")


def test_deleted_suite_file_is_no_change(session: SessionHeader) -> None:
    assert session.suite_file is not None
    session.suite_file.unlink()
    assert changes.config_changes(session, CONTENDERS) == ()


def test_other_version_of_fwbench_is_a_change(session: SessionHeader) -> None:
    (message,) = changes.config_changes(session.model_copy(update={"fwbench": "0.0.1"}), CONTENDERS)
    assert message == f"fwbench was 0.0.1, now it is {fwbench.__version__}"


def test_changed_contender_is_a_change(session: SessionHeader) -> None:
    flask, fastapi = session.contenders
    before = session.model_copy(
        update={"contenders": (flask.model_copy(update={"port": 1}), fastapi)}
    )
    assert changes.config_changes(before, CONTENDERS) == ("contender flask has changed: port",)


def test_missing_contender_is_a_change(session: SessionHeader) -> None:
    flask, fastapi = session.contenders
    gone = flask.model_copy(update={"name": "gone"})
    before = session.model_copy(update={"contenders": (gone, fastapi), "suite_file": None})
    assert changes.config_changes(before, CONTENDERS) == ("contender gone no longer exists",)


def test_unchanged_host_is_no_change(session: SessionHeader) -> None:
    assert (
        changes.host_changes(session, target_facts(listening_ports=(22, 80), price_per_hour=1.0))
        == ()
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": "6.1.0"}, "one-target: kernel was 6.12.57, now it is 6.1.0"),
        ({"cpus": 4}, "one-target: CPUs was 2, now it is 4"),
        ({"versions": {"h2load": "1.69.0"}}, "one-target: h2load was none, now it is 1.69.0"),
    ],
)
def test_changed_host_is_reported_with_old_and_new_value(
    session: SessionHeader, change: dict[str, object], message: str
) -> None:
    assert changes.host_changes(session, target_facts(**change)) == (message,)


def test_instance_type_that_was_unknown_is_no_change(session: SessionHeader) -> None:
    assert changes.host_changes(session, target_facts(instance_type="c7i.large")) == ()


def test_other_image_is_a_change(session: SessionHeader) -> None:
    image = target_facts().images[0]
    other = ImageFacts(**{**dict(image), "image_id": "sha256:other"})
    (message,) = changes.host_changes(session, target_facts(images=(other,)))
    assert "image of flask was sha256:0123" in message


def test_host_without_recorded_facts_is_no_change(session: SessionHeader) -> None:
    assert changes.host_changes(session, target_facts("another")) == ()


def test_changes_are_reported_with_advice(tmp_path: Path) -> None:
    message = changes.changed_message(
        tmp_path / "s", ["kernel was 1, now it is 2", "CPUs was 2, now it is 4"]
    )
    assert "kernel was 1, now it is 2; CPUs was 2, now it is 4." in message
    assert message.endswith(f"fwbench resume --fork {tmp_path}/s")
