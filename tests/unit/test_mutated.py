"""Files as no one would write them: a model or one line of error, never more.

`--hypothesis-profile=long` tries five thousand of each.
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
SUITES = [path.read_bytes() for path in sorted((ROOT / "suites").glob("*.yml"))]
FEW_SUITES_AND_ALL_THAT_THEY_CAN_HOLD = [
    *SUITES,
    b"""\
name: everything
question: "What may a suite hold?"
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


def cut_or_put_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(len(content), start + 20)))
    return content[:start] + draw(st.binary(max_size=4)) + content[end:]


def put_token(draw: st.DrawFn, content: bytes) -> bytes:
    start = draw(st.integers(0, len(content)))
    return content[:start] + draw(st.sampled_from(TOKENS)).encode() + content[start:]


def replace_token(draw: st.DrawFn, content: bytes) -> bytes:
    words = list(re.finditer(rb"[\w.~/-]+|[^\w\s]", content))
    if not words:
        return content
    word = draw(st.sampled_from(words))
    token = draw(st.sampled_from(TOKENS)).encode()
    return content[: word.start()] + token + content[word.end() :]


def move_lines(draw: st.DrawFn, content: bytes) -> bytes:
    lines = content.split(b"\n")
    at, to = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    what = draw(st.sampled_from(["drop", "double", "move", "indent", "comment"]))
    if what == "double":
        lines.insert(to, lines[at])
    elif what == "indent":
        lines[at] = b" " * draw(st.integers(1, 5)) + lines[at]
    elif what == "comment":
        lines[at] = b"# " + lines[at]
    else:
        line = lines.pop(at)
        if what == "move":
            lines.insert(to, line)
    return b"\n".join(lines)


def change_writing(draw: st.DrawFn, content: bytes) -> bytes:
    if draw(st.booleans()):
        return content.replace(
            b"\n", draw(st.sampled_from([b"\r\n", b"\r", b"\n\r", b"\xe2\x80\xa8"]))
        )
    text = content.decode("utf-8", "replace")
    return text.encode(draw(st.sampled_from(ENCODINGS)), "replace")


def change_type(draw: st.DrawFn, content: bytes) -> bytes:
    """Another value in some place of what the file says, whatever it says."""
    value = at_the_same_depth(lambda: yaml.safe_load(content.decode()))
    if value is None:
        return content
    other = changed(draw, value)
    text = at_the_same_depth(lambda: yaml.safe_dump(other, allow_unicode=True))
    return content if text is None else text.encode("utf-8", "replace")


def change_json(draw: st.DrawFn, content: bytes) -> bytes:
    value = at_the_same_depth(lambda: json.loads(content))
    if value is None:
        return content
    other = changed(draw, value)
    text = at_the_same_depth(lambda: json.dumps(other))
    return content if text is None else text.encode()


def at_the_same_depth(do: Callable[[], Any]) -> Any:
    """What comes of it on a stack of its own; None if it fails.

    How deep a file may be before Python gives up depends on who asks, and the same draws have to
    give the same file.
    """
    with ThreadPoolExecutor(1) as thread:
        try:
            return thread.submit(do).result()
        except (ValueError, OverflowError, yaml.YAMLError, RecursionError):
            return None


def changed(draw: st.DrawFn, value: Any) -> Any:
    """The value with one within it replaced, taken away, renamed or wrapped."""
    places = list(within(value, ()))
    if not places:
        return draw(st.sampled_from(VALUES))
    *way, last = draw(st.sampled_from(places))
    holder = value
    for part in way:
        holder = holder[part]
    what = draw(st.sampled_from(["set", "set", "set", "drop", "rename", "wrap"]))
    if what == "drop":
        del holder[last]
    elif what == "rename" and isinstance(holder, dict):
        names = st.sampled_from([v for v in VALUES if isinstance(v, str)])
        name = draw(names | st.sampled_from(list(holder)))
        holder[name] = holder.pop(last)
    elif what == "wrap":
        for _ in range(draw(st.sampled_from([1, 2, 30, 400]))):
            holder[last] = [holder[last]] if draw(st.booleans()) else {"a": holder[last]}
    else:
        holder[last] = draw(st.sampled_from(VALUES))
    return value


def within(value: Any, way: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if len(way) > 8 or not isinstance(value, dict | list):
        return
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in list(pairs):
        yield (*way, key)
        if isinstance(part, dict | list):
            yield from within(part, (*way, key))


BY_TEXT = [cut_or_put_bytes, put_token, replace_token, replace_token, move_lines, change_writing]


@st.composite
def mutated(draw: st.DrawFn, bases: list[bytes], mutations: list[Mutation]) -> bytes:
    content = draw(st.sampled_from(bases))
    for _ in range(draw(st.integers(1, 4))):
        content = draw(st.sampled_from(mutations))(draw, content)
    return content


# A few hundred of each; thousands with the profile `long`.
many = settings(
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


@many
@given(content=mutated(FEW_SUITES_AND_ALL_THAT_THEY_CAN_HOLD, [*BY_TEXT, change_type, change_type]))
def test_a_mutated_suite_is_a_suite_or_one_line_of_error(
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


@many
@given(content=mutated([json.dumps(LISTING).encode()], [*BY_TEXT[1:4], change_json, change_json]))
def test_a_mutated_listing_is_rigs_or_one_line_of_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "mutated-hosts.yml"
    file.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inventory.subprocess, "run", lambda *_, **how: printed(content, **how))
        assert_rigs_or_one_line(file)


def printed(stdout: bytes, **how: Any) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run` gives of a program that prints this."""
    text = stdout.decode(how.get("encoding", "utf-8"), how.get("errors", "strict"))
    return subprocess.CompletedProcess([], 0, text, "")


def assert_rigs_or_one_line(file: Path) -> None:
    try:
        found = parse_rigs(inventory.list_inventory(inventory.Inventory((file,))), str(file))
    except InventoryError as error:
        assert_one_line(error, file)
    else:
        event("still rigs")
        assert [Rig.model_validate_json(rig.model_dump_json()) for rig in found] == list(found)


# Asking Ansible takes most of a second.
@settings(
    max_examples=max(6, settings().max_examples // 160), suppress_health_check=list(HealthCheck)
)
@given(
    content=mutated([EXAMPLE, INI], [*BY_TEXT, change_type]), suffix=st.sampled_from(["", ".yml"])
)
def test_a_mutated_inventory_file_is_rigs_or_one_line_of_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "mutated-inventory"
    folder.mkdir(exist_ok=True)
    file = folder / f"hosts{suffix}"
    file.write_bytes(content)
    assert_rigs_or_one_line(file)


def of_any_load(load: Load, number: int) -> Record:
    made = record(block=number)
    trial = made.run.trial.model_copy(update={"load": load})
    step = None if load.search is None else 1
    run = made.run.model_copy(update={"trial": trial, "step": step})
    seen = made.observation.model_copy(update={"offered_rate": None if step is None else 100.0})
    return made.model_copy(update={"run": run, "observation": seen})


SEARCH = TIMED.model_copy(update={"search": Search(p99_ms=5, lowest=10, highest=100, steps=2)})
LOADS = (TIMED, COUNTED, TIMED.model_copy(update={"rate": 100.0}), SEARCH)
RECORDS = "".join(
    of_any_load(load, number).model_dump_json() + "\n" for number, load in enumerate(LOADS, start=1)
).encode()


def change_record(draw: st.DrawFn, content: bytes) -> bytes:
    first, *others = content.split(b"\n")
    return b"\n".join([change_json(draw, first), *others])


@many
@given(content=mutated([RECORDS], [*BY_TEXT, change_record, change_record, change_record]))
def test_mutated_records_are_a_report_or_one_line_of_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    asked = suite(loads=LOADS, contenders=("flask",), stop=StoppingRule(within_percent=5))
    head = header(suite=asked, contenders=(FLASK,))
    plan = make_plan(asked, head.rigs)
    store = SessionStore(tmp_path_factory.getbasetemp() / "mutated-session")
    store.folder.mkdir(exist_ok=True)
    store.initialise(head, plan)
    file = store.folder / "records.jsonl"
    file.write_bytes(content)
    try:
        results = session_results(store.attempts())
    except SessionError as error:
        assert_names(error, Path(file.name) if str(error).startswith(file.name) else file)
    else:
        event("still records")
        summary = summarise(head, plan, results)
        assert Summary.model_validate_json(summary.model_dump_json()) == summary
        session = ReportedSession(str(store.folder), head, summary, results.runs, lambda _: {})
        for each in FORMATS.values():
            assert list(each.render(session))
