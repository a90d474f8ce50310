from pathlib import Path

import pytest
from repository import ROOT

from fwbench.config.overrides import contenders_override, override
from fwbench.config.suites import load_contenders, load_suite
from fwbench.config.yaml_lines import Document, parse
from fwbench.errors import SuiteError
from fwbench.model.preset import Preset
from fwbench.model.suite import Suite

CONTENDERS = load_contenders(ROOT / "contenders")
SUITE = """\
name: mine
question: How fast is it?
contenders: [flask, fastapi]
baseline: flask
loads:
  - {connections: 40, duration_s: 8}
blocks: 12
stop: {within_percent: 1}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.yml"
    path.write_text(SUITE)
    return path


def document() -> Document:
    return parse(SUITE.encode(), "x.yml")


def load_error(file: Path, *overrides: str) -> str:
    with pytest.raises(SuiteError) as caught:
        load_suite(file, CONTENDERS, overrides)
    return str(caught.value).removeprefix(f"{file.parent}/")


def suite_value(suite: Suite, path: str) -> object:
    return {
        "connections": [load.connections for load in suite.loads],
        "seed": suite.seed,
        "steal": suite.thresholds["steal"],
        "baseline": suite.baseline,
        "duration": suite.loads[0].duration_s,
        "memory": [limits.memory for limits in suite.limits],
    }[path]


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("loads.0.connections=64", "connections", [64]),
        ("loads[0].connections=64", "connections", [64]),
        ("loads.0.connections=[8, 16]", "connections", [8, 16]),
        ("loads=[{connections: 3, duration_s: 1m}]", "duration", 60),
        ("seed=7", "seed", 7),
        ("thresholds.steal=0.5", "steal", 0.5),
        ("limits=[{memory: 1g}]", "memory", ["1g"]),
        ("baseline=", "baseline", None),
    ],
)
def test_override_replaces_the_value_of_the_file(
    file: Path, text: str, path: str, value: object
) -> None:
    assert suite_value(load_suite(file, CONTENDERS), path) != value
    assert suite_value(load_suite(file, CONTENDERS, [text]), path) == value


def test_last_of_two_overrides_wins(file: Path) -> None:
    assert load_suite(file, CONTENDERS, ["seed=7", "seed=8"]).seed == 8


@pytest.mark.parametrize("order", [1, -1])
def test_preset_replaces_blocks_and_stopping_rule(file: Path, order: int) -> None:
    suite = load_suite(file, CONTENDERS, ["preset=publish"])
    assert (suite.preset, suite.blocks, suite.stop) == (Preset.PUBLISH, 30, None)
    assert load_suite(file, CONTENDERS, ["preset=smoke", "blocks=3"][::order]).blocks == 3


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "loads.0.connections=0",
            "command line: loads.0.connections=0: loads[0].connections: must be at least 1, not 0",
        ),
        (
            "loads.0.conections=4",
            "command line: loads.0.conections=4: loads[0].conections: unknown key; did you mean"
            " 'connections'?",
        ),
        ("blocks=1m", "command line: blocks=1m: blocks: must be a whole number, not '1m'"),
        (
            "loads=[{duration_s: 1}]",
            "command line: loads=[{duration_s: 1}]: loads[0].connections: is missing",
        ),
        (
            "contenders=[flask, rocket]",
            "command line: contenders=[flask, rocket]: contenders[1]: no contender is called"
            " 'rocket'; known: fastapi, flask",
        ),
        # conflicts within the file, and between the file and the override
        ("blocks=9", "x.yml:8: stop.at_least, with blocks=9: (10) is more than the 9 blocks"),
        (
            "contenders=[fastapi]",
            "x.yml:4: baseline, with contenders=[fastapi]: 'flask' is not among the contenders",
        ),
        (
            "loads.0.requests=99",
            "x.yml:6: loads[0], with loads.0.requests=99: set either requests or duration_s",
        ),
        # keys that cannot be set
        (
            "loads.1.connections=4",
            "command line: 'loads.1.connections=4': loads ends before entry 1 in",
        ),
        ("limits.0.cpus=4", "command line: 'limits.0.cpus=4': limits is not a list in the file"),
        ("name.x=4", "command line: 'name.x=4': name is not a mapping in the file"),
        ("blocks", "'blocks': write an override as KEY=VALUE, such as blocks=3"),
        ("=3", "'=3': write an override as KEY=VALUE, such as blocks=3"),
        ("loads=[", "command line: loads:1: is not YAML: "),
        ("seed=&a 1", "command line: seed:1: anchors (&name) are not supported"),
    ],
)
def test_override_error_names_override_and_key(file: Path, text: str, error: str) -> None:
    assert load_error(file, text).startswith(error)


def test_file_errors_keep_their_lines_despite_overrides(file: Path) -> None:
    file.write_text(SUITE.replace("blocks: 12", "blocks: many"))
    assert load_error(file, "seed=7") == "x.yml:7: blocks: must be a whole number, not 'many'"


def test_contenders_override_keeps_baseline_and_order() -> None:
    assert contenders_override(document(), ["fastapi"]) == 'contenders=["flask", "fastapi"]'
    assert contenders_override(document(), ["fastapi", "flask"]) == (
        'contenders=["flask", "fastapi"]'
    )
    without_baseline = override(document(), ["baseline=null"])
    assert contenders_override(without_baseline, ["fastapi"]) == 'contenders=["fastapi"]'


def test_unknown_contender_is_an_error() -> None:
    with pytest.raises(
        SuiteError, match="--contender 'rocket': the suite has the contenders flask"
    ):
        contenders_override(document(), ["rocket"])
