"""What runs on the hosts: one file of standard library, copied there for the length of a session.

Every answer goes into a file in the run's folder, never to standard output, where a login shell may
add to it. Files appear under their name only once they are whole.
"""

import argparse
import gzip
import http.client
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

BODY_LIMIT = 64 * 1024
LOG_TAIL_LINES = 500
CGROUP_ROOT = Path("/sys/fs/cgroup")
IMAGES = Path("/var/lib/fwbench/images")


def write(path: Path, value: object) -> None:
    """Leave `value` as JSON at `path`, whole or not at all, for the owner of the folder."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value))
    hand_over(partial)
    partial.rename(path)


def hand_over(path: Path) -> None:
    """Give a file that root made to the user in whose folder it lies."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


# --- asking the contender -------------------------------------------------------------------------


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError once it takes longer; that of a socket begins anew with each byte."""

    def over(*_: object) -> None:
        raise TimeoutError("timed out")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def ask(url: str, timeout_s: float) -> dict[str, Any]:
    """What one GET is answered: status, content type, body up to 64 KiB, or the error."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        with within(timeout_s):
            connection.request("GET", path, headers={"Accept": "*/*", "Connection": "close"})
            response = connection.getresponse()
            return {
                "status": response.status,
                "content_type": response.headers.get("Content-Type"),
                "body": response.read(BODY_LIMIT).decode("utf-8", "backslashreplace"),
            }
    except (OSError, http.client.HTTPException, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    finally:
        connection.close()


def ask_until_answered(url: str, for_s: float) -> dict[str, Any]:
    """The first answer, or the last error when `for_s` seconds brought none."""
    deadline = time.monotonic() + for_s
    while True:
        answer = ask(url, timeout_s=max(0.1, deadline - time.monotonic()))
        if "error" not in answer or time.monotonic() >= deadline:
            return answer
        time.sleep(0.02)


# --- the load -------------------------------------------------------------------------------------


def detach() -> bool:
    """Go on in a session of our own, which no broken connection ends; True in the child."""
    if os.fork():
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    return True


def load(folder: Path, url: str, timeout_s: float, argv: Sequence[str]) -> None:
    """Run the load generator, ask for the answer once more, and leave all that came of it."""
    result: dict[str, Any] = {"exit_status": None, "timed_out": False, "started": time.time()}
    began = time.monotonic()
    with (folder / "h2load.out").open("wb") as out, (folder / "h2load.err").open("wb") as err:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        except OSError as error:
            result["unstartable"] = f"{argv[0]}: {error.strerror}"
        else:
            (folder / "load.pid").write_text(str(process.pid))
            try:
                result["exit_status"] = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                result["timed_out"] = True
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    result["load_s"] = time.monotonic() - began
    result["answer_after"] = ask(url, timeout_s=5)
    log = folder / "h2load.log"
    if log.exists():
        with log.open("rb") as plain, gzip.open(folder / "h2load.log.gz", "wb", 1) as packed:
            shutil.copyfileobj(plain, packed)
        log.unlink()
    write(folder / "load.json", result)


def stop_load(folder: Path) -> None:
    """End a load that is still running, after a look whether the pid is really its."""
    try:
        pid = int((folder / "load.pid").read_text())
        started = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return
    if os.fsencode(str(folder)) in started:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


# --- the contender's container --------------------------------------------------------------------


def inspect(container: str) -> dict[str, Any]:
    """The engine's description of a container."""
    done = subprocess.run(
        ["docker", "container", "inspect", container], check=True, capture_output=True, text=True
    )
    described: dict[str, Any] = json.loads(done.stdout)[0]
    return described


class Cgroup:
    """The counters of a process's control group; both versions behind one face."""

    def __init__(self, pid: int) -> None:
        self.version = 2 if (CGROUP_ROOT / "cgroup.controllers").exists() else 1
        self._paths: dict[str, Path] = {}
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                place = CGROUP_ROOT / controller if self.version == 1 else CGROUP_ROOT
                self._paths[controller] = place / path.lstrip("/")

    def _read(self, controller: str, name: str) -> str | None:
        key = controller if self.version == 1 else ""
        try:
            return (self._paths[key] / name).read_text()
        except (KeyError, OSError):
            return None

    def _number(self, controller: str, name: str) -> int | None:
        text = (self._read(controller, name) or "").strip()
        return int(text) if text.isdigit() else None

    def _entry(self, controller: str, name: str, key: str) -> int | None:
        for line in (self._read(controller, name) or "").splitlines():
            words = line.split()
            if words[0] == key:
                return int(words[1])
        return None

    def oom_kills(self) -> int | None:
        """How often the kernel killed one of its processes for want of memory."""
        if self.version == 1:
            return self._entry("memory", "memory.oom_control", "oom_kill")
        return self._entry("memory", "memory.events", "oom_kill")

    def memory_peak_bytes(self) -> int | None:
        """The most memory that it ever had; version 2 tells since Linux 5.19."""
        name = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        return self._number("memory", name)

    def memory_limit_bytes(self) -> int | None:
        """Its limit; None where there is none (version 1 says that with a huge number)."""
        name = "memory.limit_in_bytes" if self.version == 1 else "memory.max"
        limit = self._number("memory", name)
        return limit if limit is not None and limit < 1 << 60 else None

    def cpu_s(self) -> float:
        """CPU seconds used so far."""
        if self.version == 1:
            return (self._number("cpuacct", "cpuacct.usage") or 0) / 1e9
        return (self._entry("cpu", "cpu.stat", "usage_usec") or 0) / 1e6

    def processes(self) -> list[dict[str, Any]]:
        """Its processes with their starts; one that ends meanwhile is left out."""
        found = []
        for pid in (self._read("memory", "cgroup.procs") or "").split():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                continue
            command, _, rest = stat.partition("(")[2].rpartition(")")
            started = int(rest.split()[19])
            found.append({"pid": int(pid), "started_ticks": started, "command": command})
        return found


def state(container: str) -> dict[str, Any]:
    """The container now: what the engine says of it, and what the kernel does."""
    described = inspect(container)
    said = described["State"]
    cgroup = cgroup_of(said["Pid"])
    return {
        "running": said["Running"],
        "exit_code": None if said["Running"] else said["ExitCode"],
        "started_at": said["StartedAt"],
        "restarts": described["RestartCount"],
        "oom_killed": said["OOMKilled"],
        "cgroup_version": cgroup.version if cgroup else None,
        "oom_kills": cgroup.oom_kills() if cgroup else None,
        "memory_peak_bytes": cgroup.memory_peak_bytes() if cgroup else None,
        "memory_limit_bytes": cgroup.memory_limit_bytes() if cgroup else None,
        "processes": cgroup.processes() if cgroup else [],
    }


def cgroup_of(pid: int) -> Cgroup | None:
    """The control group of a container's first process; None once that is gone."""
    try:
        return Cgroup(pid) if pid else None
    except OSError:
        return None


def settle(container: str, processes: int, for_s: float) -> dict[str, Any]:
    """Wait until the container has all its processes and idles, then tell its state.

    A worker that still imports its application takes CPU: below a tenth of a core over a fifth of
    a second, twice, it is up. `for_s` bounds the wait; `settled` tells which of the two it was.
    """
    began = time.monotonic()
    cgroup = cgroup_of(inspect(container)["State"]["Pid"])
    quiet = 0
    while cgroup and quiet < 2 and time.monotonic() - began < for_s:
        before, then = cgroup.cpu_s(), time.monotonic()
        time.sleep(0.1)
        used = (cgroup.cpu_s() - before) / (time.monotonic() - then)
        complete = len(cgroup.processes()) >= processes
        quiet = quiet + 1 if used < 0.1 and complete else 0
    waited = time.monotonic() - began
    return {**state(container), "settled": quiet >= 2, "waited_s": waited}


def finish(folder: Path, container: str) -> None:
    """Tell the container's last state, keep the end of its log, and remove it."""
    write(folder / "container-after.json", state(container))
    log = folder / "container.log"
    with log.open("wb") as out:
        subprocess.run(
            ["docker", "logs", f"--tail={LOG_TAIL_LINES}", "--timestamps", container],
            check=True,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    hand_over(log)
    remove(container)


def remove(container: str) -> None:
    """Take a container away; that it is gone already is as good."""
    done = subprocess.run(
        ["docker", "rm", "--force", "--volumes", container], capture_output=True, text=True
    )
    if done.returncode and "No such container" not in done.stderr:
        raise RuntimeError(done.stderr.strip())


# --- facts ----------------------------------------------------------------------------------------


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


# --- the command line -----------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> None:
    """One subcommand for each thing that the driver asks of a host."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("facts", "ask", "load", "stop-load", "settle", "finish"):
        command = commands.add_parser(name)
        command.add_argument("folder", type=Path)
        if name in ("ask", "load"):
            command.add_argument("--url", required=True)
        if name in ("ask", "settle", "load"):
            command.add_argument("--for", dest="for_s", type=float, required=True)
        if name in ("settle", "finish"):
            command.add_argument("--container", required=True)
        if name == "settle":
            command.add_argument("--processes", type=int, required=True)
        if name == "load":
            command.add_argument("argv", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    os.umask(0o077)

    if given.command == "facts":
        write(given.folder / "facts.json", facts())
    elif given.command == "ask":
        write(given.folder / "answer.json", ask_until_answered(given.url, given.for_s))
    elif given.command == "load":
        if detach():
            load(given.folder, given.url, given.for_s, given.argv)
    elif given.command == "stop-load":
        stop_load(given.folder)
    elif given.command == "settle":
        settled = settle(given.container, given.processes, given.for_s)
        write(given.folder / "container-before.json", settled)
    elif given.command == "finish":
        finish(given.folder, given.container)


if __name__ == "__main__":
    main(sys.argv[1:])
