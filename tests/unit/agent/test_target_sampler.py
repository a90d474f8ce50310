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
def _signals_as_they_were() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.fixture(autouse=True)
def pid_file(kept: Path, tmp_path: Path) -> Path:
    """What is kept of the session in whose folder the run's folder lies."""
    of_session = kept / tmp_path.name
    of_session.mkdir(parents=True, mode=0o700)
    return of_session / "sampler.pid"


def samples(folder: Path) -> int:
    return len(json.loads((folder / TELEMETRY_TARGET).read_text())["series"]["time_s"])


def test_a_sampler_ends_when_its_time_is_over(folder: Path, pid_file: Path) -> None:
    began = time.monotonic()
    start_sampling(folder, (), 0.5)
    assert 0.4 < time.monotonic() - began < 3
    assert samples(folder) >= 3
    assert int(pid_file.read_text()) == os.getpid()


def test_a_sampler_ends_when_it_is_told_to(folder: Path) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    telling = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    telling.start()
    began = time.monotonic()
    start_sampling(folder, (), 60)
    telling.join()
    assert time.monotonic() - began < 10
    assert samples(folder) >= 2


def test_a_sampler_ends_with_the_runs_folder(folder: Path) -> None:
    def remove() -> None:
        folder.rmdir()

    removing = threading.Timer(0.3, remove)
    removing.start()
    began = time.monotonic()
    start_sampling(folder, (), 30)
    removing.join()
    assert time.monotonic() - began < 10
    assert not folder.exists()


def test_a_folder_that_is_gone_already_is_not_sampled_for(tmp_path: Path) -> None:
    start_sampling(tmp_path / "gone", (), 60)


@pytest.mark.parametrize("text", [None, "", "99999999"])
def test_stopping_a_sampler_that_there_is_not_does_nothing(
    folder: Path, pid_file: Path, text: str | None
) -> None:
    if text is not None:
        pid_file.write_text(text)
    stop_sampling(folder)


def test_a_process_that_got_the_pid_since_is_left_alone(
    folder: Path, pid_file: Path, sleeper: Sleeper
) -> None:
    pid = sleeper("/elsewhere")
    pid_file.write_text(str(pid))
    stop_sampling(folder)
    os.kill(pid, 0)


def test_a_sampler_that_leaves_nothing_is_not_waited_for_long(
    folder: Path, pid_file: Path, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fwbench.agent.target_sampler.STOP_TIMEOUT_S", 0.1)
    pid = sleeper(str(folder))
    pid_file.write_text(str(pid))
    began = time.monotonic()
    stop_sampling(folder)
    assert time.monotonic() - began < 2
    await_end(pid)


def test_settling_leaves_a_sampler_behind_and_finishing_ends_it(
    agent: Agent, folder: Path, pid_file: Path, docker: Docker, sleeper: Sleeper
) -> None:
    """As the driver does it, but for the engine; the container's first process is a real one."""
    docker(Pid=sleeper())
    path = os.environ["PATH"]
    options = ["--timeout-s=1", "--container=c", "--processes=1", "--sampling-limit-s=60"]
    done = agent("wait-idle", *options, str(folder), PATH=path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (folder / "container-before.json").exists()
    await_file(pid_file)
    pid = int(pid_file.read_text())
    assert os.getsid(pid) != os.getsid(0)
    time.sleep(0.5)
    assert not (folder / TELEMETRY_TARGET).exists()
    done = agent("finish", "--container=c", str(folder), PATH=path)
    assert (done.returncode, done.stderr) == (0, "")
    await_end(pid)
    assert samples(folder) >= 2
    assert (folder / "container-after.json").exists()


def test_settling_leaves_no_sampler_unless_it_is_asked_for(
    agent: Agent, folder: Path, pid_file: Path, docker: Docker, kernel: Kernel
) -> None:
    kernel({})
    docker(Running=False, Pid=0)
    path = os.environ["PATH"]
    done = agent(
        "wait-idle", "--timeout-s=1", "--container=c", "--processes=1", str(folder), PATH=path
    )
    assert done.returncode == 0
    time.sleep(0.3)
    assert not pid_file.exists()
