"""The schemas accept what the loader accepts, and reject most of what it rejects."""

import copy
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from golden import Golden
from jsonschema import Draft202012Validator
from repository import ROOT

from fwbench.config.schemas import contender_schema, suite_schema
from fwbench.config.suites import load_contenders, parse_contender, parse_suite
from fwbench.config.yaml_lines import parse, read
from fwbench.errors import SuiteError

SUITES = sorted((ROOT / "suites").glob("*.yml"))
CONTENDERS = sorted((ROOT / "contenders").glob("*/contender.yml"))
SCHEMAS = {"suite": suite_schema(), "contender": contender_schema()}
VALIDATORS = {kind: Draft202012Validator(schema) for kind, schema in SCHEMAS.items()}
LOADED = load_contenders(ROOT / "contenders")
EVERYTHING: dict[str, Any] = {
    "name": "everything",
    "question": "What may a suite hold?",
    "contenders": ["flask", "fastapi"],
    "baseline": "flask",
    "endpoints": ["hello", "json"],
    "loads": [
        {"connections": [8, 16], "threads": 2, "rate": [100, 200.5], "duration_s": "1m30s"},
        {"connections": 8, "duration_s": 5, "warm_up_s": "2s", "search": {"lowest": 1}},
        {"connections": 8, "requests": 100},
        {"connections": 8, "duration_s": 5, "generator": "wrk"},
    ],
    "limits": [{"cpus": 1, "cpu_mode": "pinned", "memory": "1.5g"}, {"memory": 10**9}],
    "concurrency": [{"workers": 2, "threads": 8}],
    "networks": ["published", "host"],
    "preset": "standard",
    "blocks": 12,
    "stop": {"within_percent": 2, "at_least": 10},
    "margin_percent": 3,
    "seed": 7,
    "start_timeout_s": "20s",
    "thresholds": {"load_thread_cores": 0.7, "client_skew_s": "20ms"},
}
EVERYTHING["loads"][1]["search"] |= {"p99_ms": "0.05s", "highest": 1e4, "steps": 3}
VALUES: list[Any] = [
    *[None, True, 0, 1, -1, 3.5, 10**7, "", "x", "10s", "1m30s", "10 s", "512m", "512MiB", "1.5g"],
    *["Flask", "host", "quota", "fast", "wrk", [], [1], [1, 2.5], ["a"], {}, {"a": 1}],
]


def test_stored_schemas_are_current(golden: Golden) -> None:
    """`schemas/` matches the models and the loader; --rewrite-golden updates it."""
    for kind, schema in SCHEMAS.items():
        text = json.dumps(schema, indent=1) + "\n"
        golden.check(f"../../schemas/{kind}.schema.json", text)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_schema_is_a_valid_json_schema(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "file", [*SUITES, *CONTENDERS], ids=lambda file: f"{file.parent.name}-{file.name}"
)
def test_bundled_file_names_its_schema_and_conforms_to_it(file: Path) -> None:
    first = file.read_text().splitlines()[0]
    kind = "contender" if file in CONTENDERS else "suite"
    schema_path = file.parent / first.removeprefix("# yaml-language-server: $schema=")
    assert schema_path.resolve() == ROOT / "schemas" / f"{kind}.schema.json"
    assert not list(VALIDATORS[kind].iter_errors(read(file).value))


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*path, key))


def replace_at(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    value = copy.copy(value)
    value[path[0]] = replace_at(value[path[0]], path[1:], new)
    return value


def loader_accepts(kind: str, value: Any) -> bool:
    document = parse(json.dumps(value).encode(), "x.yml")
    try:
        parse_suite(document, LOADED) if kind == "suite" else parse_contender(document, "flask")
    except SuiteError:
        return False
    return True


FLASK: dict[str, Any] = json.loads(json.dumps(read(CONTENDERS[1]).value))
EXAMPLES = {"suite": EVERYTHING, "contender": FLASK}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_example_has_every_key_and_is_accepted(kind: str) -> None:
    assert EXAMPLES[kind].keys() == SCHEMAS[kind]["properties"].keys()
    assert loader_accepts(kind, EXAMPLES[kind])
    assert not list(VALIDATORS[kind].iter_errors(EXAMPLES[kind]))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_schema_accepts_what_the_loader_accepts(kind: str) -> None:
    accepted = 0
    for path, new in product(paths(EXAMPLES[kind]), VALUES):
        value = replace_at(EXAMPLES[kind], path, new)
        if loader_accepts(kind, value):
            accepted += 1
            assert not list(VALIDATORS[kind].iter_errors(value)), (path, new)
    assert accepted > 20


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("suite", ("blocks",), "12"),
        ("suite", ("blocks",), 0),
        ("suite", ("blokcs",), 12),
        ("suite", ("name",), "A b"),
        ("suite", ("loads",), []),
        ("suite", ("loads", 0, "connections"), "many"),
        ("suite", ("loads", 0, "connections"), [0]),
        ("suite", ("loads", 0, "duration_s"), "10 s"),
        ("suite", ("loads", 1, "search", "p99_ms"), "soon"),
        ("suite", ("loads", 2, "generator"), "ab"),
        ("suite", ("limits", 0, "memory"), "100 elephants"),
        ("suite", ("thresholds", "stael"), 1),
        ("suite", ("networks", 0), "wifi"),
        ("contender", ("name",), "flask"),
        ("contender", ("port",), 0),
        ("contender", ("endpoints", "hello", "path"), "x"),
        ("contender", ("endpoints",), {}),
    ],
)
def test_schema_rejects_what_the_loader_rejects(
    kind: str, path: tuple[Any, ...], value: Any
) -> None:
    parent: Any = (invalid := copy.deepcopy(EXAMPLES[kind]))
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    assert not loader_accepts(kind, invalid)
    assert list(VALIDATORS[kind].iter_errors(invalid))
