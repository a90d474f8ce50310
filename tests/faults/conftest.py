"""A rig for fault injection."""

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
    """Return the lab of --inventory, or the shared one. Faults are injected into its first rig."""
    if (inventory := request.config.getoption("--inventory")) is not None:
        return Lab(Path(inventory))
    shared: Lab = request.getfixturevalue("ready")
    return shared


@pytest.fixture(scope="session")
def oracle(lab: Lab) -> Iterator[Oracle]:
    """Yield a factory of contenders that execute `tests/support/oracle_server.py`."""
    oracle = Oracle(lab)
    yield oracle
    oracle.remove()


@pytest.fixture
def faulty_rig(lab: Lab, sessions: Path) -> Iterator[FaultyRig]:
    """Yield a rig for runs with faults; afterwards check that nothing is left on the hosts."""
    rig, *_ = parse_rigs(list_inventory(Inventory((lab.inventory,))), "the lab")
    yield FaultyRig(lab, rig, sessions)
    assert lab.leftovers() == {}
