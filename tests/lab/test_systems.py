"""Systems and limits that are not tested on every change."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fresh_hosts import assert_many_connections
from lab_fixture import lab_up
from lab_program import ACCEPTED_EXITS, Lab, Program


@pytest.fixture(scope="module")
def testing(program: Program) -> Iterator[Lab]:
    """Start a rig with Debian testing."""
    yield from lab_up(program, f"testing-{os.getpid()}", ["--os", "debian:testing"])


@pytest.mark.long
def test_debian_testing_from_provisioning_to_teardown(
    program: Program, testing: Lab, tmp_path: Path
) -> None:
    program("provision", "-i", testing.inventory)
    smoke = program("run", "smoke", "-i", testing.inventory, "-o", tmp_path, exits=ACCEPTED_EXITS)
    assert "Client client-1: " in smoke.stdout
    assert "Debian GNU/Linux forky" in smoke.stdout
    program("teardown", "-i", testing.inventory)
    program("doctor", "-i", testing.inventory, exits=7)


@pytest.mark.long
def test_one_client_opens_10000_connections(program: Program, ready: Lab, tmp_path: Path) -> None:
    assert_many_connections(program, ready, tmp_path, 10_000)
