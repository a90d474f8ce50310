"""Collect facts about a host: its hardware, kernel, engine and images."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fwbench.agent import cgroup
from fwbench.agent.cloud import cloud_facts
from fwbench.agent.counters import CPUS, read_text
from fwbench.agent.route import network_path

IMAGES = Path("/var/lib/fwbench/images")
PORT_SETTINGS = Path("/proc/sys/net/ipv4")
# Flags for which Python, C servers or their libraries choose different code paths.
RELEVANT_CPU_FLAGS = frozenset(
    {"adx", "aes", "avx", "avx2", "avx512bw", "avx512f", "avx512vl", "bmi1", "bmi2", "erms", "fsrm"}
    | {"gfni", "pclmulqdq", "popcnt", "sha_ni", "sse4_1", "sse4_2", "ssse3", "vaes", "vpclmulqdq"}
    # of ARM
    | {"asimd", "asimddp", "atomics", "crc32", "pmull", "sha1", "sha2", "sha3", "sha512"}
    | {"sve", "sve2"}
)
_MITIGATION_CHARACTERS = 200


def host_facts(load_address: str | None = None, programs: Iterable[str] = ()) -> dict[str, Any]:
    """Return this host's facts, with the versions of `programs`.

    If `load_address` is given, they contain the network path to it.
    """
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
        "cpus": usable_cpus(len(os.sched_getaffinity(0))),
        "cpu_numbers": sorted(os.sched_getaffinity(0)),
        "memory_bytes": usable_memory_bytes(
            os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        ),
        "cgroup_version": _cgroup_version(),
        "engine": program_output("docker", "version", "--format", "{{.Server.Version}}"),
        "versions": program_versions(programs),
        "images": images(),
        "listening_ports": listening_ports(),
        "open_files_limit": open_files_limit(),
        "local_ports": local_ports(),
        "network_path": None if load_address is None else network_path(load_address),
        **cloud_facts(),
    }


def images() -> list[dict[str, Any]]:
    """Return the images that provisioning put on this host, from its records."""
    keys = ("name", "image_id", "base", "base_origin", "packages")
    records = [json.loads(path.read_text()) for path in sorted(IMAGES.glob("*.json"))]
    return [{key: record[key] for key in keys} for record in records]


def cpu_model(lines: Iterable[str]) -> str:
    """Return the processor's name, or its part number, which ARM kernels give instead."""
    pairs = [(key.strip(), value.strip()) for key, _, value in (x.partition(":") for x in lines)]
    for wanted in ("model name", "Model", "CPU part"):
        for key, value in pairs:
            if key == wanted:
                return value
    return platform.processor() or "unknown"


def cpu_flags(lines: Iterable[str]) -> list[str]:
    """Return those of `RELEVANT_CPU_FLAGS` that the first processor has, sorted."""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return sorted(RELEVANT_CPU_FLAGS & set(value.split()))
    return []


def mitigations() -> dict[str, str]:
    """Return the kernel's mitigation of each known processor vulnerability, by its name."""
    files = sorted((CPUS / "vulnerabilities").glob("*"))
    return {file.name: read_text(file).strip()[:_MITIGATION_CHARACTERS] for file in files}


def usable_cpus(allowed: int) -> float:
    """Return how many CPUs' time the host may use at once: `allowed`, unless a quota is lower.

    A container that stands for a host has its quota in the root control group.
    """
    if _cgroup_version() == 2:
        words = read_text(cgroup.CGROUP_ROOT / "cpu.max").split()
    else:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        words = [read_text(cgroup.CGROUP_ROOT / "cpu" / name).strip() for name in names]
    if len(words) < 2 or not all(word.isdigit() and int(word) for word in words[:2]):
        return float(allowed)
    return min(float(allowed), int(words[0]) / int(words[1]))


def usable_memory_bytes(physical_bytes: int) -> int:
    """Return how much memory the host may use: `physical_bytes`, unless a limit is lower."""
    path = "memory.max" if _cgroup_version() == 2 else "memory/memory.limit_in_bytes"
    limit = read_text(cgroup.CGROUP_ROOT / path).strip()
    return min(physical_bytes, int(limit)) if limit.isdigit() and int(limit) else physical_bytes


def _cgroup_version() -> int:
    return 2 if (cgroup.CGROUP_ROOT / "cgroup.controllers").exists() else 1


def program_versions(programs: Iterable[str]) -> dict[str, str]:
    """Return what each program prints for `--version`; those that are missing are left out.

    The exit status says nothing: wrk prints its version and exits with 1.
    """
    versions = {}
    for program in programs:
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                [program, "--version"], capture_output=True, text=True, timeout=10
            )
            versions[program] = done.stdout.strip()
    return versions


def program_output(*argv: str) -> str | None:
    """Return a program's standard output, or None if it is missing or fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def listening_ports() -> list[int]:
    """Return the TCP ports on which a program listens, on any address."""
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


def open_files_limit() -> int | None:
    """Return how many files a process of this login may have open; None if there is no limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def local_ports() -> int | None:
    """Return how many ports connections to one address and port may use; None if it is unknown."""
    words = read_text(PORT_SETTINGS / "ip_local_port_range").split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return None
    first, last = map(int, words)
    reserved = set()
    for part in read_text(PORT_SETTINGS / "ip_local_reserved_ports").strip().split(","):
        low, _, high = part.partition("-")
        if low.isdigit():
            reserved |= set(range(int(low), int(high if high.isdigit() else low) + 1))
    return max(0, last - first + 1) - sum(first <= port <= last for port in reserved)
