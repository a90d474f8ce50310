import ast
import gzip
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fwbench import agent
from fwbench.agent import on_host
from fwbench.model.record import HostFacts

PATIENCE_S = 10
PID = 4242

H2load = Callable[..., list[str]]
Kernel = Callable[[dict[str, str]], None]
Serve = Callable[[Callable[[socket.socket], None]], str]


def await_file(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.01)


def await_end(pid: int) -> None:
    """Wait until a process is gone, or a zombie that only its parent still has to collect."""
    deadline = time.monotonic() + PATIENCE_S
    while is_alive(pid):
        assert time.monotonic() < deadline, f"{pid} lives on"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


def run_script(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script as the hosts run it, with neither this project nor any other on its path."""
    argv = [sys.executable, "-I", "-S", str(agent.SOURCE), *arguments]
    env = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=env)


# Asking


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
        thread.join(PATIENCE_S)
    for listener in listeners:
        listener.close()


def refused_url() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_an_answer_has_status_content_type_and_body(contender: str) -> None:
    assert on_host.ask(f"{contender}/teapot", 5) == {
        "status": 418,
        "content_type": "text/html; charset=utf-8",
        "body": "Gr\\xfc\\xdfe\\xff",
    }


def test_all_of_the_path_is_asked_for(contender: str) -> None:
    assert on_host.ask(f"{contender}/echo?a=1&b", 5)["body"] == "GET /echo?a=1&b close"


def test_an_answer_without_a_content_type_has_none(serve: Serve) -> None:
    url = serve(lambda s: s.sendall(b"HTTP/1.1 204 No Content\r\n\r\n"))
    assert on_host.ask(url, 5) == {"status": 204, "content_type": None, "body": ""}


def test_of_an_endless_answer_only_64_kib_are_read(serve: Serve) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    assert on_host.ask(serve(flood), 5)["body"] == "x" * 65536


def test_a_refused_port_is_an_error() -> None:
    answer = on_host.ask(refused_url(), 5)
    assert list(answer) == ["error"]
    assert answer["error"].startswith("ConnectionRefusedError: ")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", "RemoteDisconnected: "),
        (b"garbage\r\n\r\n", "BadStatusLine: garbage"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "BadStatusLine: "),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, "HTTPException: got more than 100 headers"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 100_000, "LineTooLong: "),
    ],
    ids=["closes-at-once", "no-status-line", "no-status", "headers", "long-line"],
)
def test_an_answer_that_is_none_is_an_error(serve: Serve, said: bytes, error: str) -> None:
    assert on_host.ask(serve(lambda s: s.sendall(said)), 5)["error"].startswith(error)


def test_an_error_is_short(serve: Serve) -> None:
    url = serve(lambda s: s.sendall(b"y" * 5000 + b"\r\n"))
    assert len(on_host.ask(url, 5)["error"]) <= 300


def test_a_server_that_accepts_and_is_silent_is_an_error_in_time(serve: Serve) -> None:
    asked = threading.Event()
    url = serve(lambda _: asked.wait(PATIENCE_S) and None)
    assert on_host.ask(url, 0.1)["error"].startswith("TimeoutError: ")
    asked.set()


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_answers_a_byte_at_a_time_does_not_outlast_the_timeout(
    serve: Serve, head: bytes
) -> None:
    """Each byte comes within the timeout, all of them never do."""
    asked = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        while not asked.wait(0.02):
            connection.sendall(b"x")

    stop = threading.Timer(PATIENCE_S, asked.set)
    stop.start()
    answer = on_host.ask(serve(drip), 0.2)
    in_time = not asked.is_set()
    asked.set()
    stop.cancel()
    stop.join()
    assert answer["error"].startswith("TimeoutError: ")
    assert in_time


class Passing:
    """Stands for the module `time`: it passes only while somebody sleeps, or asks."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Passing:
    clock = Passing()
    monkeypatch.setattr(on_host, "time", clock)
    return clock


@pytest.mark.usefixtures("passing")
def test_asking_goes_on_until_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [{"error": "no"}, {"error": "no"}, {"status": 500}, {"status": 200}]
    monkeypatch.setattr(on_host, "ask", lambda *_, **__: answers.pop(0))
    assert on_host.ask_until_answered("http://x/", 2) == {"status": 500}


def test_asking_ends_with_the_last_error_when_its_time_is_over(
    passing: Passing, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed_s = []

    def refuse(_: str, timeout_s: float) -> dict[str, str]:
        allowed_s.append(timeout_s)
        return {"error": f"no {len(allowed_s)}"}

    monkeypatch.setattr(on_host, "ask", refuse)
    assert on_host.ask_until_answered("http://x/", 2) == {"error": f"no {len(allowed_s)}"}
    assert 2 <= passing.now < 2.1
    assert allowed_s[0] == 2
    assert all(0.1 <= allowed <= 2 for allowed in allowed_s)


# The load


@pytest.fixture
def h2load(tmp_path: Path) -> H2load:
    """Makes a program that stands for h2load, and gives the command that starts it."""

    def make(body: str, folder: Path | None = None) -> list[str]:
        program = tmp_path / "h2load"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        return [str(program), f"--log-file={folder or tmp_path}/h2load.log"]

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "r1-0001-flask"
    made.mkdir(mode=0o700)
    return made


WRITES_ALL = 'echo figures; echo warning >&2; printf "1\\t200\\t5\\n" >"${1#--log-file=}"; exit 3'


def test_a_load_leaves_its_output_its_log_and_how_it_ended(
    folder: Path, h2load: H2load, contender: str
) -> None:
    on_host.load(folder, f"{contender}/echo", 10, h2load(WRITES_ALL, folder))
    assert (folder / "h2load.out").read_text() == "figures\n"
    assert (folder / "h2load.err").read_text() == "warning\n"
    assert gzip.decompress((folder / "h2load.log.gz").read_bytes()) == b"1\t200\t5\n"
    assert not (folder / "h2load.log").exists()
    ended = json.loads((folder / "load.json").read_text())
    assert ended.pop("load_s") > 0
    assert ended.pop("started") > 0
    assert ended == {
        "exit_status": 3,
        "timed_out": False,
        "answer_after": {
            "status": 200,
            "content_type": "text/html; charset=utf-8",
            "body": "GET /echo close",
        },
    }


def test_a_load_without_a_log_leaves_none(folder: Path, h2load: H2load) -> None:
    on_host.load(folder, refused_url(), 10, h2load("exit 0", folder))
    assert not (folder / "h2load.log.gz").exists()
    assert json.loads((folder / "load.json").read_text())["exit_status"] == 0


def test_a_contender_that_is_gone_after_the_load_is_seen(folder: Path, h2load: H2load) -> None:
    on_host.load(folder, refused_url(), 10, h2load("exit 0", folder))
    ended = json.loads((folder / "load.json").read_text())
    assert ended["answer_after"]["error"].startswith("ConnectionRefusedError")


def test_a_load_over_its_time_is_killed_with_all_its_processes(
    folder: Path, h2load: H2load
) -> None:
    child = folder / "child"
    argv = h2load(f"sleep 60 & echo $! >{child}.new; mv {child}.new {child}; wait", folder)
    on_host.load(folder, refused_url(), 0.5, argv)
    ended = json.loads((folder / "load.json").read_text())
    assert (ended["exit_status"], ended["timed_out"]) == (None, True)
    await_end(int(child.read_text()))
    await_end(int((folder / "load.pid").read_text()))


@pytest.mark.parametrize(
    ("program", "why"),
    [("/nowhere/h2load", "No such file or directory"), ("/etc/passwd", "Permission denied")],
)
def test_a_load_generator_that_cannot_be_started_is_said_to(
    folder: Path, program: str, why: str
) -> None:
    on_host.load(folder, refused_url(), 10, [program])
    ended = json.loads((folder / "load.json").read_text())
    assert ended["unstartable"] == f"{program}: {why}"
    assert (ended["exit_status"], ended["timed_out"]) == (None, False)


def test_the_last_file_to_come_is_the_one_that_is_waited_for(
    folder: Path, h2load: H2load, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = []

    def look(path: Path, _: object) -> None:
        assert path == folder / "load.json"
        there.extend(file.name for file in folder.iterdir())

    monkeypatch.setattr(on_host, "write", look)
    on_host.load(folder, refused_url(), 10, h2load(WRITES_ALL, folder))
    assert {"h2load.out", "h2load.err", "h2load.log.gz"} <= set(there)


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(on_host, "hand_over", full)
    with pytest.raises(OSError, match="disk full"):
        on_host.write(tmp_path / "answer.json", {})
    assert not (tmp_path / "answer.json").exists()


def test_a_file_that_root_writes_is_the_folders_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, *owner: given.append((path.name, owner)))
    on_host.write(tmp_path / "facts.json", {})
    owner = (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
    assert given == [("facts.json.partial", owner)]


def test_the_load_that_is_started_over_ssh_goes_on_without_it(folder: Path, h2load: H2load) -> None:
    """The command returns while the load waits, in a session of its own and with no output."""
    go = folder / "go"
    argv = h2load(
        f"{WRITES_ALL.removesuffix('; exit 3')}; while [ ! -e {go} ]; do sleep 0.01; done", folder
    )
    begun = run_script("load", f"--url={refused_url()}", "--for=30", str(folder), *argv)
    assert (begun.returncode, begun.stdout, begun.stderr) == (0, "", "")
    await_file(folder / "load.pid")
    assert not (folder / "load.json").exists()
    go.touch()
    await_file(folder / "load.json")
    assert json.loads((folder / "load.json").read_text())["exit_status"] == 0


def test_files_of_a_load_are_their_owners_alone(folder: Path, h2load: H2load) -> None:
    argv = h2load(WRITES_ALL, folder)
    run_script("load", f"--url={refused_url()}", "--for=30", str(folder), *argv)
    await_file(folder / "load.json")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == dict.fromkeys(
        ["load.pid", "load.json", "h2load.out", "h2load.err", "h2load.log.gz"], 0o600
    )


@pytest.fixture
def sleeper() -> Iterator[Callable[..., int]]:
    """Starts processes that sleep, each in a session of its own; none is left."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> int:
        script = "import time; time.sleep(60)"
        argv = [sys.executable, "-c", script, *arguments]
        started.append(subprocess.Popen(argv, start_new_session=True))
        deadline = time.monotonic() + PATIENCE_S
        # Until the exec, a child has the command line of its parent.
        while b"time.sleep" not in Path(f"/proc/{started[-1].pid}/cmdline").read_bytes():
            assert time.monotonic() < deadline
        return started[-1].pid

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_load_that_still_runs_is_stopped(folder: Path, sleeper: Callable[..., int]) -> None:
    pid = sleeper(f"--log-file={folder}/h2load.log")
    (folder / "load.pid").write_text(str(pid))
    on_host.stop_load(folder)
    await_end(pid)


def test_a_process_that_got_the_pid_since_is_left_alone(
    folder: Path, sleeper: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = sleeper("--log-file=/elsewhere/h2load.log")
    (folder / "load.pid").write_text(str(pid))
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda pid, _: killed.append(pid))
    on_host.stop_load(folder)
    assert killed == []


@pytest.mark.parametrize("text", [None, "", "no number", "99999999"])
def test_stopping_a_load_that_there_is_not_does_nothing(folder: Path, text: str | None) -> None:
    if text is not None:
        (folder / "load.pid").write_text(text)
    on_host.stop_load(folder)


def test_stopping_a_load_that_ends_meanwhile_does_nothing(
    folder: Path, sleeper: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "load.pid").write_text(str(sleeper(str(folder))))

    def gone(*_: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "killpg", gone)
    on_host.stop_load(folder)


# Control groups


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """Lays out /proc and the control groups as a kernel would, somewhere else."""
    groups, proc = tmp_path / "cgroup", tmp_path / "proc"
    groups.mkdir()
    monkeypatch.setattr(on_host, "CGROUP_ROOT", groups)

    def redirected(path: Any) -> Path:
        text = str(path)
        return proc / text.removeprefix("/proc/") if text.startswith("/proc/") else Path(path)

    monkeypatch.setattr(on_host, "Path", redirected)

    def lay_out(files: dict[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return lay_out


def stat_of(pid: int, command: str, started: int) -> str:
    fields = ["S", *map(str, range(4, 22)), str(started), *map(str, range(23, 53))]
    return f"{pid} ({command}) {' '.join(fields)}\n"


PROCESSES = {
    f"proc/{PID}/stat": stat_of(PID, "gunicorn: master", 5000),
    "proc/4250/stat": stat_of(4250, "odd) (name", 5010),
}
FOUND = [
    {"pid": PID, "started_ticks": 5000, "command": "gunicorn: master"},
    {"pid": 4250, "started_ticks": 5010, "command": "odd) (name"},
]
VERSION_1 = {
    f"proc/{PID}/cgroup": (
        "12:memory:/docker/abc\n5:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n"
    ),
    "cgroup/memory/docker/abc/memory.oom_control": (
        "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"
    ),
    "cgroup/memory/docker/abc/memory.max_usage_in_bytes": "94371840\n",
    "cgroup/memory/docker/abc/memory.limit_in_bytes": "536870912\n",
    "cgroup/memory/docker/abc/cgroup.procs": f"{PID}\n4250\n4251\n",
    "cgroup/cpuacct/docker/abc/cpuacct.usage": "2500000000\n",
    **PROCESSES,
}
VERSION_2 = {
    "cgroup/cgroup.controllers": "cpu memory pids\n",
    f"proc/{PID}/cgroup": "0::/system.slice/docker-abc.scope\n",
    "cgroup/system.slice/docker-abc.scope/memory.events": "high 0\nmax 9\noom 4\noom_kill 3\n",
    "cgroup/system.slice/docker-abc.scope/memory.peak": "94371840\n",
    "cgroup/system.slice/docker-abc.scope/memory.max": "536870912\n",
    "cgroup/system.slice/docker-abc.scope/cgroup.procs": f"{PID}\n4250\n4251\n",
    "cgroup/system.slice/docker-abc.scope/cpu.stat": "usage_usec 2500000\nuser_usec 2000000\n",
    **PROCESSES,
}


@pytest.mark.parametrize(("version", "files"), [(1, VERSION_1), (2, VERSION_2)])
def test_both_versions_tell_the_same(kernel: Kernel, version: int, files: dict[str, str]) -> None:
    kernel(files)
    cgroup = on_host.Cgroup(PID)
    assert cgroup.version == version
    assert cgroup.oom_kills() == 3
    assert cgroup.memory_peak_bytes() == 94371840
    assert cgroup.memory_limit_bytes() == 536870912
    assert cgroup.cpu_s() == 2.5
    assert cgroup.processes() == FOUND  # 4251 has ended meanwhile


@pytest.mark.parametrize(
    ("files", "change"),
    [
        (VERSION_1, {"cgroup/memory/docker/abc/memory.limit_in_bytes": "9223372036854771712\n"}),
        (VERSION_2, {"cgroup/system.slice/docker-abc.scope/memory.max": "max\n"}),
    ],
)
def test_no_limit_is_none(kernel: Kernel, files: dict[str, str], change: dict[str, str]) -> None:
    kernel(files | change)
    assert on_host.Cgroup(PID).memory_limit_bytes() is None


@pytest.mark.parametrize("files", [VERSION_1, VERSION_2])
def test_counters_that_a_kernel_does_not_have_are_none(
    kernel: Kernel, files: dict[str, str]
) -> None:
    kernel({name: text for name, text in files.items() if "abc" not in name})
    cgroup = on_host.Cgroup(PID)
    assert cgroup.oom_kills() is None
    assert cgroup.memory_peak_bytes() is None
    assert cgroup.memory_limit_bytes() is None
    assert cgroup.processes() == []


def test_a_process_that_is_gone_has_no_control_group(
    kernel: Kernel,
) -> None:
    kernel({})
    assert on_host.cgroup_of(PID) is None
    assert on_host.cgroup_of(0) is None


# The container


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
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


def test_a_running_container_is_described_by_engine_and_kernel(
    kernel: Kernel, docker: Callable[..., Path]
) -> None:
    kernel(VERSION_2)
    docker()
    assert on_host.state("c") == {
        "running": True,
        "exit_code": None,
        "started_at": "2026-11-23T10:00:00Z",
        "restarts": 0,
        "oom_killed": False,
        "cgroup_version": 2,
        "oom_kills": 3,
        "memory_peak_bytes": 94371840,
        "memory_limit_bytes": 536870912,
        "processes": FOUND,
    }


def test_of_a_container_that_ended_the_kernel_knows_nothing(
    kernel: Kernel, docker: Callable[..., Path]
) -> None:
    kernel(VERSION_2)
    docker(Running=False, ExitCode=137, OOMKilled=True, Pid=0)
    state = on_host.state("c")
    assert (state["running"], state["exit_code"], state["oom_killed"]) == (False, 137, True)
    assert (state["cgroup_version"], state["oom_kills"], state["processes"]) == (None, None, [])


@pytest.mark.usefixtures("passing")
def test_a_container_with_all_its_processes_settles_when_it_idles(
    kernel: Kernel, docker: Callable[..., Path]
) -> None:
    kernel(VERSION_2)
    docker()
    settled = on_host.settle("c", processes=2, for_s=30)
    assert settled["settled"] is True
    assert settled["waited_s"] == pytest.approx(0.2)
    assert settled["running"] is True


@pytest.mark.usefixtures("passing")
def test_a_container_that_lacks_a_process_does_not_settle(
    kernel: Kernel, docker: Callable[..., Path]
) -> None:
    kernel(VERSION_2)
    docker()
    settled = on_host.settle("c", processes=3, for_s=5)
    assert settled["settled"] is False
    assert 5 <= settled["waited_s"] < 5.2


@pytest.mark.usefixtures("passing")
def test_a_container_that_works_does_not_settle_before_it_has_idled_twice(
    kernel: Kernel,
    docker: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Busy, idle, busy, then idle for good: one quiet moment may be a pause."""
    kernel(VERSION_2)
    docker()
    used = iter([0.0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2])
    monkeypatch.setattr(on_host.Cgroup, "cpu_s", lambda _: next(used))
    settled = on_host.settle("c", processes=2, for_s=30)
    assert settled["settled"] is True
    assert settled["waited_s"] == pytest.approx(0.5)


@pytest.mark.usefixtures("passing")
def test_a_container_that_ended_is_not_waited_for(
    kernel: Kernel, docker: Callable[..., Path]
) -> None:
    kernel({})
    docker(Running=False, Pid=0)
    settled = on_host.settle("c", processes=2, for_s=30)
    assert (settled["settled"], settled["waited_s"]) == (False, 0)


def test_finishing_keeps_the_end_of_the_log_and_removes_the_container(
    folder: Path, kernel: Kernel, docker: Callable[..., Path]
) -> None:
    kernel(VERSION_2)
    asked = docker('[ "$1" != logs ] || { echo booted; echo warned >&2; }')
    on_host.finish(folder, "c")
    assert (folder / "container.log").read_text() == "booted\nwarned\n"
    assert json.loads((folder / "container-after.json").read_text())["running"] is True
    assert asked.read_text().splitlines() == [
        "container inspect c",
        "logs --tail=500 --timestamps c",
        "rm --force --volumes c",
    ]


def test_a_container_that_is_gone_already_is_removed(docker: Callable[..., Path]) -> None:
    docker("echo 'Error: No such container: c' >&2; exit 1")
    on_host.remove("c")


def test_a_container_that_cannot_be_removed_is_an_error(docker: Callable[..., Path]) -> None:
    docker("echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(RuntimeError, match="Cannot connect"):
        on_host.remove("c")


# Facts


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
    assert on_host.cpu_model(text.splitlines()) == name


def test_a_processor_without_a_name_is_unknown_or_what_python_says() -> None:
    assert on_host.cpu_model([]) != ""


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_on_which_something_listens_is_found(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(socket.create_server((address, 0), family=family)) as listener:
        assert listener.getsockname()[1] in on_host.listening()


def test_a_port_that_is_only_used_to_connect_does_not_count() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as connection,
    ):
        assert connection.getsockname()[1] not in on_host.listening()


def test_programs_that_are_missing_fail_or_hang_say_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert on_host.said_by("echo", " 1.64 ") == "1.64"
    assert on_host.said_by("false") is None
    assert on_host.said_by("/nowhere/docker") is None

    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("docker", 10)

    monkeypatch.setattr(subprocess, "run", hang)
    assert on_host.said_by("docker") is None


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
    monkeypatch.setattr(on_host, "IMAGES", tmp_path)
    assert on_host.images() == [record]
    monkeypatch.setattr(on_host, "IMAGES", tmp_path / "nowhere")
    assert on_host.images() == []


# The script


def test_the_script_needs_the_standard_library_alone() -> None:
    tree = ast.parse(agent.SOURCE.read_text())
    names = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names <= sys.stdlib_module_names


def test_the_script_finds_out_what_a_host_is_made_of(folder: Path) -> None:
    done = run_script("facts", str(folder))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    facts = HostFacts(host="here", **json.loads((folder / "facts.json").read_text()))
    assert facts.cpus == len(os.sched_getaffinity(0))
    assert facts.memory_bytes > 2**26
    assert facts.cgroup_version in (1, 2)
    assert stat.S_IMODE((folder / "facts.json").stat().st_mode) == 0o600


def test_the_script_asks(folder: Path, contender: str) -> None:
    done = run_script("ask", f"--url={contender}/echo", "--for=2", str(folder))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads((folder / "answer.json").read_text())["body"] == "GET /echo close"


def test_the_script_is_not_led_astray_by_a_proxy(folder: Path, contender: str) -> None:
    run_script("ask", f"--url={contender}/echo", "--for=2", str(folder), http_proxy=refused_url())
    assert json.loads((folder / "answer.json").read_text())["status"] == 200


def test_the_script_stops_a_load(folder: Path, sleeper: Callable[..., int]) -> None:
    pid = sleeper(str(folder))
    (folder / "load.pid").write_text(str(pid))
    assert run_script("stop-load", str(folder)).returncode == 0
    await_end(pid)


@pytest.mark.parametrize("arguments", [[], ["dance"], ["ask", "folder"], ["settle", "folder"]])
def test_the_script_refuses_what_it_does_not_know(arguments: list[str]) -> None:
    done = run_script(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr
