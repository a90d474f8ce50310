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
    """Return the folder of a run, with the mode that the agent requires."""
    path = tmp_path / "r1-0001-flask"
    path.mkdir(mode=0o700)
    return path


MAIN_MODULE = """import os, sys
from pathlib import Path

from fwbench.agent import state
from fwbench.agent.commands import main

state.state_folder = lambda: Path(os.environ["STATE_FOLDER"])
state.PROVISIONING_FOLDERS = Path(os.environ["STATE_FOLDER"]).with_name("provisioning-tmp")
main(sys.argv[1:])
"""


@pytest.fixture
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that agents use for leases in place of this machine's own."""
    path = tmp_path / "run"
    monkeypatch.setattr(state, "state_folder", lambda: path)
    return path


@pytest.fixture(scope="session")
def agent_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the archive that hosts get, with a main module that moves the state folder."""
    path = tmp_path_factory.mktemp("agent") / "agent.pyz"
    with (
        zipfile.ZipFile(io.BytesIO(build_archive())) as original,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as changed,
    ):
        for name in original.namelist():
            changed.writestr(name, MAIN_MODULE if name == "__main__.py" else original.read(name))
    return path


def interpreters() -> list[str]:
    """Return this Python, and the oldest supported one if it is installed."""
    oldest = shutil.which("python3.9")
    works = oldest and subprocess.run([oldest, "-c", ""], capture_output=True).returncode == 0
    return [sys.executable, *([str(oldest)] if works else [])]


@pytest.fixture(params=interpreters(), ids=lambda path: Path(path).name)
def agent(agent_archive: Path, state_folder: Path, request: pytest.FixtureRequest) -> Agent:
    """Return a function that executes the archive as hosts do, with no project on its path."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        argv = [request.param, "-I", "-S", str(agent_archive), *arguments]
        env = {"PATH": os.environ["PATH"], "STATE_FOLDER": str(state_folder), **environment}
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=env)

    return run


class Contender(BaseHTTPRequestHandler):
    """Answers like a contender; `/echo` returns the request line and the Connection header."""

    def do_GET(self) -> None:
        request = f"{self.command} {self.path} {self.headers['Connection']}"
        body = request.encode() if self.path.startswith("/echo") else "Grüße\xff".encode("latin-1")
        self.send_response(418 if self.path == "/teapot" else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def contender() -> Iterator[str]:
    """Yield the URL of a running contender."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Contender) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Yield a function that starts a server for one connection, and returns its URL.

    The server reads the request, then calls `answer` with the socket.
    """
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
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """Return the clock that replaces `time` in the modules that wait."""
    clock = FakeTime()
    for module in (http_probe, container):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def h2load(tmp_path: Path) -> H2load:
    """Return a function that writes a stand-in for h2load, and returns the command for it."""

    def make(body: str, folder: Path | None = None) -> list[str]:
        program = tmp_path / "h2load"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        return [str(program), f"--log-file={folder or tmp_path}/requests.log"]

    return make


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    """Yield a function that starts a sleeping process, and returns its PID.

    Each process has a session of its own. All are killed at the end of the test.
    """
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> int:
        script = "import time; time.sleep(60)"
        argv = [sys.executable, "-c", script, *arguments]
        started.append(subprocess.Popen(argv, start_new_session=True))
        deadline = time.monotonic() + TIMEOUT_S
        # Before exec, a child has its parent's command line.
        while b"time.sleep" not in Path(f"/proc/{started[-1].pid}/cmdline").read_bytes():
            assert time.monotonic() < deadline
        return started[-1].pid

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """Return a function that writes files in place of /proc and the control groups."""
    groups, proc = tmp_path / "cgroup", tmp_path / "proc"
    groups.mkdir()
    monkeypatch.setattr(cgroup, "CGROUP_ROOT", groups)

    def redirected(path: Any) -> Path:
        text = str(path)
        return proc / text.removeprefix("/proc/") if text.startswith("/proc/") else Path(path)

    monkeypatch.setattr(cgroup, "Path", redirected)

    def write_files(files: dict[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write_files


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """Return a function that replaces docker by a program, and returns the log of its calls."""

    def make(body: str = "", **state: object) -> Path:
        programs, calls = tmp_path / "bin", tmp_path / "docker-calls"
        programs.mkdir()
        defaults = {
            "Running": True,
            "ExitCode": 0,
            "StartedAt": "2026-11-23T10:00:00Z",
            "OOMKilled": False,
            "Pid": PID,
        }
        description = tmp_path / "inspect.json"
        description.write_text(json.dumps([{"State": defaults | state, "RestartCount": 0}]))
        script = (
            f'#!/bin/sh\necho "$@" >>{calls}\n{body}\n[ "$1" != container ] || cat {description}\n'
        )
        (programs / "docker").write_text(script)
        (programs / "docker").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        return calls

    return make
