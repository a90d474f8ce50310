import json
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from fwbench.agent import facts

X86 = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9R14\n"


GRAVITON = "processor\t: 0\nBogoMIPS\t: 2100.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"


RASPBERRY = f"{GRAVITON}\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (X86, "AMD EPYC 9R14"),
        (GRAVITON, "0xd40"),
        (RASPBERRY, "Raspberry Pi 4 Model B Rev 1.4"),
    ],
    ids=["x86", "graviton", "raspberry"],
)
def test_the_processor_has_a_name(text: str, name: str) -> None:
    assert facts.cpu_model(text.splitlines()) == name


def test_a_processor_without_a_name_is_unknown_or_what_python_says() -> None:
    assert facts.cpu_model([]) != ""


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_on_which_something_listens_is_found(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(socket.create_server((address, 0), family=family)) as listener:
        assert listener.getsockname()[1] in facts.listening()


def test_a_port_that_is_only_used_to_connect_does_not_count() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as connection,
    ):
        assert connection.getsockname()[1] not in facts.listening()


def test_programs_that_are_missing_fail_or_hang_say_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert facts.said_by("echo", " 1.64 ") == "1.64"
    assert facts.said_by("false") is None
    assert facts.said_by("/nowhere/docker") is None

    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("docker", 10)

    monkeypatch.setattr(subprocess, "run", hang)
    assert facts.said_by("docker") is None


def test_images_are_what_provisioning_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = {
        "name": "flask",
        "image_id": "sha256:0",
        "base": "b",
        "base_origin": "registry",
        "packages": ["flask==3.1.2"],
    }
    (tmp_path / "flask.json").write_text(json.dumps(record | {"later": "field"}))
    monkeypatch.setattr(facts, "IMAGES", tmp_path)
    assert facts.images() == [record]
    monkeypatch.setattr(facts, "IMAGES", tmp_path / "nowhere")
    assert facts.images() == []
