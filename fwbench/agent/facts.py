"""What a host is made of."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fwbench.agent import cgroup
from fwbench.agent.cloud import cloud
from fwbench.agent.counters import CPUS, text_of
from fwbench.agent.route import network_path

IMAGES = Path("/var/lib/fwbench/images")
# Those that servers in Python or C, and what they are linked with, go different ways for.
FLAGS = frozenset(
    {"adx", "aes", "avx", "avx2", "avx512bw", "avx512f", "avx512vl", "bmi1", "bmi2", "erms", "fsrm"}
    | {"gfni", "pclmulqdq", "popcnt", "sha_ni", "sse4_1", "sse4_2", "ssse3", "vaes", "vpclmulqdq"}
    # of ARM
    | {"asimd", "asimddp", "atomics", "crc32", "pmull", "sha1", "sha2", "sha3", "sha512"}
    | {"sve", "sve2"}
)
_MITIGATION_CHARACTERS = 200


def facts(to: str | None = None) -> dict[str, Any]:
    """What this host is made of; `to` is the address that it is going to load."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    system = dict(
        line.split("=", 1)
        for line in Path("/etc/os-release").read_text().splitlines()
        if "=" in line
    )
    return {
        "system": system.get("PRETTY_NAME", "unknown").strip('"'),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cpu_model": cpu_model(cpuinfo),
        "cpu_flags": cpu_flags(cpuinfo),
        "mitigations": mitigations(),
        "cpus": cpus(len(os.sched_getaffinity(0))),
        "cpu_numbers": sorted(os.sched_getaffinity(0)),
        "memory_bytes": memory_bytes(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
        "cgroup_version": _cgroup_version(),
        "engine": program_output("docker", "version", "--format", "{{.Server.Version}}"),
        "h2load": program_output("h2load", "--version"),
        "images": images(),
        "listening_ports": listening(),
        "network_path": None if to is None else network_path(to),
        **cloud(),
    }


def images() -> list[dict[str, Any]]:
    """The images that provisioning left here, as its records describe them."""
    wanted = ("name", "image_id", "base", "base_origin", "packages")
    records = [json.loads(path.read_text()) for path in sorted(IMAGES.glob("*.json"))]
    return [{key: record[key] for key in wanted} for record in records]


def cpu_model(lines: Iterable[str]) -> str:
    """The processor's name; ARM kernels give parts instead of a name."""
    pairs = [(key.strip(), value.strip()) for key, _, value in (x.partition(":") for x in lines)]
    for wanted in ("model name", "Model", "CPU part"):
        for key, value in pairs:
            if key == wanted:
                return value
    return platform.processor() or "unknown"


def cpu_flags(lines: Iterable[str]) -> list[str]:
    """Those of `FLAGS` that the first processor has, sorted."""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return sorted(FLAGS & set(value.split()))
    return []


def mitigations() -> dict[str, str]:
    """What the kernel does about each weakness of the processor that it knows."""
    files = sorted((CPUS / "vulnerabilities").glob("*"))
    return {file.name: text_of(file).strip()[:_MITIGATION_CHARACTERS] for file in files}


def cpus(allowed: int) -> float:
    """How many CPUs' time the host may use at once, of those that it is allowed to run on.

    Fewer where everything on it is in one control group with a quota: a container that stands for
    a host.
    """
    if _cgroup_version() == 2:
        words = text_of(cgroup.CGROUP_ROOT / "cpu.max").split()
    else:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        words = [text_of(cgroup.CGROUP_ROOT / "cpu" / name).strip() for name in names]
    if len(words) < 2 or not all(word.isdigit() and int(word) for word in words[:2]):
        return float(allowed)
    return min(float(allowed), int(words[0]) / int(words[1]))


def memory_bytes(there: int) -> int:
    """How much memory the host may use, of what the machine under it has."""
    path = "memory.max" if _cgroup_version() == 2 else "memory/memory.limit_in_bytes"
    limit = text_of(cgroup.CGROUP_ROOT / path).strip()
    return min(there, int(limit)) if limit.isdigit() and int(limit) else there


def _cgroup_version() -> int:
    return 2 if (cgroup.CGROUP_ROOT / "cgroup.controllers").exists() else 1


def program_output(*argv: str) -> str | None:
    """What a program prints about itself; None where it is missing or fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def listening() -> list[int]:
    """TCP ports on which something listens, on whichever address."""
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, status = line.split()[:4]
            if status == "0A":
                ports.add(int(local.rsplit(":", 1)[1], 16))
    return sorted(ports)
