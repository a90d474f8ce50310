"""Hostile text wherever a file, a host or a server can put it: an error or data, nothing else.

`docs/security.md` says what is promised; each promise names its test here or elsewhere.
"""

import io
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from builders import FASTAPI, FLASK, container, header, suite
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import ROOT
from rich.console import Console

from fwbench.cli import progress
from fwbench.collection import files
from fwbench.collection.telemetry import ClockReading
from fwbench.config.suites import load_contenders, load_suite
from fwbench.errors import HostError, InventoryError, RunError, SessionError, SuiteError
from fwbench.execution.container import endpoint_url, run_argv
from fwbench.execution.session import Session, SessionOptions
from fwbench.hosts import preflight
from fwbench.inventory.rigs import parse_rigs
from fwbench.loadgen.registry import generator_of
from fwbench.model.base import Frozen
from fwbench.model.contender import Contender
from fwbench.model.host import Rig, Target
from fwbench.model.host_check import HostCheck
from fwbench.model.observation import ContainerState
from fwbench.model.play import HostResult, PlayResult
from fwbench.model.record import SessionHeader
from fwbench.model.setting import Network
from fwbench.model.suite import Suite
from fwbench.plan import make_plan
from fwbench.report.commands.hosts import host_check_table, play_table
from fwbench.report.session.facts import host_lines as facts_of_hosts
from fwbench.ssh.remote import Completed
from fwbench.storage.store import SessionStore

HOSTILE = [
    *["; touch pwned", "$(touch pwned)", "`touch pwned`", "| touch pwned", "& touch pwned", "> x"],
    *[
        "a\ntouch pwned",
        "a\r\nb",
        "a\0b",
        "\x1b[2J\x1b]0;pwned\x07",
        "\x9b31m",
        "a\u202eb",
        "\u2028",
    ],
    *["-oProxyCommand=touch pwned", "--privileged", "-v/:/host", "-", "--", "=x", "a=b"],
    *["../../etc/passwd", "/etc/passwd", "..", ".", "~root", "a/../../b", "file:///etc/passwd"],
    *["{{ lookup('pipe', 'touch pwned') }}", "{% for x in y %}", "${IFS}", "%n%s", "*", "?", "!x"],
    *["'", '"', "'\"`", "\\", "a b", "", " ", "\t", "#x", "é\u0301", "名前", "𝕏", "x" * 100_000],
    *["[/red]", "[bold]x", ":smile:", "\ufeff", "\u200b", "@x", "a:b", "a,b", "::1", "[::1]:22"],
]
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

SUITE: dict[str, Any] = {
    "name": "suite",
    "question": "Why?",
    "contenders": ["flask", "fastapi"],
    "baseline": "flask",
    "endpoints": ["hello"],
    "loads": [{"connections": 8, "threads": 2, "rate": 100, "warm_up_s": 1, "duration_s": 5}],
    "limits": [{"cpus": 1, "cpu_mode": "quota", "memory": "512m"}],
    "concurrency": [{"workers": 2, "threads": 2}],
    "networks": ["published"],
    "preset": "standard",
    "blocks": 12,
    "stop": {"within_percent": 2, "at_least": 10},
    "margin_percent": 2,
    "seed": 1,
    "start_timeout_s": 30,
    "thresholds": {"completion_gap_s": 1},
}
CONTENDER: dict[str, Any] = {
    "summary": "Flask",
    "port": 8001,
    "workers": 4,
    "threads": 32,
    "processes": 5,
    "endpoints": {
        "hello": {"path": "/", "status": 200, "content_type": "text/plain", "body": "Hello"}
    },
}


def ways(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value that is neither a list nor a mapping."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from ways(value[key], (*way, key))
    else:
        yield way


def replaced(value: Any, way: tuple[Any, ...], by: str, *, key: bool = False) -> Any:
    """A copy with something else there; with `key`, under another name instead."""
    copy = json.loads(json.dumps(value))
    holder = copy
    for part in way[:-1]:
        holder = holder[part]
    if key:
        holder[by] = holder.pop(way[-1])
    else:
        holder[way[-1]] = by
    return copy


def written(file: Path, value: Any) -> Path:
    """JSON in ASCII is YAML, with escapes for what YAML forbids as it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))
    return file


def assert_one_line(error: Exception, file: Path) -> None:
    assert str(error).startswith(str(file))
    assert str(error).isprintable()
    assert len(str(error)) < 1000 + len(str(file))


def words_of(asked: Suite, contender: Contender = FLASK) -> Iterator[list[str]]:
    """Every command that comes of a suite, for the target's engine and for the load generator."""
    for setting in asked.settings:
        for address in ("192.0.2.1", "fd00::1"):
            for contract in contender.endpoints.values():
                at = endpoint_url(address, contender, contract)
                yield run_argv("fwbench-s-r1", contender, "sha256:0", setting, address, "s", (0, 1))
                generator = generator_of(setting.load)
                yield generator.command_line(setting.load, at, PurePosixPath("/var/tmp/x"))


# A suite


@pytest.mark.parametrize("way", list(ways(SUITE)), ids=str)
def test_hostile_text_in_a_suite_is_an_error_or_data(tmp_path: Path, way: tuple[Any, ...]) -> None:
    honest = list(words_of(Suite.model_validate(SUITE)))
    for text in HOSTILE:
        file = written(tmp_path / "suite.yml", replaced(SUITE, way, text))
        try:
            asked = load_suite(file, {"flask": FLASK, "fastapi": FASTAPI})
        except SuiteError as error:
            assert_one_line(error, file)
            continue
        assert way == ("question",)
        assert asked.question == text
        assert list(words_of(asked)) == honest


@pytest.mark.parametrize(
    "way", [("name",), ("loads", 0, "rate"), ("thresholds", "completion_gap_s")], ids=str
)
def test_a_hostile_key_of_a_suite_is_an_error(tmp_path: Path, way: tuple[Any, ...]) -> None:
    for text in HOSTILE:
        file = written(tmp_path / "suite.yml", replaced(SUITE, way, text, key=True))
        with pytest.raises(SuiteError) as caught:
            load_suite(file, {"flask": FLASK, "fastapi": FASTAPI})
        assert_one_line(caught.value, file)


def test_what_a_suite_names_is_no_path_and_no_option() -> None:
    for run in make_plan(suite(), [Rig.model_validate(RIG | {"name": "../../x"})]).runs:
        assert NAME.fullmatch(run.id)
        assert NAME.fullmatch(run.trial.contender)
        folder = SessionStore(Path("/s")).run_folder(run.id)
        assert Path(*folder.parts).resolve().is_relative_to("/s/runs")


def loads(number: int) -> list[dict[str, Any]]:
    return [{"connections": n, "duration_s": 1} for n in range(1, number + 1)]


@pytest.mark.parametrize(
    ("most", "more", "problem"),
    [
        (
            {"loads": [{"connections": list(range(1, 1001)), "duration_s": 1}], "blocks": 1},
            {"loads": [{"connections": list(range(1, 1002)), "duration_s": 1}], "blocks": 1},
            "1001 loads",
        ),
        (
            {"loads": loads(1000), "blocks": 1},
            {"loads": loads(1001), "blocks": 1},
            "must have at most 1000 entries",
        ),
        # The baseline runs twice in each block, beside one other contender.
        (
            {"loads": loads(40), "blocks": 833},
            {"loads": loads(40), "blocks": 834},
            "has 100080 runs",
        ),
        ({"blocks": 1000}, {"blocks": 1001}, "blocks"),
    ],
    ids=["loads of a sweep", "entries of a list", "runs of a rig", "blocks"],
)
def test_a_suite_cannot_ask_for_more_than_can_be_planned(
    tmp_path: Path, most: dict[str, Any], more: dict[str, Any], problem: str
) -> None:
    base = {key: value for key, value in SUITE.items() if key != "stop"}
    file = written(tmp_path / "suite.yml", base | most)
    load_suite(file, {"flask": FLASK, "fastapi": FASTAPI})
    written(file, base | more)
    with pytest.raises(SuiteError, match=re.escape(problem)) as caught:
        load_suite(file, {"flask": FLASK, "fastapi": FASTAPI})
    assert_one_line(caught.value, file)


def test_an_error_about_many_entries_names_one_and_counts_the_others(tmp_path: Path) -> None:
    file = written(tmp_path / "suite.yml", SUITE | {"contenders": ["A"] * 20_000})
    with pytest.raises(SuiteError, match=re.escape("(and 19999 more: ")):
        load_suite(file, {"flask": FLASK, "fastapi": FASTAPI})


# A contender


@pytest.mark.parametrize("way", list(ways(CONTENDER)), ids=str)
def test_hostile_text_in_a_contender_is_an_error_or_data(
    tmp_path: Path, way: tuple[Any, ...]
) -> None:
    for text in HOSTILE:
        written(tmp_path / "flask" / "contender.yml", replaced(CONTENDER, way, text))
        try:
            (contender,) = load_contenders(tmp_path).values()
        except SuiteError as error:
            assert_one_line(error, tmp_path)
            continue
        assert way[-1] in ("summary", "path", "content_type", "body")
        for words in words_of(suite(), contender):
            assert shlex.split(shlex.join(words)) == words
        for contract in contender.endpoints.values():
            at = urlsplit(endpoint_url("192.0.2.1", contender, contract))
            assert (at.scheme, at.netloc) == ("http", "192.0.2.1:8001")


def test_a_hostile_name_of_an_endpoint_or_of_a_folder_is_an_error(tmp_path: Path) -> None:
    for number, text in enumerate(HOSTILE):
        hostile = replaced(CONTENDER, ("endpoints", "hello"), text, key=True)
        file = written(tmp_path / str(number) / "flask" / "contender.yml", hostile)
        with pytest.raises(SuiteError) as caught:
            load_contenders(file.parents[1])
        assert_one_line(caught.value, file)
    for text in ("; touch pwned", "$(id)", "-x", "Flask", "{{ x }}", "a\nb", "\x1b[2J"):
        written(tmp_path / "named" / text / "contender.yml", CONTENDER)
        with pytest.raises(SuiteError, match="must be lower-case"):
            load_contenders(tmp_path / "named")
        (tmp_path / "named" / text / "contender.yml").unlink()


def test_a_container_has_no_privileges_and_is_reached_on_one_address() -> None:
    asked = suite(networks=(Network.PUBLISHED, Network.HOST))
    for words in words_of(asked):
        if words[0] != "docker":
            continue
        assert {"--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only"} <= set(words)
        forbidden = "--(privileged|volume|mount|cap-add|device|pid=|ipc|userns)|-v|.*docker.sock"
        assert not [word for word in words if re.match(forbidden, word)]
        published = [word for word in words if word.startswith("--publish")]
        bound = [word for word in words if word.startswith("--env=FWBENCH_BIND")]
        assert len(published) + len(bound) == 1
        address = (published + bound)[0].partition("=")[2]
        assert re.match(r"(FWBENCH_BIND=)?(192\.0\.2\.1|\[fd00::1\])(:|$)", address)
    for name in ("flask", "fastapi"):
        dockerfile = (ROOT / "contenders" / name / "Dockerfile").read_text()
        assert re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE) == ["10001:10001"]


# An inventory

RIG: dict[str, Any] = {
    "target": {"name": "t", "address": "t", "load_address": "t"},
    "clients": [{"name": "c", "address": "c"}],
}
TEXTS = [
    *["ansible_host", "ansible_user", "ansible_ssh_private_key_file", "fwbench_known_hosts"],
    *["fwbench_load_address", "fwbench_rig", "fwbench_instance_type", "fwbench_region"],
]
REFUSING = [
    *["ansible_port", "fwbench_price_per_hour", "ansible_become", "ansible_ssh_common_args"],
    *["ansible_connection", "ansible_ssh_executable", "ansible_become_exe", "ansible_ssh_args"],
]


def listing(target: str, variables: dict[str, Any]) -> dict[str, Any]:
    rig = {"fwbench_rig": variables["fwbench_rig"]} if "fwbench_rig" in variables else {}
    return {
        "_meta": {"hostvars": {target: variables, "c": rig}},
        "targets": {"hosts": [target]},
        "clients": {"hosts": ["c"]},
    }


@pytest.mark.parametrize("key", TEXTS)
def test_hostile_text_in_a_variable_is_an_error_or_data(key: str) -> None:
    for text in HOSTILE:
        try:
            (rig,) = parse_rigs(listing("t", {key: text}), "hosts.yml")
        except InventoryError as error:
            assert_one_line(error, Path("hosts.yml"))
            continue
        said = json.loads(rig.model_dump_json())
        values = {rig.name, *(str(value) for value in said["target"].values())}
        assert text in values or key.endswith(("file", "known_hosts"))
        assert text.isprintable()
        assert not text.startswith("-")
        assert "{{" not in text


@pytest.mark.parametrize("key", REFUSING)
def test_hostile_text_in_a_variable_with_a_meaning_is_an_error(key: str) -> None:
    for text in HOSTILE:
        if key == "ansible_ssh_common_args" and not text.strip():
            continue
        with pytest.raises(InventoryError) as caught:
            parse_rigs(listing("t", {key: text}), "hosts.yml")
        assert_one_line(caught.value, Path("hosts.yml"))


def test_a_hostile_name_of_a_host_or_a_group_is_an_error_or_data() -> None:
    for text in HOSTILE:
        in_group = {"targets": {"hosts": [], "children": [text]}, text: {"hosts": ["t"]}}
        for inventory in (listing(text, {}), listing("t", {}) | in_group):
            try:
                (rig,) = parse_rigs(inventory, "hosts.yml")
            except InventoryError as error:
                assert_one_line(error, Path("hosts.yml"))
            else:
                assert rig.target.name in (text, "t")
                assert rig.target.name.isprintable()


@pytest.mark.parametrize(
    "key",
    [
        *["ansible_password", "ansible_ssh_pass", "ansible_become_password", "ansible_become_pass"],
        *["contender_images_pip_index_url", "my_token", "ansible_ssh_private_key_passphrase"],
        *["ansible_ssh_common_args", "ansible_ssh_extra_args", "fwbench_rig_token"],
    ],
)
def test_a_secret_of_the_inventory_is_in_no_error_and_in_nothing_that_is_kept(key: str) -> None:
    secret = "https://me:hunter2@index.example/simple"
    try:
        told = header(rigs=parse_rigs(listing("t", {key: secret}), "hosts.yml")).model_dump_json()
    except InventoryError as error:
        told = str(error)
    assert "hunter2" not in told


# Hosts


def test_what_a_host_says_of_itself_steers_no_terminal() -> None:
    honest = header()
    for text in HOSTILE[:40]:
        lying = honest.facts[0].model_copy(
            update={"system": text, "kernel": text, "cpu_model": text, "engine": text}
        )
        page = facts_of_hosts(honest.model_copy(update={"facts": (lying, honest.facts[1])}))
        assert page.replace("\n", "").isprintable()
        assert "touch pwned\n" not in page or "touch pwned" in text


# Roles

# Constants of the roles, and what the same host said.
OWN_WORDS = {
    "docker_engine_state_dir",
    "fwbench_host_kept_records | join(' ')",
    "fwbench_host_record_new",
    "fwbench_host_state_dir",
    "fwbench_host_update_lists",
    "contender_images_confined",
    "contender_images_debian_base",
    "contender_images_list_build_records",
    "contender_images_target_dir.path",
}


def shell_lines() -> Iterator[tuple[str, str]]:
    """Every text that a role or a playbook gives to a shell, and where it is."""
    variables = yaml.safe_load((ROOT / "roles/fwbench_host/vars/main.yml").read_text())
    for name in ("fwbench_host_record_new", "fwbench_host_update_lists"):
        yield name, variables[name]
    files = [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")]
    for file in sorted(files):
        for task in within(yaml.safe_load(file.read_text())):
            for module in ("ansible.builtin.shell", "ansible.builtin.raw"):
                if module in task:
                    given = task[module]
                    yield file.name, given["cmd"] if isinstance(given, dict) else given


def within(value: Any) -> Iterator[dict[str, Any]]:
    for part in value.values() if isinstance(value, dict) else value:
        if isinstance(part, dict | list):
            yield from within(part)
    if isinstance(value, dict):
        yield value


def test_what_the_roles_put_into_shell_lines_is_quoted() -> None:
    found = 0
    for where, line in shell_lines():
        without_raw = re.sub(r"\{% raw %\}.*?\{% endraw %\}", "", line, flags=re.DOTALL)
        for words in re.findall(r"\{\{(.*?)\}\}", without_raw, re.DOTALL):
            found += 1
            quoted = re.search(r"\|\s*quote\s*$|map\('quote'\)\s*\|\s*join\(' '\)\s*$", words)
            assert quoted or words.strip() in OWN_WORDS, f"{where}: {words}"
    assert found > 10


def test_the_roles_confine_the_containers_that_they_start() -> None:
    options = yaml.safe_load((ROOT / "roles/contender_images/vars/main.yml").read_text())
    confined = options["contender_images_confined"].split()
    assert {"--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only"} <= set(confined)
    assert "--network=none" in confined
    assert [option for option in confined if re.fullmatch("--pids-limit=[0-9]{1,3}", option)]
    starts = [line for where, line in shell_lines() if "docker run" in line]
    assert len(starts) == 2
    for line in starts:
        assert line.count("docker run") == 1
        assert "docker run {{ contender_images_confined }} --entrypoint" in line


def test_tasks_that_see_the_credentials_of_an_index_say_nothing() -> None:
    seen = 0
    for file in sorted(ROOT.glob("roles/contender_images/tasks/*.yml")):
        for task in within(yaml.safe_load(file.read_text())):
            own = {
                key: part for key, part in task.items() if key not in ("block", "rescue", "always")
            }
            if "name" in task and re.search(r"pip_(extra_)?index_url", json.dumps(own)):
                seen += 1
                assert task.get("no_log") is True, f"{file.name}: {task['name']}"
    assert seen
    specs = yaml.safe_load((ROOT / "roles/contender_images/meta/argument_specs.yml").read_text())
    for entry in specs["argument_specs"].values():
        for name in ("contender_images_pip_index_url", "contender_images_pip_extra_index_urls"):
            assert entry["options"][name]["no_log"] is True


# What leaves a host


class Liar:
    """A `Remote` whose files say what a test wants."""

    name = "t"

    def __init__(self, content: bytes) -> None:
        self.content = content

    def execute(self, argv: Sequence[str], **_: Any) -> Completed:
        return Completed(argv=tuple(argv), exit_status=0, stderr="")

    def check(self, argv: Sequence[str], **_: Any) -> None:
        pass

    def put(self, content: bytes, path: str) -> None:
        pass

    def get(self, _path: str, to: Path, _limit_bytes: int = 0) -> None:
        to.write_bytes(self.content)

    def exists(self, _path: str) -> bool:
        return True


TEXT = st.sampled_from(HOSTILE[:50]) | st.just("\ud800")
NUMBERS = st.sampled_from([0, -1, 1.5, 10**400, 2**63, float("inf"), float("nan"), True, None])
HONEST_FACTS = json.loads(header().facts[0].model_dump_json(exclude={"host"}))


@given(
    way=st.sampled_from(list(ways(HONEST_FACTS))),
    by=TEXT | NUMBERS,
    deep=st.sampled_from([0, 5000]),
)
@settings(max_examples=300)
def test_facts_of_a_liar_are_facts_or_one_line_of_error(
    way: tuple[Any, ...], by: Any, deep: int
) -> None:
    content = json.dumps(replaced(HONEST_FACTS, way, by)).encode()
    if deep:
        content = content.replace(b"null", b"[" * deep + b"]" * deep, 1)
    target = Target(name="t", address="t", load_address="t")
    try:
        facts = preflight.read_facts(Liar(content), target, PurePosixPath("/x"))
    except HostError as error:
        assert_one_line(error, Path("t: "))
    else:
        kept = header(facts=(facts.model_copy(update={"host": "one-target"}),))
        assert SessionHeader.model_validate_json(kept.model_dump_json()) == kept
        assert facts_of_hosts(kept).replace("\n", "").isprintable()


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
@pytest.mark.parametrize("kind", [ContainerState, ClockReading])
def test_a_number_that_could_not_be_kept_is_refused(kind: type[Frozen], number: str) -> None:
    honest: Frozen = container()
    if kind is ClockReading:
        honest = ClockReading(asked_s=1, host_s=2, answered_s=3)
    key = "idle_wait_s" if kind is ContainerState else "host_s"
    lying = json.dumps(json.loads(honest.model_dump_json()) | {key: "x"}).replace('"x"', number)
    with pytest.raises(RunError):
        files.read_model(kind, lying, Path("x.json"))


def test_the_log_the_processes_and_the_tmp_of_a_container_are_bounded() -> None:
    words = next(words_of(suite()))
    assert {"--log-driver=local", "--log-opt=max-size=4m", "--log-opt=max-file=2"} <= set(words)
    (limit,) = (word.partition("=")[2] for word in words if word.startswith("--pids-limit"))
    assert 1024 <= int(limit) <= 16_384
    assert [word for word in words if word.startswith("--tmpfs")] == ["--tmpfs=/tmp:size=256m"]


# What people see


def test_an_error_is_one_line_that_steers_no_terminal_whatever_it_quotes() -> None:
    for text in HOSTILE:
        assert str(HostError(f"t: {text}")).isprintable()


def test_a_host_that_is_called_like_a_number_is_shown_as_it_is() -> None:
    hosts = tuple(HostResult(host=name, changed=1) for name in ("007", "1e5"))
    named = [
        Rig.model_validate(RIG | {"name": "r", "target": RIG["target"] | {"name": h.host}})
        for h in hosts
    ]
    page = play_table(PlayResult(hosts=hosts), named)
    assert "007" in page
    assert "1e5" in page


def test_what_a_host_says_of_itself_steers_no_terminal_of_doctor() -> None:
    target = Target(name="t", address="t", load_address="t")
    for text in HOSTILE:
        facts = header().facts[0].model_copy(update={"system": text, "engine": text})
        page = host_check_table([HostCheck(host=target, rig="r", is_target=True, facts=facts)])
        assert len(page.splitlines()) == 3
        assert page.replace("\n", "").isprintable()


def test_progress_takes_no_name_for_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    plan = make_plan(suite(), [Rig.model_validate(RIG | {"name": "[/red]"})])
    with progress.SessionProgress() as watcher:
        watcher.planned(plan)
        watcher.started(plan.runs[0])
    with progress.PlaybookProgress("provision of [/red]") as tasks:
        tasks.task("[/red]")
    assert "[/red]" in console.file.getvalue()  # type: ignore[attr-defined]


# What Ansible would evaluate


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ansible_ssh_timeout", "{{ lookup('pipe', 'touch pwned') }}"),
        ("ansible_python_interpreter", "{% set x = 1 %}/usr/bin/python3"),
        ("fwbench_ca_certs", ["/x.crt", "{{ lookup('file', '~/.ssh/id_ed25519') }}"]),
        ("contender_images_build_arguments", {"A": {"b": ["{{ 1 }}"]}}),
        ("contender_images_build_arguments", {"{{ 1 }}": "a"}),
        ("contender_images_build_arguments", {"__ansible_unsafe": "{{ 1 }}"}),
        ("contender_images_pip_index_url", "{{ lookup('env', 'A') ~ lookup('pipe', 'id') }}"),
        ("ansible_python_interpreter", "/bin/sh -c 'touch pwned' #"),
        ("ansible_remote_tmp", "/tmp/$(touch pwned)"),
        ("ansible_shell_executable", "/bin/sh; touch pwned"),
    ],
)
def test_what_ansible_would_make_a_command_of_is_refused(key: str, value: object) -> None:
    with pytest.raises(InventoryError) as caught:
        parse_rigs(listing("t", {key: value}), "hosts.yml")
    assert_one_line(caught.value, Path("hosts.yml"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("contender_images_pip_index_url", "{{ lookup('env', 'PIP_INDEX_URL') }}"),
        ("somebody_elses", "{{ lookup('pipe', 'id') }}"),
        ("ansible_python_interpreter", "/usr/bin/python3.13"),
        ("ansible_python_interpreter", "auto_silent"),
        ("ansible_remote_tmp", "~/.ansible/tmp"),
    ],
)
def test_what_ansible_makes_no_command_of_is_let_through(key: str, value: object) -> None:
    assert parse_rigs(listing("t", {key: value}), "hosts.yml")


def test_a_rate_that_no_clock_could_keep_is_refused(tmp_path: Path) -> None:
    for lowest, highest in ((5e-324, 100.0), (10.0, 1e308)):
        search = {"p99_ms": 5, "lowest": lowest, "highest": highest}
        loads = [{"connections": 1, "duration_s": 1, "search": search}]
        file = written(tmp_path / "suite.yml", SUITE | {"loads": loads})
        with pytest.raises(SuiteError, match="must be at"):
            load_suite(file, {"flask": FLASK, "fastapi": FASTAPI})


def test_a_session_is_called_as_nothing_that_hosts_would_misread(tmp_path: Path) -> None:
    for name in ("a b", "$(id)", "-x", "A", "a=b", "x" * 101):
        store = SessionStore.create(tmp_path / name)
        with pytest.raises(SessionError, match="is not the name of a session"):
            Session(
                header(),
                make_plan(suite(), header().rigs),
                store,
                SessionOptions(progress.SessionProgress()),
            )
