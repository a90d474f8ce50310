import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_environment import Agent, Docker, Kernel, Sleeper, await_end, await_file

from fwbench.agent.protocol import TELEMETRY_TARGET
from fwbench.agent.target_sampler import start_sampling, stop_sampling


@pytest.fixture(autouse=True)
def _restore_signal_mask() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.fixture(autouse=True)
def pid_file(state_folder: Path, tmp_path: Path) -> Path:
    """Return the path of the sampler's PID file, in the state folder of the run's session."""
    session_state = state_folder / tmp_path.name
    session_state.mkdir(parents=True, mode=0o700)
    return session_state / "sampler.pid"


def sample_count(folder: Path) -> int:
    return len(json.loads((folder / TELEMETRY_TARGET).read_text())["series"]["time_s"])


def test_sampler_ends_at_its_time_limit(folder: Path, pid_file: Path) -> None:
    began = time.monotonic()
    start_sampling(folder, (), 0.5)
    assert 0.4 < time.monotonic() - began < 3
    assert sample_count(folder) >= 3
    assert int(pid_file.read_text()) == os.getpid()


def test_sampler_ends_on_sigterm(folder: Path) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    timer.start()
    began = time.monotonic()
    start_sampling(folder, (), 60)
    timer.join()
    assert time.monotonic() - began < 10
    assert sample_count(folder) >= 2


def test_sampler_ends_if_run_folder_is_removed(folder: Path) -> None:
    def remove() -> None:
        folder.rmdir()

    timer = threading.Timer(0.3, remove)
    timer.start()
    began = time.monotonic()
    start_sampling(folder, (), 30)
    timer.join()
    assert time.monotonic() - began < 10
    assert not folder.exists()


def test_sampler_does_not_start_without_run_folder(tmp_path: Path) -> None:
    start_sampling(tmp_path / "gone", (), 60)


@pytest.mark.parametrize("text", [None, "", "99999999"])
def test_stopping_a_missing_sampler_does_nothing(
    folder: Path, pid_file: Path, text: str | None
) -> None:
    if text is not None:
        pid_file.write_text(text)
    stop_sampling(folder)


def test_reused_pid_is_not_killed(folder: Path, pid_file: Path, sleeper: Sleeper) -> None:
    pid = sleeper("/elsewhere")
    pid_file.write_text(str(pid))
    stop_sampling(folder)
    os.kill(pid, 0)


def test_wait_for_a_sampler_without_result_is_bounded(
    folder: Path, pid_file: Path, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fwbench.agent.target_sampler.STOP_TIMEOUT_S", 0.1)
    pid = sleeper(str(folder))
    pid_file.write_text(str(pid))
    began = time.monotonic()
    stop_sampling(folder)
    assert time.monotonic() - began < 2
    await_end(pid)


def test_wait_idle_starts_a_sampler_and_finish_ends_it(
    agent: Agent, folder: Path, pid_file: Path, docker: Docker, sleeper: Sleeper
) -> None:
    """The engine is replaced, but the container's first process is real."""
    docker(Pid=sleeper())
    path = os.environ["PATH"]
    options = ["--timeout-s=1", "--container=c", "--processes=1", "--sampling-limit-s=60"]
    result = agent("wait-idle", *options, str(folder), PATH=path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (folder / "container-before.json").exists()
    await_file(pid_file)
    pid = int(pid_file.read_text())
    assert os.getsid(pid) != os.getsid(0)
    time.sleep(0.5)
    assert not (folder / TELEMETRY_TARGET).exists()
    result = agent("finish", "--container=c", str(folder), PATH=path)
    assert (result.returncode, result.stderr) == (0, "")
    await_end(pid)
    assert sample_count(folder) >= 2
    assert (folder / "container-after.json").exists()


def test_wait_idle_starts_no_sampler_by_default(
    agent: Agent, folder: Path, pid_file: Path, docker: Docker, kernel: Kernel
) -> None:
    kernel({})
    docker(Running=False, Pid=0)
    path = os.environ["PATH"]
    result = agent(
        "wait-idle", "--timeout-s=1", "--container=c", "--processes=1", str(folder), PATH=path
    )
    assert result.returncode == 0
    time.sleep(0.3)
    assert not pid_file.exists()
