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
def begun(tmp_path: Path) -> SessionHeader:
    """The header of a session that was begun with this very program and a suite in a file."""
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


def edit(begun: SessionHeader, before: str, after: str) -> None:
    assert begun.suite_file is not None
    text = begun.suite_file.read_text()
    assert before in text
    begun.suite_file.write_text(text.replace(before, after))


def test_a_question_that_is_what_it_was_has_not_changed(begun: SessionHeader) -> None:
    assert changes.config_changes(begun, CONTENDERS) == ()


def test_a_comment_is_no_change(begun: SessionHeader) -> None:
    edit(begun, "blocks: 3", "blocks: 3  # enough for now")
    assert changes.config_changes(begun, CONTENDERS) == ()


@pytest.mark.parametrize(
    "overrides", [("preset=smoke",), ("blocks=4", "loads.0.connections=3"), ("baseline=",)]
)
def test_what_was_set_on_the_command_line_is_no_change(
    begun: SessionHeader, overrides: tuple[str, ...]
) -> None:
    assert begun.suite_file is not None
    suite = load_suite(begun.suite_file, CONTENDERS, overrides)
    begun = begun.model_copy(update={"suite": suite, "overrides": overrides})
    assert changes.config_changes(begun, CONTENDERS) == ()
    edit(begun, "duration_s: 2", "duration_s: 3")
    assert changes.config_changes(begun, CONTENDERS) == (f"{begun.suite_file} has changed: loads",)


def test_a_file_that_no_longer_has_what_was_set_is_a_change(begun: SessionHeader) -> None:
    edit(begun, "loads:\n  - {", "loads: {")
    begun = begun.model_copy(update={"overrides": ("loads.0.connections=3",)})
    (said,) = changes.config_changes(begun, CONTENDERS)
    assert "loads is not a list in the file" in said


def test_a_suite_that_asks_something_else_is_told_with_its_keys(begun: SessionHeader) -> None:
    edit(begun, "connections: 10", "connections: 11")
    edit(begun, "blocks: 3", "blocks: 4")
    (said,) = changes.config_changes(begun, CONTENDERS)
    assert said == f"{begun.suite_file} has changed: loads, blocks"


def test_a_file_that_is_no_suite_any_more_is_told_with_its_line(begun: SessionHeader) -> None:
    edit(begun, "blocks: 3", "blocks: many")
    (said,) = changes.config_changes(begun, CONTENDERS)
    assert said.startswith(f"{begun.suite_file}:8")


def test_a_file_that_is_gone_has_not_changed(begun: SessionHeader) -> None:
    assert begun.suite_file is not None
    begun.suite_file.unlink()
    assert changes.config_changes(begun, CONTENDERS) == ()


def test_another_version_of_the_program_is_a_change(begun: SessionHeader) -> None:
    (said,) = changes.config_changes(begun.model_copy(update={"fwbench": "0.0.1"}), CONTENDERS)
    assert said == f"fwbench was 0.0.1, now it is {fwbench.__version__}"


def test_another_contract_is_a_change(begun: SessionHeader) -> None:
    flask, fastapi = begun.contenders
    before = begun.model_copy(
        update={"contenders": (flask.model_copy(update={"port": 1}), fastapi)}
    )
    assert changes.config_changes(before, CONTENDERS) == ("contender flask has changed: port",)


def test_a_contender_that_is_gone_is_a_change(begun: SessionHeader) -> None:
    flask, fastapi = begun.contenders
    gone = flask.model_copy(update={"name": "gone"})
    before = begun.model_copy(update={"contenders": (gone, fastapi), "suite_file": None})
    assert changes.config_changes(before, CONTENDERS) == ("contender gone no longer exists",)


def test_a_host_that_is_what_it_was_has_not_changed(begun: SessionHeader) -> None:
    assert (
        changes.host_changes(begun, target_facts(listening_ports=(22, 80), price_per_hour=1.0))
        == ()
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kernel": "6.1.0"}, "one-target: kernel was 6.12.57, now it is 6.1.0"),
        ({"cpus": 4}, "one-target: CPUs was 2, now it is 4"),
        ({"versions": {"h2load": "1.69.0"}}, "one-target: h2load was none, now it is 1.69.0"),
    ],
)
def test_a_host_that_changed_is_told_with_before_and_after(
    begun: SessionHeader, change: dict[str, object], said: str
) -> None:
    assert changes.host_changes(begun, target_facts(**change)) == (said,)


def test_an_instance_type_that_was_not_told_once_has_not_changed(begun: SessionHeader) -> None:
    assert changes.host_changes(begun, target_facts(instance_type="c7i.large")) == ()


def test_another_image_is_a_change(begun: SessionHeader) -> None:
    image = target_facts().images[0]
    other = ImageFacts(**{**dict(image), "image_id": "sha256:other"})
    (said,) = changes.host_changes(begun, target_facts(images=(other,)))
    assert "image of flask was sha256:0123" in said


def test_of_a_host_that_was_never_reached_nothing_is_known(begun: SessionHeader) -> None:
    assert changes.host_changes(begun, target_facts("another")) == ()


def test_what_changed_comes_with_what_to_do(tmp_path: Path) -> None:
    said = changes.changed_message(
        tmp_path / "s", ["kernel was 1, now it is 2", "CPUs was 2, now it is 4"]
    )
    assert "kernel was 1, now it is 2; CPUs was 2, now it is 4." in said
    assert said.endswith(f"fwbench resume --fork {tmp_path}/s")
