import json
import resource
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from agent_environment import Kernel

from fwbench.agent import facts
from fwbench.model.record import HostFacts

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
def test_cpu_model_is_parsed(text: str, name: str) -> None:
    assert facts.cpu_model(text.splitlines()) == name


def test_cpu_model_is_never_empty() -> None:
    assert facts.cpu_model([]) != ""


def test_only_relevant_cpu_flags_are_kept_and_sorted() -> None:
    x86 = ["processor\t: 0", "flags\t\t: fpu sse4_2 avx2 hypervisor aes", "flags\t\t: sha_ni"]
    assert facts.cpu_flags(x86) == ["aes", "avx2", "sse4_2"]
    assert facts.cpu_flags(["Features\t: fp asimd aes sve"]) == ["aes", "asimd", "sve"]
    assert facts.cpu_flags([]) == []


def test_mitigations_are_read_from_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vulnerabilities").mkdir()
    (tmp_path / "vulnerabilities" / "spectre_v2").write_text("Mitigation: Retpolines\n")
    (tmp_path / "vulnerabilities" / "l1tf").write_text("Not affected\n")
    monkeypatch.setattr(facts, "CPUS", tmp_path)
    assert facts.mitigations() == {"l1tf": "Not affected", "spectre_v2": "Mitigation: Retpolines"}
    monkeypatch.setattr(facts, "CPUS", tmp_path / "nowhere")
    assert facts.mitigations() == {}


@pytest.mark.parametrize(
    ("files", "cpus", "memory"),
    [
        ({}, 4.0, 1000),
        (
            {"cgroup/cpu/cpu.cfs_quota_us": "-1\n", "cgroup/cpu/cpu.cfs_period_us": "100000\n"},
            4,
            1000,
        ),
        (
            {"cgroup/cpu/cpu.cfs_quota_us": "50000\n", "cgroup/cpu/cpu.cfs_period_us": "100000\n"},
            0.5,
            1000,
        ),
        ({"cgroup/memory/memory.limit_in_bytes": "512\n"}, 4.0, 512),
        ({"cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 4.0, 1000),
        ({"cgroup/cgroup.controllers": "", "cgroup/cpu.max": "max 100000\n"}, 4.0, 1000),
        ({"cgroup/cgroup.controllers": "", "cgroup/cpu.max": "150000 100000\n"}, 1.5, 1000),
        ({"cgroup/cgroup.controllers": "", "cgroup/cpu.max": "900000 100000\n"}, 4.0, 1000),
        ({"cgroup/cgroup.controllers": "", "cgroup/memory.max": "512\n"}, 4.0, 512),
        ({"cgroup/cgroup.controllers": "", "cgroup/memory.max": "max\n"}, 4.0, 1000),
    ],
)
def test_root_cgroup_limits_reduce_usable_resources(
    kernel: Kernel, files: dict[str, str], cpus: float, memory: int
) -> None:
    kernel(files)
    assert facts.usable_cpus(4) == cpus
    assert facts.usable_memory_bytes(1000) == memory


def test_facts_of_this_host_are_valid() -> None:
    actual = facts.host_facts("127.0.0.1")
    assert actual["network_path"] == "this host itself"
    assert facts.host_facts()["network_path"] is None
    HostFacts.model_validate({**actual, "host": "here", "images": ()})


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_listening_port_is_found(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(socket.create_server((address, 0), family=family)) as listener:
        assert listener.getsockname()[1] in facts.listening_ports()


def test_port_of_an_outgoing_connection_is_not_listed() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as connection,
    ):
        assert connection.getsockname()[1] not in facts.listening_ports()


def test_missing_failing_or_hanging_program_has_no_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert facts.program_output("echo", " 1.64 ") == "1.64"
    assert facts.program_output("false") is None
    assert facts.program_output("/nowhere/docker") is None

    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("docker", 10)

    monkeypatch.setattr(subprocess, "run", hang)
    assert facts.program_output("docker") is None


def test_images_are_read_from_provisioning_records(
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


def test_open_files_limit_is_the_hard_one() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert facts.open_files_limit() == (None if hard == resource.RLIM_INFINITY else hard)


@pytest.mark.parametrize(
    ("settings", "ports"),
    [
        ({"ip_local_port_range": "32768\t60999\n"}, 28232),
        ({"ip_local_port_range": "100\t109\n", "ip_local_reserved_ports": "90-101,105,200\n"}, 7),
        ({"ip_local_port_range": "100\t109\n", "ip_local_reserved_ports": "\n"}, 10),
        ({"ip_local_port_range": "unknown\n"}, None),
        ({}, None),
    ],
)
def test_local_ports_exclude_reserved_ports(
    settings: dict[str, str], ports: int | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, text in settings.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(facts, "PORT_SETTINGS", tmp_path)
    assert facts.local_ports() == ports
