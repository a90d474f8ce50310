"""A rig on which things go wrong on purpose."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_injection import FaultyRig, Oracle
from lab_program import Lab

from fwbench.inventory.rigs import parse_rigs
from fwbench.provisioning.inventory import Inventory, list_inventory


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Lab:
    """That of --inventory, or the one that all tests share; only its first rig suffers."""
    if (given := request.config.getoption("--inventory")) is not None:
        return Lab(Path(given))
    shared: Lab = request.getfixturevalue("ready")
    return shared


@pytest.fixture(scope="session")
def oracle(lab: Lab) -> Iterator[Oracle]:
    """Makes contenders of `tests/support/oracle_server.py`, each with other arguments."""
    oracle = Oracle(lab)
    yield oracle
    oracle.remove()


@pytest.fixture
def broken(lab: Lab, sessions: Path) -> Iterator[FaultyRig]:
    """Executes a run while something goes wrong; nothing of it may be left on the hosts."""
    rig, *_ = parse_rigs(list_inventory(Inventory((lab.inventory,))), "the lab")
    yield FaultyRig(lab, rig, sessions)
    assert lab.leftovers() == {}
