"""What only the whole way through a lab needs; the rest is in `lab_fixture`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_fixture import lab_up
from lab_program import Lab, Program


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def spare(program: Program) -> Iterator[Lab]:
    """Another rig, for what leaves its hosts unfit for anything else."""
    yield from lab_up(program, f"spare-{os.getpid()}", ["--os", "debian:13"])
