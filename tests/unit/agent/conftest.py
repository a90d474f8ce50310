import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from agent_environment import (
    PID,
    TIMEOUT_S,
    Agent,
    Docker,
    FakeTime,
    H2load,
    Kernel,
    Serve,
    Sleeper,
)

from fwbench.agent import cgroup, container, http_probe, state
from fwbench.agent.archive import build_archive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "r1-0001-flask"
    made.mkdir(mode=0o700)
    return made


ELSEWHERE = """import os, sys
from pathlib import Path

from fwbench.agent import state
from fwbench.agent.commands import main

state.state_folder = lambda: Path(os.environ["PLACE_OF_STATE"])
state.PROVISIONING_FOLDERS = Path(os.environ["PLACE_OF_STATE"]).with_name("tmp-of-provisioning")
main(sys.argv[1:])
"""


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where agents keep who has the host, in place of what is this machine's own."""
    place = tmp_path / "run"
    monkeypatch.setattr(state, "state_folder", lambda: place)
    return place


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive as hosts have it, but for the place where it keeps who has the host."""
    path = tmp_path_factory.mktemp("agent") / "agent.pyz"
    with (
        zipfile.ZipFile(io.BytesIO(build_archive())) as original,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as changed,
    ):
        for name in original.namelist():
            changed.writestr(name, ELSEWHERE if name == "__main__.py" else original.read(name))
    return path


def interpreters() -> list[str]:
    """Return this Python, and the oldest that hosts may have, if this machine has it."""
    oldest = shutil.which("python3.9")
    works = oldest and subprocess.run([oldest, "-c", ""], capture_output=True).returncode == 0
    return [sys.executable, *([str(oldest)] if works else [])]


@pytest.fixture(params=interpreters(), ids=lambda path: Path(path).name)
def agent(packed: Path, kept: Path, request: pytest.FixtureRequest) -> Agent:
    """Runs the archive as the hosts do, with neither this project nor any other on its path."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        argv = [request.param, "-I", "-S", str(packed), *arguments]
        env = {"PATH": os.environ["PATH"], "PLACE_OF_STATE": str(kept), **environment}
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=env)

    return run


class Contender(BaseHTTPRequestHandler):
    """Answers like a contender; `/echo` tells what was asked."""

    def do_GET(self) -> None:
        asked = f"{self.command} {self.path} {self.headers['Connection']}"
        body = asked.encode() if self.path.startswith("/echo") else "Grüße\xff".encode("latin-1")
        self.send_response(418 if self.path == "/teapot" else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def contender() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Contender) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves one connection with a function of its socket, after the request was read."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(answer: Callable[[socket.socket], None]) -> str:
        listener = socket.create_server(("127.0.0.1", 0))

        def once() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                answer(connection)

        listeners.append(listener)
        threads.append(threading.Thread(target=once))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    for thread in threads:
        thread.join(TIMEOUT_S)
    for listener in listeners:
        listener.close()


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    clock = FakeTime()
    for module in (http_probe, container):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def h2load(tmp_path: Path) -> H2load:
    """Makes a program that stands for h2load, and gives the command that starts it."""

    def make(body: str, folder: Path | None = None) -> list[str]:
        program = tmp_path / "h2load"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        return [str(program), f"--log-file={folder or tmp_path}/requests.log"]

    return make


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    """Starts processes that sleep, each in a session of its own; none is left."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> int:
        script = "import time; time.sleep(60)"
        argv = [sys.executable, "-c", script, *arguments]
        started.append(subprocess.Popen(argv, start_new_session=True))
        deadline = time.monotonic() + TIMEOUT_S
        # Until the exec, a child has the command line of its parent.
        while b"time.sleep" not in Path(f"/proc/{started[-1].pid}/cmdline").read_bytes():
            assert time.monotonic() < deadline
        return started[-1].pid

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """Lays out /proc and the control groups as a kernel would, somewhere else."""
    groups, proc = tmp_path / "cgroup", tmp_path / "proc"
    groups.mkdir()
    monkeypatch.setattr(cgroup, "CGROUP_ROOT", groups)

    def redirected(path: Any) -> Path:
        text = str(path)
        return proc / text.removeprefix("/proc/") if text.startswith("/proc/") else Path(path)

    monkeypatch.setattr(cgroup, "Path", redirected)

    def lay_out(files: dict[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return lay_out


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """Puts a program in docker's place that notes what it is asked, and gives those notes."""

    def make(body: str = "", **state: object) -> Path:
        programs, asked = tmp_path / "bin", tmp_path / "asked"
        programs.mkdir()
        said = {
            "Running": True,
            "ExitCode": 0,
            "StartedAt": "2026-11-23T10:00:00Z",
            "OOMKilled": False,
            "Pid": PID,
        }
        described = tmp_path / "described.json"
        described.write_text(json.dumps([{"State": said | state, "RestartCount": 0}]))
        script = (
            f'#!/bin/sh\necho "$@" >>{asked}\n{body}\n[ "$1" != container ] || cat {described}\n'
        )
        (programs / "docker").write_text(script)
        (programs / "docker").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        return asked

    return make
