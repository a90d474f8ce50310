"""What a host is made of."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fwbench.agent.cgroup import CGROUP_ROOT

IMAGES = Path("/var/lib/fwbench/images")


def facts() -> dict[str, Any]:
    """What this host is made of."""
    system = dict(
        line.split("=", 1)
        for line in Path("/etc/os-release").read_text().splitlines()
        if "=" in line
    )
    return {
        "system": system.get("PRETTY_NAME", "unknown").strip('"'),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cpu_model": cpu_model(Path("/proc/cpuinfo").read_text().splitlines()),
        "cpus": len(os.sched_getaffinity(0)),
        "cpu_numbers": sorted(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "cgroup_version": 2 if (CGROUP_ROOT / "cgroup.controllers").exists() else 1,
        "engine": said_by("docker", "version", "--format", "{{.Server.Version}}"),
        "h2load": said_by("h2load", "--version"),
        "images": images(),
        "listening": listening(),
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


def said_by(*argv: str) -> str | None:
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
