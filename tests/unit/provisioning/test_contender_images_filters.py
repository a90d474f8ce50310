"""The filters of the role `contender_images`. Ansible finds them in the role."""

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
    """Return all filters of the role, by name."""
    result: dict[str, Callable[..., Any]] = {}
    for file in sorted((ROLE / "filter_plugins").glob("*.py")):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        added = module.FilterModule().filters()
        assert not added.keys() & result.keys(), file
        result |= added
    return result


FILTERS = filters()


def apply(name: str, *arguments: Any) -> Any:
    return FILTERS[f"contender_images_{name}"](*arguments)


# Names


def test_role_uses_all_its_filters_and_no_others() -> None:
    files = [*ROLE.glob("tasks/*.yml"), *ROLE.glob("vars/*.yml")]
    text = "".join(file.read_text() for file in files)
    assert set(re.findall(r"\| (contender_images_\w+)", text)) == FILTERS.keys()


def test_names_begin_with_the_roles_name() -> None:
    """All roles of a play share one namespace for filters, and one for the names of their files."""
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


def test_checksums_have_paths_relative_to_the_contenders_folder() -> None:
    listing = [{"path": "/x/contenders/flask/app.py", "checksum": "aa", "mode": "0644"}]
    assert apply("checksums", listing, "/x/playbooks/../contenders") == {"flask/app.py": "aa"}


def test_contender_is_a_folder_with_its_own_dockerfile() -> None:
    assert apply("folders", FILES) == ["fast.api", "fastXapi", "flask", "flask-aa"]
    assert apply("folders", ["Dockerfile", "a/Dockerfile.old", "a/b/Dockerfile"]) == []


def test_tags_are_those_of_the_first_release() -> None:
    """If unchanged files got a new tag, provisioning would rebuild every image."""
    assert apply("tags", FILES, ["flask", "flask-aa", "fast.api"], BASE, {}) == {
        "flask": "fwbench/flask:2016c7de69a1",
        "flask-aa": "fwbench/flask-aa:be6afc7597af",
        "fast.api": "fwbench/fast.api:f3875a4a1b84",
    }
    arguments = {"VERSION": "1", "A": [1, "1"], "DAY": date(2026, 1, 2), "É": True}
    assert apply("tags", FILES, ["flask"], BASE, arguments) == {
        "flask": "fwbench/flask:4d69b4509ca1"
    }


def test_tag_changes_with_the_images_inputs_only() -> None:
    def tag(files: dict[str, str], base: str = BASE, **arguments: str) -> str:
        return str(apply("tags", files, ["flask"], base, arguments)["flask"])

    before = tag(FILES)
    assert tag(FILES | {"flask/b.py": "changed"}) != before
    assert tag(FILES | {"flask/new.py": "nn"}) != before
    assert tag({path: digest for path, digest in FILES.items() if path != "flask/b.py"}) != before
    assert tag(FILES, base="debian:13") != before
    assert tag(FILES, A="1") != before
    assert tag(FILES, A="1", B="2") == tag(FILES, B="2", A="1")
    assert tag(FILES | {"flask-aa/Dockerfile": "changed", "notes/readme.md": "nn"}) == before
    assert tag(dict(reversed(FILES.items()))) == before


WANTED = {"flask": "fwbench/flask:one", "bottle": "fwbench/bottle:two"}


def test_image_has_its_tag_and_the_tag_current() -> None:
    assert apply("references", ["bottle"], WANTED) == [
        "fwbench/bottle:two",
        "fwbench/bottle:current",
    ]
    assert apply("references", ["flask", "bottle"], WANTED)[:2] == [*WANTED.values()]


# Images on a host


def inspected(image_id: str, *tags: str, **fields: Any) -> dict[str, Any]:
    """Return the output of `docker image inspect` for an image."""
    return {"Id": image_id, "RepoTags": [*tags], "RootFS": {"Layers": ["l1"]}, **fields}


def test_present_images_are_listed_by_tag() -> None:
    images = [
        inspected("i1", "fwbench/flask:one", "fwbench/flask:current"),
        inspected("i2", "fwbench/bottle:two", Descriptor={"digest": "d"}),
        {**inspected("i3"), "RepoTags": None},
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
def test_no_output_means_no_images(stdout: str) -> None:
    assert apply("present", stdout, "t") == {}


@pytest.mark.parametrize("output", ["Segmentation fault", '[{"Id": "i1"}]', "[1]", "7"])
def test_unreadable_output_is_an_error_that_names_the_host(output: str) -> None:
    with pytest.raises(AnsibleFilterError, match="t1: cannot read the output of `docker image"):
        apply("present", f"{output}\n--- records\n", "t1")


def image(image_id: str, layers: str = "l1", **fields: bool) -> dict[str, Any]:
    return {"id": image_id, "layers": [layers], "by_containerd": False, "recorded": True, **fields}


def test_image_without_its_tag_is_missing() -> None:
    assert apply("missing", WANTED, {"fwbench/flask:one": image("i1")}) == ["bottle"]
    assert apply("missing", WANTED, {"fwbench/flask:current": image("i1")}) == ["flask", "bottle"]


@pytest.mark.parametrize(
    ("own", "reference", "stale"),
    [
        (None, None, False),
        (image("i1"), None, True),
        (None, image("i1"), True),
        (image("i1"), image("i1"), False),
        (image("i1"), image("i2"), True),  # ids of one image store are comparable
        (image("i1"), image("i2", by_containerd=True), False),
        (image("i1"), image("i2", "l2", by_containerd=True), True),
        (image("i1", by_containerd=True), image("i2", by_containerd=True), True),
    ],
)
def test_image_that_differs_from_the_reference_is_stale(
    own: dict[str, Any] | None, reference: dict[str, Any] | None, stale: bool
) -> None:
    tag = "fwbench/flask:one"
    own_images = {tag: own} if own else {}
    reference_images = {tag: reference} if reference else {}
    expected = ["flask"] if stale else []
    assert apply("stale", {"flask": tag}, own_images, reference_images) == expected


def test_tag_current_is_set_if_missing_or_on_another_image() -> None:
    wanted = {"flask": "fwbench/flask:one"}
    tagged, current = "fwbench/flask:one", "fwbench/flask:current"
    assert apply("to_tag", wanted, {}) == ["flask"]
    assert apply("to_tag", wanted, {tagged: image("i1")}) == ["flask"]
    assert apply("to_tag", wanted, {current: image("i1")}) == ["flask"]
    assert apply("to_tag", wanted, {tagged: image("i1"), current: image("i2")}) == ["flask"]
    assert apply("to_tag", wanted, {tagged: image("i1"), current: image("i1")}) == []


def test_image_without_a_record_is_recorded() -> None:
    present = {"fwbench/flask:one": image("i1", recorded=False)}
    assert apply("to_record", WANTED, present) == ["flask", "bottle"]
    assert apply("to_record", WANTED, {tag: image("i1") for tag in WANTED.values()}) == []


# Records

LABELS = {"fwbench.base": "b", "fwbench.base-origin": "registry", "fwbench.context": "one"}


def test_record_of_an_image() -> None:
    images = [{"Id": "i1", "Architecture": "amd64", "Config": {"Labels": LABELS}}]
    stdout = json.dumps(images) + "\n--- packages\nWerkzeug==3\nflask==3\n\nblinker==1\n"
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


def test_image_without_python_has_no_packages() -> None:
    images = [{"Id": "i1", "Architecture": "amd64", "Config": {"Labels": LABELS}}]
    stdout = json.dumps(images) + "\n--- packages\n"
    assert apply("record", stdout, "t", "flask", "fwbench/flask:one")["packages"] == []


@pytest.mark.parametrize(
    "output",
    [
        "",
        "[]",
        '[{"Id": "i1", "Architecture": "amd64", "Config": {"Labels": null}}]',
        '[{"Id": "i1", "Architecture": "amd64", "Config": {"Labels": {"fwbench.base": "b"}}}]',
    ],
)
def test_image_that_fwbench_did_not_build_is_an_error(output: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        apply("record", f"{output}\n--- packages\n", "t1", "flask", "fwbench/flask:one")
    message = str(caught.value)
    assert message.startswith("t1: cannot describe the image fwbench/flask:one of flask")
    assert "`docker image rm fwbench/flask:one`" in message


# Choice of the target that builds


def host(architecture: str = "amd64", memory: int = 1, missing: Any = ()) -> dict[str, Any]:
    return {
        "fwbench_host_system": {"architecture": architecture, "memory_bytes": memory},
        "contender_images_missing": [*missing],
    }


def test_peers_share_an_architecture_and_keep_the_plays_order() -> None:
    hostvars = {"z": host(), "arm": host("arm64"), "a": host(), "failed": host()}
    assert apply("peers", ["z", "arm", "a"], hostvars, "amd64") == ["z", "a"]
    assert apply("peers", ["z", "arm", "a"], hostvars, "arm64") == ["arm"]


def test_host_without_a_required_fact_is_an_error() -> None:
    with pytest.raises(AnsibleFilterError, match="t2 has no fact fwbench_host_system"):
        apply("peers", ["t1", "t2"], {"t1": host(), "t2": {}}, "amd64")
    incomplete = {"fwbench_host_system": {"architecture": "amd64", "memory_bytes": 1}}
    with pytest.raises(AnsibleFilterError, match="t2 has no fact contender_images_missing"):
        apply("reference", ["t1", "t2"], {"t1": host(missing=["flask"]), "t2": incomplete})


def test_reference_is_the_first_host_with_all_images() -> None:
    hostvars = {"a": host(memory=8, missing=["flask"]), "b": host(), "c": host(memory=9)}
    assert apply("reference", ["a", "b", "c"], hostvars) == "b"
    assert apply("reference", ["c", "b", "a"], hostvars) == "c"


def test_host_with_most_memory_builds_if_none_has_all_images() -> None:
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
def test_base_is_identified_by_its_content(
    line: str, from_packages: bool, origin: str, description: str
) -> None:
    lines = [line, "Python 3.13.5"]
    assert apply("base_identity", lines, "python:3", from_packages) == {
        "origin": origin,
        "description": description,
    }


def test_base_without_python_is_identified() -> None:
    assert apply("base_identity", ["i"], "b:1", False)["description"] == "b:1@i"
    assert apply("base_identity", ["i"], "b:1", True)["description"].endswith("no Python")


def test_build_command() -> None:
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


def test_pip_settings() -> None:
    assert apply("pip_conf", "", []) == "[global]\n"
    assert apply("pip_conf", "https://a", ["https://b", "https://c"]) == (
        "[global]\nindex-url = https://a\nextra-index-url = https://b https://c\n"
    )


# Failures


@pytest.mark.parametrize(
    ("stderr", "advice"),
    [
        ("write /x: No space left on device", "Free disk space there"),
        ("OCI runtime create failed: connection reset", "Its engine cannot start containers"),
        ("Could not resolve host: pypi.org", "Check that t reaches its package index"),
        ("certificate verify failed", "fwbench_ca_certs lists"),
    ],
)
def test_known_build_failure_has_advice(stderr: str, advice: str) -> None:
    message = apply("failure", {"stderr": stderr, "msg": "non-zero"}, "t", ["flask", "b"], False)
    assert message.startswith("t could not build flask, b. ")
    assert advice in message
    assert message.endswith(f" Last output: {stderr} non-zero")


def test_unknown_build_failure_has_no_advice() -> None:
    message = apply("failure", {"msg": "a typing error"}, "t", ["flask"], False)
    assert message == "t could not build flask. Last output: a typing error"


def test_failed_item_of_a_loop_is_reported() -> None:
    loop = [{"stdout": "good"}, {"failed": False, "stdout": "x"}, {"failed": True, "stderr": "bad"}]
    message = apply("failure", {"msg": "one failed", "results": loop}, "t", ["flask"], False)
    assert message.endswith(" Last output: bad")


def test_output_with_credentials_is_hidden_but_advice_is_shown() -> None:
    result = {"stderr": "timed out: https://me:sesame@index"}
    message = apply("failure", result, "t", ["flask"], True)
    assert "sesame" not in message
    assert "reaches its package index" in message


def test_long_output_is_cut_to_its_end() -> None:
    message = apply("base_failure", {"stderr": "x" * 2000 + "the end"}, "t", BASE)
    assert message.startswith(f"t could neither pull {BASE} nor make a base from Debian packages")
    assert message.endswith(" Last output: " + "x" * 1493 + "the end")


def test_reasons_are_unique_shortened_and_without_output() -> None:
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


# Lookup by Ansible


def test_playbook_with_only_this_role_finds_the_filters(tmp_path: Path) -> None:
    """A user runs `ansible-playbook` in a checkout, with the role's name."""
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
    result = subprocess.run(
        [program, "--inventory", "localhost,", str(tmp_path / "play.yml")],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C.UTF-8", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search("flask: fwbench/flask:[0-9a-f]{12}", result.stdout)
