"""A rig on which things go wrong on purpose."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from breaking import Broken, Oracle
from program import Lab
from rented import lab_up

from fwbench.inventory import rigs
from fwbench.playbook import list_inventory


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """One rig, provisioned: that of --inventory, or a new one."""
    if (given := request.config.getoption("--inventory")) is not None:
        yield Lab(Path(given))
        return
    program = request.getfixturevalue("program")
    for new in lab_up(program, f"faults-{os.getpid()}", ["--os", "debian:13"]):
        program("provision", "-i", new.inventory)
        yield new


@pytest.fixture(scope="session")
def oracle(lab: Lab) -> Iterator[Oracle]:
    """Makes contenders of `tests/oracle/server.py`, each with other arguments."""
    oracle = Oracle(lab)
    yield oracle
    oracle.remove()


@pytest.fixture
def broken(lab: Lab, sessions: Path) -> Iterator[Broken]:
    """Executes a run while something goes wrong; nothing of it may be left on the hosts."""
    rig, *_ = rigs(list_inventory(lab.inventory), "the lab")
    yield Broken(lab, rig, sessions)
    assert lab.leftovers() == {}
