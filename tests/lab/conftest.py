"""Fixtures of tests/lab alone; `lab_fixture` has those that tests/faults uses too."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from lab_fixture import lab_up, prepared_by
from lab_program import Lab, Program
from owned_hosts import OwnedHosts
from sized_hosts import SizedHosts

# These modules check no measured values, so they run first, while hosts are prepared in the
# background. The others wait for the hosts that are prepared last, and then use the CPUs alone.
INSENSITIVE_TO_LOAD = ("test_coming_and_going", "test_teardown", "test_images_role", "test_sizes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)
    last = len(INSENSITIVE_TO_LOAD)
    order = {name: number for number, name in enumerate(INSENSITIVE_TO_LOAD)}
    items.sort(key=lambda item: order.get(item.path.stem, last))


@pytest.fixture(scope="session", autouse=True)
def _side_by_side(prepared_early: None) -> None:
    """Prepare hosts in the background from the first test on."""


@pytest.fixture(scope="session")
def spare(program: Program) -> Iterator[Lab]:
    """Start a rig with the oldest supported system, for a test that changes its hosts for good."""
    yield from lab_up(program, f"spare-{os.getpid()}", ["--os", "debian:11"])


@pytest.fixture(scope="session")
def owned_future(
    program: Program, background: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Future[OwnedHosts]"]:
    """Start preparing hosts whose owners used them before; remove them at the end."""
    name = f"owned-{os.getpid()}"
    place = tmp_path_factory.mktemp("owned")
    try:
        with prepared_by(background, lambda: OwnedHosts.prepare(program, name, place)) as future:
            yield future
    finally:
        program("lab", "down", "--name", name)


@pytest.fixture(scope="session")
def sized_future(
    program: Program, background: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Future[SizedHosts]"]:
    """Start preparing hosts of two sizes; remove them at the end."""
    name = f"sizes-{os.getpid()}"
    place = tmp_path_factory.mktemp("sized")
    try:
        with prepared_by(background, lambda: SizedHosts.prepare(program, name, place)) as future:
            yield future
    finally:
        program("lab", "down", "--name", name)
