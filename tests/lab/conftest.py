"""A lab of the tests' own, and the program as a user has it: the wheel in an empty environment."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from program import Lab, Program
from rented import lab_up


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def bare(program: Program) -> Iterator[Lab]:
    """Two rigs, of Debian 13 and of Debian 12, as they were rented."""
    name = f"test-{os.getpid()}"
    systems = ["--os", "debian:13", "--os", "debian:12"]
    yield from lab_up(program, name, ["--targets", "2", "--clients", "2", *systems])


@pytest.fixture(scope="session")
def spare(program: Program) -> Iterator[Lab]:
    """Another rig, for what leaves its hosts unfit for anything else."""
    yield from lab_up(program, f"spare-{os.getpid()}", ["--os", "debian:13"])


@pytest.fixture(scope="session")
def ready(program: Program, bare: Lab) -> Lab:
    """Both rigs, provisioned."""
    program("provision", "-i", bare.inventory)
    return bare
