"""Fixtures for tests on lab hosts: the installed program, and labs that only the tests use."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TypeVar

import pytest
from lab_program import Lab, Program
from repository import ROOT

from fwbench.providers.lab import docker

T = TypeVar("T")

# Hosts that are prepared in the background, in the order in which the tests need them.
PREPARED_EARLY = ("owned_future", "sized_future", "ready_future")
_BRING_UP_LOCK = Lock()


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Yield the program, installed from its wheel; at the end check that labs left nothing."""
    place = tmp_path_factory.mktemp("installed")
    wheel = [sys.executable, "-m", "build", "--wheel", "--outdir", str(place / "dist"), str(ROOT)]
    subprocess.run(wheel, check=True, capture_output=True)
    venv.create(place / "venv", with_pip=True)
    pip = [str(place / "venv/bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *(f"{path}[hdr]" for path in (place / "dist").glob("*.whl"))], check=True)
    working_folder = place / "any where"
    working_folder.mkdir()
    # The developer's environment must not influence the tests.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    inherited["PATH"] = os.pathsep.join(
        entry
        for entry in os.environ["PATH"].split(os.pathsep)
        if Path(sys.prefix) not in [Path(entry), *Path(entry).parents]
    )
    environment = {**inherited, "XDG_STATE_HOME": str(place / "state")}
    environment.pop("VIRTUAL_ENV", None)
    program = Program(place / "venv/bin/fwbench", environment, working_folder)
    yield program
    program("lab", "down", "--name", f"test-{os.getpid()}", "--all")
    assert _left_by_labs() == []


def _left_by_labs() -> list[str]:
    """Return networks and images that labs left on this machine; nothing while a lab is up."""
    if not docker.engine_answers():
        return []
    if docker.list_names(["ps", "--all"], "fwbench.lab", "{{.Names}}"):
        return []
    networks = docker.list_names(["network", "ls"], "fwbench.lab", "{{.Name}}")
    listed = docker.docker("images", "--format={{.Repository}}:{{.Tag}}")
    return networks + [image for image in listed.split() if image.startswith("fwbench")]


def bring_up(program: Program, name: str, arguments: Sequence[str]) -> Lab:
    """Bring up a lab: one at a time, because two would install the engine concurrently."""
    with _BRING_UP_LOCK:
        return Lab(Path(program("lab", "up", "--name", name, *arguments).stdout.strip()))


def lab_up(program: Program, name: str, arguments: Sequence[str]) -> Iterator[Lab]:
    """Bring up a lab, and remove it at the end."""
    try:
        yield bring_up(program, name, arguments)
    finally:
        program("lab", "down", "--name", name)


@pytest.fixture(scope="session")
def bare(program: Program) -> Iterator[Lab]:
    """Yield two rigs, with Debian 13 and Debian 12, which are not provisioned."""
    name = f"test-{os.getpid()}"
    systems = ["--os", "debian:13", "--os", "debian:12"]
    yield from lab_up(program, name, ["--targets", "2", "--clients", "2", *systems])


@pytest.fixture(scope="session")
def background() -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of one thread: together with the tests, it uses two cores."""
    with ThreadPoolExecutor(1) as thread:
        yield thread


@contextmanager
def prepared_by(background: ThreadPoolExecutor, prepare: Callable[[], T]) -> Iterator["Future[T]"]:
    """Start `prepare`, and yield its future; at the end, wait until it has ended."""
    future = background.submit(prepare)
    try:
        yield future
    finally:
        future.cancel()
        wait([future])


@pytest.fixture(scope="session")
def prepared_early(request: pytest.FixtureRequest) -> None:
    """Start preparing all hosts that a test of this session needs."""
    needed = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    for name in PREPARED_EARLY:
        if name in needed:
            request.getfixturevalue(name)


@pytest.fixture(scope="session")
def ready_future(
    program: Program, background: ThreadPoolExecutor, bare: Lab
) -> Iterator["Future[Lab]"]:
    """Start provisioning both rigs."""

    def provision() -> Lab:
        program("provision", "-i", bare.inventory)
        return bare

    with prepared_by(background, provision) as future:
        yield future


@pytest.fixture(scope="session")
def ready(ready_future: "Future[Lab]") -> Lab:
    """Return both rigs, provisioned."""
    return ready_future.result()


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder for sessions, which is removed at the end."""
    yield tmp_path / "sessions"
    shutil.rmtree(tmp_path / "sessions", ignore_errors=True)
