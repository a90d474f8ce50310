import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import ROOT

from fwbench.checks.registry import THRESHOLDS
from fwbench.config.suites import load_contenders, load_suite
from fwbench.errors import SuiteError
from fwbench.model.contender import Contender, Contract
from fwbench.model.load import Load
from fwbench.model.preset import Preset
from fwbench.model.setting import CpuMode, Limits
from fwbench.model.suite import Suite

BUNDLED_SUITES = sorted((ROOT / "suites").glob("*.yml"))

SUITE = """\
name: published
question: Is FastAPI three times as fast as Flask, as published?
contenders: [flask, fastapi]
baseline: flask
endpoints: [hello]
loads:
  - {connections: 40, requests: 1000}
limits:
  - {cpus: 1, memory: 100m}
blocks: 1
"""
CONTENDER = """\
summary: Flask behind gunicorn
port: 8001
workers: 4
threads: 32
processes: 5
endpoints:
  hello:
    path: /
    content_type: text/html; charset=utf-8
    body: "Hello, World!"
"""
CONTRACT = Contract(path="/", content_type="text/plain", body="Hello")
CONTENDERS = {
    name: Contender(
        name=name,
        summary=name,
        port=8001,
        workers=4,
        processes=5,
        endpoints={"hello": CONTRACT} if name == "bare" else {"hello": CONTRACT, "json": CONTRACT},
    )
    for name in ("bare", "fastapi", "flask")
}


FLASK_AA = {"flask-aa": CONTENDERS["flask"].model_copy(update={"name": "flask-aa"})}


def load_text(folder: Path, text: str | bytes) -> Suite:
    file = folder / "x.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_suite(file, CONTENDERS)


def load_error(folder: Path, text: str | bytes) -> str:
    """Return the error message without the path of the folder."""
    with pytest.raises(SuiteError) as caught:
        load_text(folder, text)
    return str(caught.value).removeprefix(f"{folder}/")


def edited_suite(old: str, new: str) -> str:
    assert old in SUITE
    return SUITE.replace(old, new)


def test_suite_has_the_values_of_its_file(tmp_path: Path) -> None:
    assert load_text(tmp_path, SUITE) == Suite(
        name="published",
        question="Is FastAPI three times as fast as Flask, as published?",
        contenders=("flask", "fastapi"),
        baseline="flask",
        endpoints=("hello",),
        loads=(Load(connections=40, requests=1000),),
        limits=(Limits(cpus=1, memory="100m"),),
        blocks=1,
        thresholds={name: threshold.default for name, threshold in THRESHOLDS.items()},
    )


def test_suite_has_every_threshold(tmp_path: Path) -> None:
    """A session thus stores all thresholds that it uses."""
    text = edited_suite("blocks: 1", "thresholds: {steal: 0.02, failed_requests: 1}")
    thresholds = load_text(tmp_path, text).thresholds
    assert thresholds.keys() == THRESHOLDS.keys()
    assert (thresholds["steal"], thresholds["failed_requests"], thresholds["drift"]) == (
        0.02,
        1,
        0.05,
    )


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        # names
        (
            "connections",
            "conections",
            "x.yml:7: loads[0].conections: unknown key; did you mean 'connections'? (and 1 more:"
            " see `fwbench validate`)",
        ),
        ("blocks: 1", "block: 1", "x.yml:10: block: unknown key; did you mean 'blocks'?"),
        ("cpus", "cpu", "x.yml:9: limits[0].cpu: unknown key; did you mean 'cpus'?"),
        (
            "blocks: 1",
            "xyzzy: 1",
            "x.yml:10: xyzzy: unknown key; known: baseline, blocks, concurrency, contenders,"
            " endpoints, limits, loads, margin_percent, name, networks, preset, question, seed,"
            " start_timeout_s, stop, thresholds",
        ),
        (
            "[flask, fastapi]",
            "[flask, fastapy]",
            "x.yml:3: contenders[1]: no contender is called 'fastapy'; did you mean 'fastapi'?",
        ),
        (
            "[flask, fastapi]",
            "[flask, rocket]",
            "x.yml:3: contenders[1]: no contender is called 'rocket'; known: bare, fastapi, flask",
        ),
        (
            "[hello]",
            "[hello, jsn]",
            "x.yml:5: endpoints[1]: contender 'flask' has no endpoint 'jsn'; did you mean 'json'?",
        ),
        ("baseline: flask", "baseline: bare", "x.yml:4: baseline: 'bare' is not among the"),
        ("blocks: 1", "blocks: 1\nblocks: 2", "x.yml:11: blocks: is already set on line 10"),
        # missing keys
        ("name: published\n", "", "x.yml:1: name: is missing"),
        ("{connections: 40, requests: 1000}", "{requests: 9}", "x.yml:7: loads[0].connections: is"),
        ("[flask, fastapi]", "[]", "x.yml:3: contenders: must not be empty"),
        # types of values
        ("40", "'40'", "x.yml:7: loads[0].connections: must be a whole number, not '40'"),
        ("40", "true", "x.yml:7: loads[0].connections: must be a whole number, not true"),
        ("40", "40.5", "x.yml:7: loads[0].connections: must be a whole number, not 40.5"),
        ("40", "", "x.yml:7: loads[0].connections: must be a whole number, not empty"),
        ("cpus: 1", "cpus: one", "x.yml:9: limits[0].cpus: must be a number, not 'one'"),
        ("[flask, fastapi]", "flask", "x.yml:3: contenders: must be a list, not 'flask'"),
        ("{connections: 40, requests: 1000}", "40", "x.yml:7: loads[0]: must be a mapping of keys"),
        ("question: Is", "question: {a: 1} #", "x.yml:2: question: must be text; put it in quotes"),
        # ranges of values
        ("40", "0", "x.yml:7: loads[0].connections: must be at least 1, not 0"),
        ("blocks: 1", "blocks: 1001", "x.yml:10: blocks: must be at most 1000, not 1001"),
        ("cpus: 1", "cpus: 0", "x.yml:9: limits[0].cpus: must be more than 0"),
        (
            "100m",
            "100 elephants",
            "x.yml:9: limits[0].memory: must be an amount of memory such as 512m, 1g or 1.5g,"
            " not '100 elephants'",
        ),
        ("name: published", "name: Pub lished", "x.yml:1: name: must be lower-case letters"),
        ("blocks: 1", "preset: fast", "x.yml:10: preset: must be 'smoke', 'standard' or 'publish'"),
        (
            "blocks: 1",
            "thresholds: {completion_gap: 1}",
            "x.yml:10: thresholds.completion_gap: unknown key; did you mean 'completion_gap_s'?",
        ),
        (
            "blocks: 1",
            "thresholds:\n  steal: 0.02\n  failed_requests: 1.5",
            "x.yml:12: thresholds.failed_requests: must be at most 1",
        ),
        (
            "blocks: 1",
            "thresholds: {failed_requests: -1}",
            "x.yml:10: thresholds.failed_requests: must be at least 0",
        ),
        ("blocks: 1", "thresholds: {steal: x}", "x.yml:10: thresholds.steal: must be a number, n"),
        ("blocks: 1", "thresholds: {steal: '1'}", "x.yml:10: thresholds.steal: must be a number"),
        ("blocks: 1", "thresholds: {steal: .nan}", "x.yml:10: thresholds.steal: "),
        ("blocks: 1", "thresholds: {steal: }", "x.yml:10: thresholds.steal: must be a number, n"),
        ("blocks: 1", "thresholds: [steal]", "x.yml:10: thresholds: must be a mapping of keys"),
        # sweeps
        ("40", "[10, 0]", "x.yml:7: loads[0].connections: must be at least 1, not 0"),
        ("40", "[]", "x.yml:7: loads[0].connections: must be a whole number, not a list"),
        (
            "  - {connections: 40, requests: 1000}",
            "  - {connections: [1, 2], duration_s: 1}\n  - {connections: 0, duration_s: 1}",
            "x.yml:8: loads[1].connections: must be at least 1, not 0",
        ),
        # conflicting keys
        ("cpus: 1", "cpu_mode: quota", "x.yml:9: limits[0].cpu_mode: needs cpus"),
        # durations
        (
            "requests: 1000",
            "duration_s: 10 s",
            "x.yml:7: loads[0].duration_s: must be a number of seconds, or a duration such as 10s"
            " or 1m30s, not '10 s'",
        ),
        (
            "requests: 1000",
            "duration_s: 1500ms",
            "x.yml:7: loads[0].duration_s: must be a whole number, not 1.5",
        ),
        (
            "requests: 1000",
            "duration_s: 9, search: {p99_ms: soon, lowest: 1, highest: 9}",
            "x.yml:7: loads[0].search.p99_ms: must be a number of milliseconds, or a duration",
        ),
        (
            "cpus: 1",
            "cpus: 1.5, cpu_mode: pinned",
            "x.yml:9: limits[0].cpu_mode: 1.5 CPUs cannot be",
        ),
        (
            "requests: 1000",
            "requests: 1000, rate: 5",
            "x.yml:7: loads[0]: rate and search need duration_s",
        ),
        (
            "requests: 1000",
            "duration_s: 2, search: {p99_ms: 5, lowest: 9, highest: 9}",
            "x.yml:7: loads[0].search: lowest (9) must be below highest (9)",
        ),
        (
            "blocks: 1",
            "stop: {within_percent: 1}\nblocks: 9",
            "x.yml:10: stop.at_least: (10) is more",
        ),
        (
            "requests: 1000",
            "requests: 10",
            "x.yml:7: loads[0]: 10 requests cannot occupy 40 connections",
        ),
        ("[flask, fastapi]", "[flask, flask]", "x.yml:3: contenders[1]: repeats contenders[0]"),
    ],
)
def test_error_names_file_line_and_key(tmp_path: Path, old: str, new: str, error: str) -> None:
    assert load_error(tmp_path, edited_suite(old, new)).startswith(error)


def test_list_of_connections_or_rates_is_a_sweep(tmp_path: Path) -> None:
    sweep = "{connections: [10, 20], rate: [100, 200], duration_s: 2}"
    loads = load_text(tmp_path, edited_suite("{connections: 40, requests: 1000}", sweep)).loads
    assert [(load.connections, load.rate) for load in loads] == [
        (10, 100),
        (10, 200),
        (20, 100),
        (20, 200),
    ]


def test_error_message_counts_the_remaining_errors(tmp_path: Path) -> None:
    text = edited_suite("40", "many").replace("blocks: 1", "block: 1")
    assert load_error(tmp_path, text).endswith("not 'many' (and 1 more: see `fwbench validate`)")


def test_error_has_all_problems_in_file_order(tmp_path: Path) -> None:
    text = (
        edited_suite("40", "[many, 0]")
        .replace("blocks: 1", "block: 1\nstart_timeout_s: 5 parsecs")
        .replace("name: published\n", "")
        .replace("[flask, fastapi]", "[flask, rocket]")
        .replace("[hello]", "[hello, jsn]")
    )
    file = tmp_path / "x.yml"
    file.write_text(text)
    with pytest.raises(SuiteError) as caught:
        load_suite(file, CONTENDERS)
    assert [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems] == [
        "x.yml:1: name: is missing",
        "x.yml:2: contenders[1]: no contender is called 'rocket'; known: bare, fastapi, flask",
        "x.yml:4: endpoints[1]: contender 'flask' has no endpoint 'jsn'; did you mean 'json'?",
        "x.yml:6: loads[0].connections: must be a whole number, not 'many'",
        "x.yml:6: loads[0].connections: must be at least 1, not 0",
        "x.yml:9: block: unknown key; did you mean 'blocks'?",
        "x.yml:10: start_timeout_s: must be a number of seconds, or a duration such as 10s or"
        " 1m30s, not '5 parsecs'",
    ]


def test_unsuitable_loads_are_listed_with_other_problems(tmp_path: Path) -> None:
    unknown = "{connections: 4, duration_s: 1, generator: ab}"
    loads = f"{unknown}\n  - {{connections: 4, requests: 9, generator: wrk}}"
    text = edited_suite("{connections: 40, requests: 1000}", loads).replace(
        "blocks: 1", "blocks: 0"
    )
    file = tmp_path / "x.yml"
    file.write_text(text)
    with pytest.raises(SuiteError) as caught:
        load_suite(file, CONTENDERS)
    generator, requests, blocks = caught.value.problems
    assert "x.yml:7: loads[0].generator: no load generator is called 'ab'" in generator
    assert "x.yml:8: loads[1].requests: " in requests
    assert "x.yml:11: blocks: must be at least 1" in blocks


def test_durations_and_memory_accept_units(tmp_path: Path) -> None:
    timed = "duration_s: 1m30s, warm_up_s: 2s, search: {p99_ms: 0.05s, lowest: 1, highest: 9}"
    text = (
        edited_suite("requests: 1000", timed)
        .replace("100m", "1.5GiB")
        .replace("blocks: 1", "start_timeout_s: 1m\nthresholds: {client_skew_s: 20ms}")
    )
    suite = load_text(tmp_path, text)
    (load,), (limits,) = suite.loads, suite.limits
    assert load.search is not None
    assert (load.duration_s, load.warm_up_s, load.search.p99_ms) == (90, 2, 50)
    assert (limits.memory, suite.start_timeout_s) == ("1536m", 60)
    assert suite.thresholds["client_skew_s"] == 0.02


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n"])
def test_file_without_keys_is_an_error(tmp_path: Path, text: str) -> None:
    assert load_error(tmp_path, text) == "x.yml:1: must be a mapping of keys to values"


def test_contender_must_have_every_endpoint_of_the_suite(tmp_path: Path) -> None:
    text = SUITE.replace("[flask, fastapi]", "[flask, bare]").replace("[hello]", "[hello, json]")
    assert load_error(tmp_path, text) == (
        "x.yml:5: endpoints[1]: contender 'bare' has no endpoint 'json'; known: hello"
    )


def test_missing_file_and_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="no such file"):
        load_suite(tmp_path / "none.yml", CONTENDERS)
    with pytest.raises(SuiteError, match="not a file"):
        load_suite(tmp_path, CONTENDERS)
    with pytest.raises(SuiteError, match="no such file"):
        load_suite(tmp_path / "a\0b", CONTENDERS)


FRAGMENTS = [
    *[
        b"",
        b"&a ",
        b"*a",
        b"!!set ",
        b"[",
        b"{",
        b"- ",
        b": ",
        b"\n",
        b"'",
        b'"',
        b"~",
        b"?",
        b"|\n",
    ],
    *[b"-1", b"9" * 30, b"1e400", b"\xff", b"\0", b"\t", b"\xe2\x80\xa8", b"loads", b"true"],
]


@st.composite
def mutated_suite(draw: st.DrawFn) -> bytes:
    """Return the suite with a few parts replaced by YAML fragments or random bytes."""
    text = SUITE.encode()
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 30)))
        fragments = st.sampled_from(FRAGMENTS)
        text = text[:start] + draw(fragments | st.binary(max_size=5)) + text[end:]
    return text


@given(content=mutated_suite())
@settings(max_examples=300)
def test_any_bytes_give_a_suite_or_a_one_line_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        load_text(folder, content)
    except SuiteError as error:
        for message in (str(error).removesuffix(": see `fwbench validate`)"), *error.problems):
            assert message.startswith(f"{folder}/x.yml")
            assert "\n" not in message
            assert not re.search("Input should|pydantic|validat|Field required|literal", message)


# Contenders


def write_contender(folder: Path, text: str, name: str = "flask") -> dict[str, Contender]:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "contender.yml").write_text(text)
    return load_contenders(folder)


def test_contender_is_named_after_its_folder(tmp_path: Path) -> None:
    contenders = write_contender(tmp_path, CONTENDER)
    assert list(contenders) == ["flask"]
    assert contenders["flask"].name == "flask"
    assert contenders["flask"].endpoints["hello"].body == "Hello, World!"


def test_contenders_are_sorted_by_name(tmp_path: Path) -> None:
    for name in ("c", "a", "b"):
        write_contender(tmp_path, CONTENDER, name)
    (tmp_path / "no-contender").mkdir()
    assert list(load_contenders(tmp_path)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("path", "pth", "8: endpoints.hello.pth: unknown key; did you mean 'path'?"),
        ("path: /", "path: hello", "8: endpoints.hello.path: must begin with /"),
        ("port: 8001", "port: 80010", "2: port: must be at most 65535, not 80010"),
        ("hello:", "Hello World:", "7: endpoints.'Hello World': must be lower-case letters"),
        ("summary", "name: flask\nsummary", "1: name: remove this key"),
    ],
)
def test_contender_error_names_its_line(tmp_path: Path, old: str, new: str, error: str) -> None:
    with pytest.raises(SuiteError) as caught:
        write_contender(tmp_path, CONTENDER.replace(old, new, 1))
    assert str(caught.value).startswith(f"{tmp_path}/flask/contender.yml:{error}")


def test_folder_without_contenders_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="has no contender"):
        load_contenders(tmp_path / "missing")


# Bundled suites


@pytest.mark.parametrize("file", BUNDLED_SUITES, ids=lambda file: file.stem)
def test_bundled_suite_loads_and_is_named_after_its_file(file: Path) -> None:
    assert load_suite(file, load_contenders(ROOT / "contenders")).name == file.stem


def test_published_suite_has_the_published_settings() -> None:
    suite = load_suite(ROOT / "suites" / "published.yml", load_contenders(ROOT / "contenders"))
    assert suite.loads == (Load(connections=40, requests=1000),)
    assert suite.limits == (Limits(cpus=1, cpu_mode=CpuMode.QUOTA, memory="100m"),)
    assert (suite.contenders, suite.blocks) == (("flask", "fastapi"), 1)


def test_flask_vs_fastapi_compares_equal_answers() -> None:
    contenders = load_contenders(ROOT / "contenders")
    suite = load_suite(ROOT / "suites" / "flask-vs-fastapi.yml", contenders)
    answers = {
        (contract.status, contract.content_type, contract.body)
        for name in suite.contenders
        for contract in [contenders[name].endpoints["json"]]
    }
    assert suite.endpoints == ("json",)
    assert len(answers) == 1
    assert suite.blocks >= 10


def test_contender_with_the_name_of_the_control_is_rejected(tmp_path: Path) -> None:
    """Tables, run ids and findings could not distinguish the two."""
    file = tmp_path / "x.yml"
    file.write_text(SUITE.replace("[flask, fastapi]", "[flask, flask-aa]"))
    with pytest.raises(
        SuiteError, match=r"x\.yml:3: contenders\[1\]: 'flask-aa' is the name of the A"
    ):
        load_suite(file, CONTENDERS | FLASK_AA)


@pytest.mark.parametrize("setting", ["preset: smoke", "baseline: flask-aa"])
def test_name_of_the_control_is_free_without_a_control(tmp_path: Path, setting: str) -> None:
    file = tmp_path / "x.yml"
    text = SUITE.replace("[flask, fastapi]", "[flask, flask-aa]")
    if setting.startswith("baseline"):
        text = text.replace("baseline: flask\n", "")
    file.write_text(f"{text}{setting}\n")
    assert load_suite(file, CONTENDERS | FLASK_AA).contenders == ("flask", "flask-aa")


def test_unsuitable_preset_is_an_error_of_the_suite(tmp_path: Path) -> None:
    smoke = SUITE.replace("blocks: 1\n", "preset: smoke\n")
    file = tmp_path / "x.yml"
    file.write_text(smoke.replace("[flask, fastapi]", "[flask, flask-aa]"))
    assert load_suite(file, CONTENDERS | FLASK_AA).preset is Preset.SMOKE
    with pytest.raises(
        SuiteError, match=r"x\.yml:3: contenders\[1\], with preset=standard: 'flask-aa'"
    ):
        load_suite(file, CONTENDERS | FLASK_AA, ["preset=standard"])
    many = ", ".join(map(str, range(1, 1001)))
    large = smoke.replace("connections: 40, ", f"connections: [{many}], ")
    file.write_text(large.replace("[flask, fastapi]", "[flask, fastapi, bare]"))
    with pytest.raises(SuiteError, match="with preset=publish: it has 120000 runs") as caught:
        load_suite(file, CONTENDERS, ["preset=publish"])
    assert "\n" not in str(caught.value)
