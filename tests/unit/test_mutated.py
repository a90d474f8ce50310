"""Mutated files either load, or cause an error of one line.

`--hypothesis-profile=long` tries five thousand examples in each test.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import COUNTED, FLASK, TIMED, header, record, suite
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from repository import ROOT

from fwbench.config.suites import load_contenders, load_suite
from fwbench.errors import FwbenchError, InventoryError, SessionError, SuiteError
from fwbench.inventory.rigs import parse_rigs
from fwbench.model.host import Rig
from fwbench.model.load import Load, Search
from fwbench.model.record import Record
from fwbench.model.suite import StoppingRule, Suite
from fwbench.plan import make_plan
from fwbench.provisioning import inventory
from fwbench.report.format import ReportedSession
from fwbench.report.registry import FORMATS
from fwbench.stats.session_results import session_results
from fwbench.stats.summarise import summarise
from fwbench.stats.summary import Summary
from fwbench.storage.store import SessionStore

CONTENDERS = load_contenders(ROOT / "contenders")
SHIPPED_SUITES = [path.read_bytes() for path in sorted((ROOT / "suites").glob("*.yml"))]
SUITES_AND_ONE_WITH_ALL_KEYS = [
    *SHIPPED_SUITES,
    b"""\
name: everything
question: "Which keys can a suite have?"
contenders: [flask, fastapi]
baseline: flask
endpoints: [hello, json]
loads:
  - {connections: [10, 20], threads: 2, rate: [500, 1000.5], warm_up_s: 1, duration_s: 8}
  - {connections: 8, duration_s: 5, search: {p99_ms: 50, lowest: 10, highest: 1e4, steps: 3}}
limits:
  - {cpus: 1, cpu_mode: pinned, memory: 512m}
  - {cpus: 0.5}
concurrency: [{workers: 2, threads: 8}]
networks: [published, host]
preset: standard
blocks: 12
stop: {within_percent: 2, at_least: 10}
margin_percent: 3
seed: 7
start_timeout_s: 20
thresholds: {load_thread_cores: 0.7}
""",
]
VARIABLES = {
    "ansible_user": "admin",
    "ansible_ssh_private_key_file": "~/.ssh/id_ed25519",
    "fwbench_ca_certs": ["/usr/local/share/ca-certificates/company.crt"],
}
LISTING = {
    "_meta": {
        "hostvars": {
            "target-1": VARIABLES
            | {"ansible_host": "192.0.2.10", "fwbench_load_address": "198.51.100.10"}
            | {"fwbench_rig": "a", "fwbench_known_hosts": "~/known", "ansible_port": 2222},
            "target-2": VARIABLES
            | {"ansible_host": {"__ansible_unsafe": "192.0.2.11"}}
            | {"fwbench_rig": "b"},
            "client-1": VARIABLES | {"ansible_host": "192.0.2.20", "fwbench_rig": "a"},
            "client-2": VARIABLES | {"ansible_port": "22", "fwbench_rig": "b"},
        }
    },
    "all": {"children": ["ungrouped", "targets", "clients"]},
    "targets": {"hosts": ["target-1"], "children": ["more"]},
    "more": {"hosts": ["target-2"]},
    "clients": {"hosts": ["client-1", "client-2"]},
}
INI = b"""\
[targets]
target-1 ansible_host=192.0.2.10 fwbench_load_address=198.51.100.10

[clients]
client-1 ansible_host=192.0.2.20 ansible_port=2222

[all:vars]
ansible_user=admin
"""
EXAMPLE = (ROOT / "inventory" / "example.yml").read_bytes()

TOKENS = [
    *["~", "null", "true", "no", "0", "-1", "010", "0x1f", "1e400", ".inf", "-.nan", "9" * 17],
    *["9" * 5000, "1_000", "1:30", "2026-11-23", "[]", "{}", "[[]]", "{a: {b: [c]}}", "''", '""'],
    *["&a", "*a", "&a [*a, *a]", "<<: *a", "<<", "!!python/object/apply:os.system [id]", "!!set"],
    *["!!binary aGk=", "!vault", "!unsafe x", "=", "?", "? [a]", "|", ">", "|9", "---", "...", "%"],
    *["%YAML 9.9", "%TAG ! x", "@", "`id`", "$(id)", "; id", "../../etc/passwd", "-rf", "--help"],
    *["{{ 1 }}", "{% raw %}", "{#", "a: b: c", "'", '"', "\\", "#", ",", "[", "]", "{", "}"],
    *["\t", "\r", "\r\n", "\n", "\n\n", "\0", "\x1b[2J", "\x07", "\x85", "\u2028", "\u202e"],
    *["\ufeff", "\uffff", "\U0010ffff", "é", "名", "x" * 3000, "[" * 900, "{a: " * 400],
    *['"\\ud800"', '"\\u001b[2J"', '"\\0"', '"\\UFFFFFFFF"', '"\\x"', '"a\\nb"', '"a\\u202eb"'],
]
VALUES: list[Any] = [
    *[None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, 5e-324],
    *["", " ", "-x", "a\nb", "a\0b", "\x1b[31m", "\u202e", "../..", "{{ 1 }}", "$(id)", "x" * 5000],
    *["22", "０", "~", "~nobody-of-this-name/x", [], {}, [[]], [None], {"": None}, {"a": []}],
    {"__ansible_unsafe": 1},
    {"__ansible_unsafe": "x"},
    {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n3133"},
]
ENCODINGS = ["utf-8-sig", "utf-16", "utf-32", "latin-1", "cp037", "utf-7"]

Mutation = Callable[[st.DrawFn, bytes], bytes]


def replace_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(len(content), start + 20)))
    return content[:start] + draw(st.binary(max_size=4)) + content[end:]


def insert_token(draw: st.DrawFn, content: bytes) -> bytes:
    start = draw(st.integers(0, len(content)))
    return content[:start] + draw(st.sampled_from(TOKENS)).encode() + content[start:]


def replace_token(draw: st.DrawFn, content: bytes) -> bytes:
    tokens = list(re.finditer(rb"[\w.~/-]+|[^\w\s]", content))
    if not tokens:
        return content
    match = draw(st.sampled_from(tokens))
    replacement = draw(st.sampled_from(TOKENS)).encode()
    return content[: match.start()] + replacement + content[match.end() :]


def move_lines(draw: st.DrawFn, content: bytes) -> bytes:
    lines = content.split(b"\n")
    source, destination = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    action = draw(st.sampled_from(["drop", "double", "move", "indent", "comment"]))
    if action == "double":
        lines.insert(destination, lines[source])
    elif action == "indent":
        lines[source] = b" " * draw(st.integers(1, 5)) + lines[source]
    elif action == "comment":
        lines[source] = b"# " + lines[source]
    else:
        line = lines.pop(source)
        if action == "move":
            lines.insert(destination, line)
    return b"\n".join(lines)


def change_encoding(draw: st.DrawFn, content: bytes) -> bytes:
    if draw(st.booleans()):
        return content.replace(
            b"\n", draw(st.sampled_from([b"\r\n", b"\r", b"\n\r", b"\xe2\x80\xa8"]))
        )
    text = content.decode("utf-8", "replace")
    return text.encode(draw(st.sampled_from(ENCODINGS)), "replace")


def change_yaml(draw: st.DrawFn, content: bytes) -> bytes:
    """Mutate one value of a YAML file. Content that does not parse is returned unchanged."""
    value = with_own_stack(lambda: yaml.safe_load(content.decode()))
    if value is None:
        return content
    mutated_value = mutate_value(draw, value)
    text = with_own_stack(lambda: yaml.safe_dump(mutated_value, allow_unicode=True))
    return content if text is None else text.encode("utf-8", "replace")


def change_json(draw: st.DrawFn, content: bytes) -> bytes:
    value = with_own_stack(lambda: json.loads(content))
    if value is None:
        return content
    mutated_value = mutate_value(draw, value)
    text = with_own_stack(lambda: json.dumps(mutated_value))
    return content if text is None else text.encode()


def with_own_stack(function: Callable[[], Any]) -> Any:
    """Return the function's result, computed in a new thread; None if it fails.

    The depth at which Python raises `RecursionError` depends on the caller's stack. In a new
    thread it does not, so the same draws always give the same file.
    """
    with ThreadPoolExecutor(1) as thread:
        try:
            return thread.submit(function).result()
        except (ValueError, OverflowError, yaml.YAMLError, RecursionError):
            return None


def mutate_value(draw: st.DrawFn, value: Any) -> Any:
    """Replace, delete, rename or wrap one value inside the value."""
    paths = list(key_paths(value, ()))
    if not paths:
        return draw(st.sampled_from(VALUES))
    *path, last = draw(st.sampled_from(paths))
    holder = value
    for part in path:
        holder = holder[part]
    action = draw(st.sampled_from(["set", "set", "set", "drop", "rename", "wrap"]))
    if action == "drop":
        del holder[last]
    elif action == "rename" and isinstance(holder, dict):
        names = st.sampled_from([v for v in VALUES if isinstance(v, str)])
        name = draw(names | st.sampled_from(list(holder)))
        holder[name] = holder.pop(last)
    elif action == "wrap":
        for _ in range(draw(st.sampled_from([1, 2, 30, 400]))):
            holder[last] = [holder[last]] if draw(st.booleans()) else {"a": holder[last]}
    else:
        holder[last] = draw(st.sampled_from(VALUES))
    return value


def key_paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if len(path) > 8 or not isinstance(value, dict | list):
        return
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in list(pairs):
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from key_paths(part, (*path, key))


TEXT_MUTATIONS = [
    replace_bytes,
    insert_token,
    replace_token,
    replace_token,
    move_lines,
    change_encoding,
]


@st.composite
def mutated(draw: st.DrawFn, bases: list[bytes], mutations: list[Mutation]) -> bytes:
    content = draw(st.sampled_from(bases))
    for _ in range(draw(st.integers(1, 4))):
        content = draw(st.sampled_from(mutations))(draw, content)
    return content


# 300 examples, or 5000 with the profile `long`.
many_examples = settings(
    max_examples=max(300, settings().max_examples), suppress_health_check=list(HealthCheck)
)


def assert_one_line(error: FwbenchError, file: Path) -> None:
    assert_names(error, file)
    assert not re.search("Input should|pydantic|Field required", str(error))


def assert_names(error: FwbenchError, file: Path) -> None:
    message = str(error)
    assert message.startswith(str(file))
    assert message.isprintable()
    assert len(message) < 2000 + len(str(file))


@many_examples
@given(content=mutated(SUITES_AND_ONE_WITH_ALL_KEYS, [*TEXT_MUTATIONS, change_yaml, change_yaml]))
def test_mutated_suite_loads_or_causes_one_line_of_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "mutated-suite.yml"
    file.write_bytes(content)
    try:
        suite = load_suite(file, CONTENDERS)
    except SuiteError as error:
        assert_one_line(error, file)
    else:
        event("still a suite")
        assert Suite.model_validate_json(suite.model_dump_json()) == suite


@many_examples
@given(
    content=mutated(
        [json.dumps(LISTING).encode()], [*TEXT_MUTATIONS[1:4], change_json, change_json]
    )
)
def test_mutated_listing_gives_rigs_or_one_line_of_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "mutated-hosts.yml"
    file.touch()
    with pytest.MonkeyPatch.context() as patch:
        text = content.decode("utf-8", "backslashreplace")
        completed = subprocess.CompletedProcess[str]([], 0, text, "")
        patch.setattr(inventory, "run_limited", lambda *_: completed)
        assert_rigs_or_one_line(file)


def assert_rigs_or_one_line(file: Path) -> None:
    try:
        rigs = parse_rigs(inventory.list_inventory(inventory.Inventory((file,))), str(file))
    except InventoryError as error:
        assert_one_line(error, file)
    else:
        event("still rigs")
        assert [Rig.model_validate_json(rig.model_dump_json()) for rig in rigs] == list(rigs)


# One run of `ansible-inventory` takes most of a second.
@settings(
    max_examples=max(6, settings().max_examples // 160), suppress_health_check=list(HealthCheck)
)
@given(
    content=mutated([EXAMPLE, INI], [*TEXT_MUTATIONS, change_yaml]),
    suffix=st.sampled_from(["", ".yml"]),
)
def test_mutated_inventory_file_gives_rigs_or_one_line_of_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "mutated-inventory"
    folder.mkdir(exist_ok=True)
    file = folder / f"hosts{suffix}"
    file.write_bytes(content)
    assert_rigs_or_one_line(file)


def record_with_load(load: Load, block: int) -> Record:
    template = record(block=block)
    trial = template.run.trial.model_copy(update={"load": load})
    step = None if load.search is None else 1
    run = template.run.model_copy(update={"trial": trial, "step": step})
    observation = template.observation.model_copy(
        update={"offered_rate": None if step is None else 100.0}
    )
    return template.model_copy(update={"run": run, "observation": observation})


SEARCH = TIMED.model_copy(update={"search": Search(p99_ms=5, lowest=10, highest=100, steps=2)})
LOADS = (TIMED, COUNTED, TIMED.model_copy(update={"rate": 100.0}), SEARCH)
RECORDS = "".join(
    record_with_load(load, number).model_dump_json() + "\n"
    for number, load in enumerate(LOADS, start=1)
).encode()


def change_record(draw: st.DrawFn, content: bytes) -> bytes:
    first, *rest = content.split(b"\n")
    return b"\n".join([change_json(draw, first), *rest])


@many_examples
@given(content=mutated([RECORDS], [*TEXT_MUTATIONS, change_record, change_record, change_record]))
def test_mutated_records_give_a_report_or_one_line_of_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    all_loads = suite(loads=LOADS, contenders=("flask",), stop=StoppingRule(within_percent=5))
    session_header = header(suite=all_loads, contenders=(FLASK,))
    plan = make_plan(all_loads, session_header.rigs)
    store = SessionStore(tmp_path_factory.getbasetemp() / "mutated-session")
    store.folder.mkdir(exist_ok=True)
    store.initialise(session_header, plan)
    file = store.folder / "records.jsonl"
    file.write_bytes(content)
    try:
        results = session_results(store.attempts())
    except SessionError as error:
        assert_names(error, Path(file.name) if str(error).startswith(file.name) else file)
    else:
        event("still records")
        summary = summarise(session_header, plan, results)
        assert Summary.model_validate_json(summary.model_dump_json()) == summary
        session = ReportedSession(
            str(store.folder), session_header, summary, results.runs, lambda _: {}
        )
        for report_format in FORMATS.values():
            assert list(report_format.render(session))
