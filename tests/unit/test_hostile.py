"""Hostile text from files, hosts and servers causes an error or stays data. It is never executed.

`docs/security.md` lists the promises, each with its test here or elsewhere.
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


def leaf_paths(value: Any, key_path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the keys that lead to each value that is neither a list nor a mapping."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaf_paths(value[key], (*key_path, key))
    else:
        yield key_path


def replace_at(
    value: Any, key_path: tuple[Any, ...], text: str, *, rename_key: bool = False
) -> Any:
    """Return a copy with `text` as the value at `key_path`, or as the name of its last key."""
    copy = json.loads(json.dumps(value))
    holder = copy
    for part in key_path[:-1]:
        holder = holder[part]
    if rename_key:
        holder[text] = holder.pop(key_path[-1])
    else:
        holder[key_path[-1]] = text
    return copy


def write_json(file: Path, value: Any) -> Path:
    """Write the value as JSON in ASCII: valid YAML, with escapes for what YAML forbids."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))
    return file


def assert_one_line(error: Exception, file: Path) -> None:
    assert str(error).startswith(str(file))
    assert str(error).isprintable()
    assert len(str(error)) < 1000 + len(str(file))


def commands(suite: Suite, contender: Contender = FLASK) -> Iterator[list[str]]:
    """Yield the commands that a suite causes: of the target's engine and of the load generator."""
    for setting in suite.settings:
        for address in ("192.0.2.1", "fd00::1"):
            for contract in contender.endpoints.values():
                url = endpoint_url(address, contender, contract)
                yield run_argv("fwbench-s-r1", contender, "sha256:0", setting, address, "s", (0, 1))
                generator = generator_of(setting.load)
                yield generator.command_line(setting.load, url, PurePosixPath("/var/tmp/x"))


# A suite


@pytest.mark.parametrize("key_path", list(leaf_paths(SUITE)), ids=str)
def test_hostile_text_in_a_suite_is_an_error_or_data(
    tmp_path: Path, key_path: tuple[Any, ...]
) -> None:
    expected = list(commands(Suite.model_validate(SUITE)))
    for text in HOSTILE:
        file = write_json(tmp_path / "suite.yml", replace_at(SUITE, key_path, text))
        try:
            suite = load_suite(file, {"flask": FLASK, "fastapi": FASTAPI})
        except SuiteError as error:
            assert_one_line(error, file)
            continue
        assert key_path == ("question",)
        assert suite.question == text
        assert list(commands(suite)) == expected


@pytest.mark.parametrize(
    "key_path", [("name",), ("loads", 0, "rate"), ("thresholds", "completion_gap_s")], ids=str
)
def test_hostile_key_in_a_suite_is_an_error(tmp_path: Path, key_path: tuple[Any, ...]) -> None:
    for text in HOSTILE:
        file = write_json(
            tmp_path / "suite.yml", replace_at(SUITE, key_path, text, rename_key=True)
        )
        with pytest.raises(SuiteError) as caught:
            load_suite(file, {"flask": FLASK, "fastapi": FASTAPI})
        assert_one_line(caught.value, file)


def test_run_ids_and_contenders_are_safe_file_names() -> None:
    for run in make_plan(suite(), [Rig.model_validate(RIG | {"name": "../../x"})]).runs:
        assert NAME.fullmatch(run.id)
        assert NAME.fullmatch(run.trial.contender)
        folder = SessionStore(Path("/s")).run_folder(run.id)
        assert Path(*folder.parts).resolve().is_relative_to("/s/runs")


def loads(count: int) -> list[dict[str, Any]]:
    return [{"connections": n, "duration_s": 1} for n in range(1, count + 1)]


@pytest.mark.parametrize(
    ("allowed", "excessive", "problem"),
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
        # In each block, the baseline runs twice and the other contender once.
        (
            {"loads": loads(40), "blocks": 833},
            {"loads": loads(40), "blocks": 834},
            "has 100080 runs",
        ),
        ({"blocks": 1000}, {"blocks": 1001}, "blocks"),
    ],
    ids=["loads of a sweep", "entries of a list", "runs of a rig", "blocks"],
)
def test_suite_that_is_too_large_is_an_error(
    tmp_path: Path, allowed: dict[str, Any], excessive: dict[str, Any], problem: str
) -> None:
    base = {key: value for key, value in SUITE.items() if key != "stop"}
    file = write_json(tmp_path / "suite.yml", base | allowed)
    load_suite(file, {"flask": FLASK, "fastapi": FASTAPI})
    write_json(file, base | excessive)
    with pytest.raises(SuiteError, match=re.escape(problem)) as caught:
        load_suite(file, {"flask": FLASK, "fastapi": FASTAPI})
    assert_one_line(caught.value, file)


def test_error_about_many_entries_quotes_one_and_counts_the_rest(tmp_path: Path) -> None:
    file = write_json(tmp_path / "suite.yml", SUITE | {"contenders": ["A"] * 20_000})
    with pytest.raises(SuiteError, match=re.escape("(and 19999 more: ")):
        load_suite(file, {"flask": FLASK, "fastapi": FASTAPI})


# A contender


@pytest.mark.parametrize("key_path", list(leaf_paths(CONTENDER)), ids=str)
def test_hostile_text_in_a_contender_is_an_error_or_data(
    tmp_path: Path, key_path: tuple[Any, ...]
) -> None:
    for text in HOSTILE:
        write_json(tmp_path / "flask" / "contender.yml", replace_at(CONTENDER, key_path, text))
        try:
            (contender,) = load_contenders(tmp_path).values()
        except SuiteError as error:
            assert_one_line(error, tmp_path)
            continue
        assert key_path[-1] in ("summary", "path", "content_type", "body")
        for argv in commands(suite(), contender):
            assert shlex.split(shlex.join(argv)) == argv
        for contract in contender.endpoints.values():
            url = urlsplit(endpoint_url("192.0.2.1", contender, contract))
            assert (url.scheme, url.netloc) == ("http", "192.0.2.1:8001")


def test_hostile_endpoint_or_folder_name_is_an_error(tmp_path: Path) -> None:
    for number, text in enumerate(HOSTILE):
        hostile = replace_at(CONTENDER, ("endpoints", "hello"), text, rename_key=True)
        file = write_json(tmp_path / str(number) / "flask" / "contender.yml", hostile)
        with pytest.raises(SuiteError) as caught:
            load_contenders(file.parents[1])
        assert_one_line(caught.value, file)
    for text in ("; touch pwned", "$(id)", "-x", "Flask", "{{ x }}", "a\nb", "\x1b[2J"):
        write_json(tmp_path / "named" / text / "contender.yml", CONTENDER)
        with pytest.raises(SuiteError, match="must be lower-case"):
            load_contenders(tmp_path / "named")
        (tmp_path / "named" / text / "contender.yml").unlink()


def test_container_is_unprivileged_and_bound_to_one_address() -> None:
    both_networks = suite(networks=(Network.PUBLISHED, Network.HOST))
    for argv in commands(both_networks):
        if argv[0] != "docker":
            continue
        assert {"--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only"} <= set(argv)
        forbidden = "--(privileged|volume|mount|cap-add|device|pid=|ipc|userns)|-v|.*docker.sock"
        assert not [word for word in argv if re.match(forbidden, word)]
        published = [word for word in argv if word.startswith("--publish")]
        bound = [word for word in argv if word.startswith("--env=FWBENCH_BIND")]
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
TEXT_VARIABLES = [
    *["ansible_host", "ansible_user", "ansible_ssh_private_key_file", "fwbench_known_hosts"],
    *["fwbench_load_address", "fwbench_rig", "fwbench_instance_type", "fwbench_region"],
]
RESTRICTED_VARIABLES = [
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


@pytest.mark.parametrize("key", TEXT_VARIABLES)
def test_hostile_text_in_a_variable_is_an_error_or_data(key: str) -> None:
    for text in HOSTILE:
        try:
            (rig,) = parse_rigs(listing("t", {key: text}), "hosts.yml")
        except InventoryError as error:
            assert_one_line(error, Path("hosts.yml"))
            continue
        dump = json.loads(rig.model_dump_json())
        values = {rig.name, *(str(value) for value in dump["target"].values())}
        assert text in values or key.endswith(("file", "known_hosts"))
        assert text.isprintable()
        assert not text.startswith("-")
        assert "{{" not in text


@pytest.mark.parametrize("key", RESTRICTED_VARIABLES)
def test_hostile_text_in_a_restricted_variable_is_an_error(key: str) -> None:
    for text in HOSTILE:
        if key == "ansible_ssh_common_args" and not text.strip():
            continue
        with pytest.raises(InventoryError) as caught:
            parse_rigs(listing("t", {key: text}), "hosts.yml")
        assert_one_line(caught.value, Path("hosts.yml"))


def test_hostile_host_or_group_name_is_an_error_or_data() -> None:
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
def test_inventory_secrets_are_in_no_error_and_no_session_header(key: str) -> None:
    secret = "https://me:hunter2@index.example/simple"
    try:
        output = header(rigs=parse_rigs(listing("t", {key: secret}), "hosts.yml")).model_dump_json()
    except InventoryError as error:
        output = str(error)
    assert "hunter2" not in output


# Hosts


def test_printed_facts_have_no_control_characters() -> None:
    original = header()
    for text in HOSTILE[:40]:
        forged = original.facts[0].model_copy(
            update={"system": text, "kernel": text, "cpu_model": text, "engine": text}
        )
        page = facts_of_hosts(original.model_copy(update={"facts": (forged, original.facts[1])}))
        assert page.replace("\n", "").isprintable()
        assert "touch pwned\n" not in page or "touch pwned" in text


# Roles

# Constants of the roles, and values that come from the same host.
UNQUOTED = {
    "docker_engine_state_dir",
    "fwbench_host_finish_interrupted",
    "fwbench_host_kept_records | join(' ')",
    "fwbench_host_record_new",
    "fwbench_host_state_dir",
    "fwbench_host_update_lists",
    "contender_images_confined",
    "contender_images_debian_base",
    "contender_images_list_build_records",
    "contender_images_target_dir.path",
}


def shell_commands() -> Iterator[tuple[str, str]]:
    """Yield the shell commands of roles and playbooks, each after its file's or variable's name."""
    variables = yaml.safe_load((ROOT / "roles/fwbench_host/vars/main.yml").read_text())
    for name in (
        "fwbench_host_finish_interrupted",
        "fwbench_host_record_new",
        "fwbench_host_update_lists",
    ):
        yield name, variables[name]
    files = [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")]
    for file in sorted(files):
        for task in mappings_in(yaml.safe_load(file.read_text())):
            for module in ("ansible.builtin.shell", "ansible.builtin.raw"):
                if module in task:
                    arguments = task[module]
                    yield file.name, arguments["cmd"] if isinstance(arguments, dict) else arguments


def mappings_in(value: Any) -> Iterator[dict[str, Any]]:
    for part in value.values() if isinstance(value, dict) else value:
        if isinstance(part, dict | list):
            yield from mappings_in(part)
    if isinstance(value, dict):
        yield value


def test_roles_quote_values_in_shell_commands() -> None:
    count = 0
    for source, command in shell_commands():
        without_raw = re.sub(r"\{% raw %\}.*?\{% endraw %\}", "", command, flags=re.DOTALL)
        for expression in re.findall(r"\{\{(.*?)\}\}", without_raw, re.DOTALL):
            count += 1
            quoted = re.search(r"\|\s*quote\s*$|map\('quote'\)\s*\|\s*join\(' '\)\s*$", expression)
            assert quoted or expression.strip() in UNQUOTED, f"{source}: {expression}"
    assert count > 10


def test_roles_confine_containers_that_they_start() -> None:
    options = yaml.safe_load((ROOT / "roles/contender_images/vars/main.yml").read_text())
    confined = options["contender_images_confined"].split()
    assert {"--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only"} <= set(confined)
    assert "--network=none" in confined
    assert [option for option in confined if re.fullmatch("--pids-limit=[0-9]{1,3}", option)]
    starts = [command for _, command in shell_commands() if "docker run" in command]
    assert len(starts) == 2
    for command in starts:
        assert command.count("docker run") == 1
        assert "docker run {{ contender_images_confined }} --entrypoint" in command


def test_tasks_with_index_credentials_have_no_log() -> None:
    count = 0
    for file in sorted(ROOT.glob("roles/contender_images/tasks/*.yml")):
        for task in mappings_in(yaml.safe_load(file.read_text())):
            own = {
                key: part for key, part in task.items() if key not in ("block", "rescue", "always")
            }
            if "name" in task and re.search(r"pip_(extra_)?index_url", json.dumps(own)):
                count += 1
                assert task.get("no_log") is True, f"{file.name}: {task['name']}"
    assert count
    specs = yaml.safe_load((ROOT / "roles/contender_images/meta/argument_specs.yml").read_text())
    for entry in specs["argument_specs"].values():
        for name in ("contender_images_pip_index_url", "contender_images_pip_extra_index_urls"):
            assert entry["options"][name]["no_log"] is True


# Data from a host


class FakeRemote:
    """A `Remote` on which every file has the same content, set by the test."""

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


HOSTILE_TEXTS = st.sampled_from(HOSTILE[:50]) | st.just("\ud800")
ODD_NUMBERS = st.sampled_from([0, -1, 1.5, 10**400, 2**63, float("inf"), float("nan"), True, None])
FACTS = json.loads(header().facts[0].model_dump_json(exclude={"host"}))


@given(
    key_path=st.sampled_from(list(leaf_paths(FACTS))),
    value=HOSTILE_TEXTS | ODD_NUMBERS,
    depth=st.sampled_from([0, 5000]),
)
@settings(max_examples=300)
def test_forged_facts_are_valid_or_one_line_of_error(
    key_path: tuple[Any, ...], value: Any, depth: int
) -> None:
    content = json.dumps(replace_at(FACTS, key_path, value)).encode()
    if depth:
        content = content.replace(b"null", b"[" * depth + b"]" * depth, 1)
    target = Target(name="t", address="t", load_address="t")
    try:
        facts = preflight.read_facts(FakeRemote(content), target, PurePosixPath("/x"))
    except HostError as error:
        assert_one_line(error, Path("t: "))
    else:
        stored = header(facts=(facts.model_copy(update={"host": "one-target"}),))
        assert SessionHeader.model_validate_json(stored.model_dump_json()) == stored
        assert facts_of_hosts(stored).replace("\n", "").isprintable()


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
@pytest.mark.parametrize("model", [ContainerState, ClockReading])
def test_number_that_json_cannot_store_is_an_error(model: type[Frozen], number: str) -> None:
    original: Frozen = container()
    if model is ClockReading:
        original = ClockReading(asked_s=1, host_s=2, answered_s=3)
    key = "idle_wait_s" if model is ContainerState else "host_s"
    forged = json.dumps(json.loads(original.model_dump_json()) | {key: "x"}).replace('"x"', number)
    with pytest.raises(RunError):
        files.read_model(model, forged, Path("x.json"))


def test_log_processes_and_tmp_of_a_container_are_limited() -> None:
    argv = next(commands(suite()))
    assert {"--log-driver=local", "--log-opt=max-size=4m", "--log-opt=max-file=2"} <= set(argv)
    (limit,) = (word.partition("=")[2] for word in argv if word.startswith("--pids-limit"))
    assert 1024 <= int(limit) <= 16_384
    assert [word for word in argv if word.startswith("--tmpfs")] == ["--tmpfs=/tmp:size=256m"]


# Output


def test_error_message_is_one_printable_line() -> None:
    for text in HOSTILE:
        assert str(HostError(f"t: {text}")).isprintable()


def test_numeric_host_name_is_printed_unchanged() -> None:
    hosts = tuple(HostResult(host=name, changed=1) for name in ("007", "1e5"))
    rigs = [
        Rig.model_validate(RIG | {"name": "r", "target": RIG["target"] | {"name": h.host}})
        for h in hosts
    ]
    page = play_table(PlayResult(hosts=hosts), rigs)
    assert "007" in page
    assert "1e5" in page


def test_doctor_table_has_no_control_characters() -> None:
    target = Target(name="t", address="t", load_address="t")
    for text in HOSTILE:
        facts = header().facts[0].model_copy(update={"system": text, "engine": text})
        page = host_check_table([HostCheck(host=target, rig="r", is_target=True, facts=facts)])
        assert len(page.splitlines()) == 3
        assert page.replace("\n", "").isprintable()


def test_progress_does_not_interpret_names_as_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    plan = make_plan(suite(), [Rig.model_validate(RIG | {"name": "[/red]"})])
    with progress.SessionProgress() as watcher:
        watcher.planned(plan)
        watcher.started(plan.runs[0])
    with progress.PlaybookProgress("provision of [/red]") as tasks:
        tasks.task("[/red]")
    assert "[/red]" in console.file.getvalue()  # type: ignore[attr-defined]


# Ansible templates and commands


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
def test_variable_that_ansible_would_execute_is_an_error(key: str, value: object) -> None:
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
def test_variable_that_ansible_does_not_execute_is_accepted(key: str, value: object) -> None:
    assert parse_rigs(listing("t", {key: value}), "hosts.yml")


def test_search_rate_out_of_range_is_an_error(tmp_path: Path) -> None:
    for lowest, highest in ((5e-324, 100.0), (10.0, 1e308)):
        search = {"p99_ms": 5, "lowest": lowest, "highest": highest}
        loads = [{"connections": 1, "duration_s": 1, "search": search}]
        file = write_json(tmp_path / "suite.yml", SUITE | {"loads": loads})
        with pytest.raises(SuiteError, match="must be at"):
            load_suite(file, {"flask": FLASK, "fastapi": FASTAPI})


def test_unsafe_session_name_is_an_error(tmp_path: Path) -> None:
    for name in ("a b", "$(id)", "-x", "A", "a=b", "x" * 101):
        store = SessionStore.create(tmp_path / name)
        with pytest.raises(SessionError, match="is not the name of a session"):
            Session(
                header(),
                make_plan(suite(), header().rigs),
                store,
                SessionOptions(progress.SessionProgress()),
            )
