"""The filters of the role `contender_images`, and that Ansible finds them there."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from repository import ROOT

ROLE = ROOT / "roles" / "contender_images"


def filters() -> dict[str, Callable[..., Any]]:
    """All filters of the role, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for file in sorted((ROLE / "filter_plugins").glob("*.py")):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        own = module.FilterModule().filters()
        assert not own.keys() & found.keys(), file
        found |= own
    return found


FILTERS = filters()


def apply(name: str, *arguments: Any) -> Any:
    return FILTERS[f"contender_images_{name}"](*arguments)


# Names


def test_the_role_uses_exactly_the_filters_that_it_has() -> None:
    files = [*ROLE.glob("tasks/*.yml"), *ROLE.glob("vars/*.yml")]
    text = "".join(file.read_text() for file in files)
    assert set(re.findall(r"\| (contender_images_\w+)", text)) == FILTERS.keys()


def test_names_cannot_collide_with_those_of_another_role() -> None:
    """Filters of all roles of a play share one namespace, and so do the files' names."""
    files = [*(ROLE / "filter_plugins").glob("*.py")]
    assert all(name.startswith("contender_images_") for name in FILTERS)
    assert files
    assert all(file.name.startswith("contender_images_") for file in files)


# Tags

FILES = {
    "flask/b.py": "bb",
    "flask/Dockerfile": "aa",
    "flask/Zed": "zz",
    "flask/app/x.py": "xx",
    "flask-aa/Dockerfile": "aa",
    "fast.api/Dockerfile": "cc",
    "fastXapi/Dockerfile": "dd",
    "notes/readme.md": "ee",
    "flask/sub/Dockerfile": "ff",
}
BASE = "python:3.13-slim"


def test_files_are_known_by_their_path_in_the_folder_of_contenders() -> None:
    listing = [{"path": "/x/contenders/flask/app.py", "checksum": "aa", "mode": "0644"}]
    assert apply("checksums", listing, "/x/playbooks/../contenders") == {"flask/app.py": "aa"}


def test_a_contender_is_a_folder_with_a_dockerfile_of_its_own() -> None:
    assert apply("folders", FILES) == ["fast.api", "fastXapi", "flask", "flask-aa"]
    assert apply("folders", ["Dockerfile", "a/Dockerfile.old", "a/b/Dockerfile"]) == []


def test_tags_stay_what_they_were() -> None:
    """Another tag of the same files has every image built again: these are of the first release."""
    assert apply("tags", FILES, ["flask", "flask-aa", "fast.api"], BASE, {}) == {
        "flask": "fwbench/flask:2016c7de69a1",
        "flask-aa": "fwbench/flask-aa:be6afc7597af",
        "fast.api": "fwbench/fast.api:f3875a4a1b84",
    }
    arguments = {"VERSION": "1", "A": [1, "1"], "DAY": date(2026, 1, 2), "É": True}
    assert apply("tags", FILES, ["flask"], BASE, arguments) == {
        "flask": "fwbench/flask:4d69b4509ca1"
    }


def test_a_tag_changes_with_all_that_the_image_is_made_from_and_with_nothing_else() -> None:
    def tag(files: dict[str, str], base: str = BASE, **arguments: str) -> str:
        return str(apply("tags", files, ["flask"], base, arguments)["flask"])

    before = tag(FILES)
    assert tag(FILES | {"flask/b.py": "changed"}) != before
    assert tag(FILES | {"flask/new.py": "nn"}) != before
    assert tag({path: sum_ for path, sum_ in FILES.items() if path != "flask/b.py"}) != before
    assert tag(FILES, base="debian:13") != before
    assert tag(FILES, A="1") != before
    assert tag(FILES, A="1", B="2") == tag(FILES, B="2", A="1")
    assert tag(FILES | {"flask-aa/Dockerfile": "changed", "notes/readme.md": "nn"}) == before
    assert tag(dict(reversed(FILES.items()))) == before


WANTED = {"flask": "fwbench/flask:one", "bottle": "fwbench/bottle:two"}


def test_an_image_has_a_tag_and_the_name_current() -> None:
    assert apply("references", ["bottle"], WANTED) == [
        "fwbench/bottle:two",
        "fwbench/bottle:current",
    ]
    assert apply("references", ["flask", "bottle"], WANTED)[:2] == [*WANTED.values()]


# What a host has


def described(image_id: str, *tags: str, **more: Any) -> dict[str, Any]:
    """What `docker image inspect` prints of an image."""
    return {"Id": image_id, "RepoTags": [*tags], "RootFS": {"Layers": ["l1"]}, **more}


def test_what_the_engine_and_the_records_answer_becomes_images_by_tag() -> None:
    images = [
        described("i1", "fwbench/flask:one", "fwbench/flask:current"),
        described("i2", "fwbench/bottle:two", Descriptor={"digest": "d"}),
        {**described("i3"), "RepoTags": None},
    ]
    stdout = json.dumps(images) + '\n--- records\n"image_id": "i1"\n'
    flask = {"id": "i1", "layers": ["l1"], "by_containerd": False, "recorded": True}
    assert apply("present", stdout, "t") == {
        "fwbench/flask:one": flask,
        "fwbench/flask:current": flask,
        "fwbench/bottle:two": {
            **{"id": "i2", "layers": ["l1"], "by_containerd": True, "recorded": False}
        },
    }


@pytest.mark.parametrize("stdout", ["", "--- records\n", "[]\n--- records\n"])
def test_an_engine_without_images_and_a_dry_run_without_engine_have_none(stdout: str) -> None:
    assert apply("present", stdout, "t") == {}


@pytest.mark.parametrize("answer", ["Segmentation fault", '[{"Id": "i1"}]', "[1]", "7"])
def test_an_answer_that_cannot_be_read_names_the_host(answer: str) -> None:
    with pytest.raises(AnsibleFilterError, match="t1: cannot read the output of `docker image"):
        apply("present", f"{answer}\n--- records\n", "t1")


def image(image_id: str, layers: str = "l1", **more: bool) -> dict[str, Any]:
    return {"id": image_id, "layers": [layers], "by_containerd": False, "recorded": True, **more}


def test_missing_are_the_images_whose_tag_is_not_there() -> None:
    assert apply("missing", WANTED, {"fwbench/flask:one": image("i1")}) == ["bottle"]
    assert apply("missing", WANTED, {"fwbench/flask:current": image("i1")}) == ["flask", "bottle"]


@pytest.mark.parametrize(
    ("here", "there", "stale"),
    [
        (None, None, False),
        (image("i1"), None, True),
        (None, image("i1"), True),
        (image("i1"), image("i1"), False),
        (image("i1"), image("i2"), True),  # engines alike: the same layers do not make it the same
        (image("i1"), image("i2", by_containerd=True), False),
        (image("i1"), image("i2", "l2", by_containerd=True), True),
        (image("i1", by_containerd=True), image("i2", by_containerd=True), True),
    ],
)
def test_stale_is_an_image_that_is_not_the_references(
    here: dict[str, Any] | None, there: dict[str, Any] | None, stale: bool
) -> None:
    tag = "fwbench/flask:one"
    mine = {tag: here} if here else {}
    theirs = {tag: there} if there else {}
    assert apply("stale", {"flask": tag}, mine, theirs) == (["flask"] if stale else [])


def test_the_name_current_is_given_where_it_is_missing_or_is_another_images() -> None:
    wanted = {"flask": "fwbench/flask:one"}
    tagged, current = "fwbench/flask:one", "fwbench/flask:current"
    assert apply("to_tag", wanted, {}) == ["flask"]
    assert apply("to_tag", wanted, {tagged: image("i1")}) == ["flask"]
    assert apply("to_tag", wanted, {current: image("i1")}) == ["flask"]
    assert apply("to_tag", wanted, {tagged: image("i1"), current: image("i2")}) == ["flask"]
    assert apply("to_tag", wanted, {tagged: image("i1"), current: image("i1")}) == []


def test_a_record_is_made_of_each_image_that_has_none() -> None:
    present = {"fwbench/flask:one": image("i1", recorded=False)}
    assert apply("to_record", WANTED, present) == ["flask", "bottle"]
    assert apply("to_record", WANTED, {tag: image("i1") for tag in WANTED.values()}) == []


# Records

LABELS = {"fwbench.base": "b", "fwbench.base-origin": "registry", "fwbench.context": "one"}


def test_the_record_of_an_image() -> None:
    answer = [{"Id": "i1", "Architecture": "amd64", "Config": {"Labels": LABELS}}]
    stdout = json.dumps(answer) + "\n--- packages\nWerkzeug==3\nflask==3\n\nblinker==1\n"
    assert apply("record", stdout, "t", "flask", "fwbench/flask:one") == {
        "name": "flask",
        "image": "fwbench/flask:one",
        "image_id": "i1",
        "architecture": "amd64",
        "base": "b",
        "base_origin": "registry",
        "context": "one",
        "labels": LABELS,
        "packages": ["blinker==1", "flask==3", "Werkzeug==3"],
    }


def test_an_image_without_python_has_no_packages() -> None:
    answer = [{"Id": "i1", "Architecture": "amd64", "Config": {"Labels": LABELS}}]
    stdout = json.dumps(answer) + "\n--- packages\n"
    assert apply("record", stdout, "t", "flask", "fwbench/flask:one")["packages"] == []


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[]",
        '[{"Id": "i1", "Architecture": "amd64", "Config": {"Labels": null}}]',
        '[{"Id": "i1", "Architecture": "amd64", "Config": {"Labels": {"fwbench.base": "b"}}}]',
    ],
)
def test_an_image_that_fwbench_did_not_build_is_named_with_its_host(answer: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        apply("record", f"{answer}\n--- packages\n", "t1", "flask", "fwbench/flask:one")
    message = str(caught.value)
    assert message.startswith("t1: cannot describe the image fwbench/flask:one of flask")
    assert "`docker image rm fwbench/flask:one`" in message


# Which target builds


def host(architecture: str = "amd64", memory: int = 1, missing: Any = ()) -> dict[str, Any]:
    return {
        "fwbench_host_system": {"architecture": architecture, "memory_bytes": memory},
        "contender_images_missing": [*missing],
    }


def test_peers_are_of_one_architecture_and_in_the_order_of_the_play() -> None:
    hostvars = {"z": host(), "arm": host("arm64"), "a": host(), "failed": host()}
    assert apply("peers", ["z", "arm", "a"], hostvars, "amd64") == ["z", "a"]
    assert apply("peers", ["z", "arm", "a"], hostvars, "arm64") == ["arm"]


def test_a_host_that_no_role_has_asked_before_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="t2 has no fact fwbench_host_system"):
        apply("peers", ["t1", "t2"], {"t1": host(), "t2": {}}, "amd64")
    unasked = {"fwbench_host_system": {"architecture": "amd64", "memory_bytes": 1}}
    with pytest.raises(AnsibleFilterError, match="t2 has no fact contender_images_missing"):
        apply("reference", ["t1", "t2"], {"t1": host(missing=["flask"]), "t2": unasked})


def test_the_reference_is_the_first_that_has_all_images() -> None:
    hostvars = {"a": host(memory=8, missing=["flask"]), "b": host(), "c": host(memory=9)}
    assert apply("reference", ["a", "b", "c"], hostvars) == "b"
    assert apply("reference", ["c", "b", "a"], hostvars) == "c"


def test_where_nobody_has_all_the_one_with_the_most_memory_builds() -> None:
    hostvars = {
        name: host(memory=size, missing=["flask"])
        for name, size in zip("abc", (1, 8, 8), strict=True)
    }
    assert apply("reference", ["a", "b", "c"], hostvars) == "b"


# Building


@pytest.mark.parametrize(
    ("line", "from_packages", "origin", "description"),
    [
        ("python@sha256:d", False, "registry", "python:3@sha256:d"),
        ("sha256:i", False, "local", "python:3@sha256:i"),
        ("sha256:i", True, "debian-packages", "debian 13 packages, Python 3.13.5"),
    ],
)
def test_a_base_is_identified_by_what_it_contains(
    line: str, from_packages: bool, origin: str, description: str
) -> None:
    lines = [line, "Python 3.13.5"]
    assert apply("base_identity", lines, "python:3", from_packages) == {
        "origin": origin,
        "description": description,
    }


def test_a_base_need_not_have_python() -> None:
    assert apply("base_identity", ["i"], "b:1", False)["description"] == "b:1@i"
    assert apply("base_identity", ["i"], "b:1", True)["description"].endswith("no Python")


def test_the_command_of_a_build() -> None:
    settings = {
        "network": "host",
        "base": "fwbench/base:labelled",
        "labels": {"installation": "u", "base": "b, c", "base-origin": "local"},
        "arguments": {"A": "1; rm -rf /", "DAY": date(2026, 1, 2)},
    }
    assert apply("build_argv", "flask", WANTED, "/tmp/x", settings) == [
        *["docker", "build", "--force-rm", "--network", "host"],
        *["--build-arg", "BASE=fwbench/base:labelled"],
        *["--label", "fwbench.installation=u", "--label", "fwbench.base=b, c"],
        *["--label", "fwbench.base-origin=local", "--label", "fwbench.context=one"],
        *["--tag", "fwbench/flask:one", "--tag", "fwbench/flask:current"],
        *["--build-arg=A=1; rm -rf /", "--build-arg=DAY=2026-01-02"],
        "/tmp/x/flask",
    ]


def test_the_settings_of_pip() -> None:
    assert apply("pip_conf", "", []) == "[global]\n"
    assert apply("pip_conf", "https://a", ["https://b", "https://c"]) == (
        "[global]\nindex-url = https://a\nextra-index-url = https://b https://c\n"
    )


# Failures


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("write /x: No space left on device", "Free disk space there"),
        ("OCI runtime create failed: connection reset", "Its engine cannot start containers"),
        ("Could not resolve host: pypi.org", "Check that t reaches its package index"),
        ("certificate verify failed", "fwbench_ca_certs lists"),
    ],
)
def test_a_failed_build_comes_with_advice(words: str, advice: str) -> None:
    message = apply("failure", {"stderr": words, "msg": "non-zero"}, "t", ["flask", "b"], False)
    assert message.startswith("t could not build flask, b. ")
    assert advice in message
    assert message.endswith(f" Last output: {words} non-zero")


def test_without_a_known_cause_there_is_no_advice() -> None:
    message = apply("failure", {"msg": "a typing error"}, "t", ["flask"], False)
    assert message == "t could not build flask. Last output: a typing error"


def test_of_a_loop_the_item_that_failed_is_reported() -> None:
    loop = [{"stdout": "good"}, {"failed": False, "stdout": "x"}, {"failed": True, "stderr": "bad"}]
    message = apply("failure", {"msg": "one failed", "results": loop}, "t", ["flask"], False)
    assert message.endswith(" Last output: bad")


def test_credentials_that_the_output_may_repeat_are_hidden_and_advice_is_not() -> None:
    result = {"stderr": "timed out: https://me:sesame@index"}
    message = apply("failure", result, "t", ["flask"], True)
    assert "sesame" not in message
    assert "reaches its package index" in message


def test_only_the_end_of_a_long_output_is_kept() -> None:
    message = apply("base_failure", {"stderr": "x" * 2000 + "the end"}, "t", BASE)
    assert message.startswith(f"t could neither pull {BASE} nor make a base from Debian packages")
    assert message.endswith(" Last output: " + "x" * 1493 + "the end")


def test_each_reason_is_reported_once_shortened_and_without_output() -> None:
    failed = apply("failure", {"msg": "a typing error"}, "a", ["flask"], False)
    hostvars = {
        "a": {"contender_images_build_error": failed},
        "b": {"contender_images_build_error": "y" * 600},
        "c": {},
    }
    assert apply("reasons", ["a", "b", "a", "c"], hostvars) == [
        "a could not build flask.",
        "y" * 499 + "…",
        "c could not provide images.",
    ]


# That Ansible finds them


def test_a_playbook_that_uses_the_role_alone_finds_the_filters(tmp_path: Path) -> None:
    """As you would by hand: `ansible-playbook` in a checkout, the role by its name."""
    (tmp_path / "flask").mkdir()
    (tmp_path / "flask" / "Dockerfile").write_text("FROM scratch\n")
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [
            {
                "ansible.builtin.include_role": {
                    "name": "contender_images",
                    "tasks_from": "wanted",
                },
                "vars": {"contender_images_dir": str(tmp_path)},
            },
            {"ansible.builtin.debug": {"var": "contender_images_wanted"}},
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    program = Path(sysconfig.get_path("scripts"), "ansible-playbook")
    done = subprocess.run(
        [program, "--inventory", "localhost,", str(tmp_path / "play.yml")],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C.UTF-8", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search("flask: fwbench/flask:[0-9a-f]{12}", done.stdout)
