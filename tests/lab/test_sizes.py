"""Hosts of two sizes on one machine: the example of the README, from `lab up` to the report."""

from collections.abc import Iterator
from concurrent.futures import Future
from itertools import product
from pathlib import Path

import pytest
from lab_program import ACCEPTED_EXITS, Program
from sized_hosts import SIZES, SizedHosts


@pytest.fixture(scope="module")
def sized(program: Program, sized_future: "Future[SizedHosts]") -> Iterator[SizedHosts]:
    """Yield the provisioned hosts of both sizes."""
    hosts = sized_future.result()
    yield hosts
    program("lab", "down", "--name", hosts.lab.inventory.parent.name)


def test_lab_hosts_have_the_requested_sizes(program: Program, sized: SizedHosts) -> None:
    name = sized.lab.inventory.parent.name
    lines = program("lab", "status", "--name", name).stdout.splitlines()
    assert [line.split()[2] for line in lines[2:]] == ["–", "–", SIZES[1], SIZES[3]]
    again = program("lab", "up", "--name", name, *SIZES)
    assert again.stderr.strip() == "the lab is up; its inventory is"
    message = program("lab", "up", "--name", name, "--target", "small=1,512m", exits=9).stderr
    assert "target-1 exists as small=0.5,512m,0.01 and cannot become small=1,512m" in message
    assert f"`fwbench lab down --name {name}`" in message


def test_keep_going_provisions_hosts_that_can_be_reached(sized: SizedHosts) -> None:
    assert sized.refused.stderr.startswith("fwbench: client-1: 127.0.0.1:1 does not answer SSH")
    kept_going = sized.kept_going
    rows = {line.split()[0]: line.split()[2:] for line in kept_going.stdout.splitlines()[2:]}
    results = {host: row[0] for host, row in rows.items()}
    assert results == {"target-1": "ok", "client-1": "skipped:", "target-2": "ok", "client-2": "ok"}
    assert int(rows["target-2"][-1]) > int(rows["target-1"][-1]), "the larger builds for both"
    assert "excluded: rig-1 (client-1: 127.0.0.1:1 does not answer SSH" in kept_going.stderr
    provisioned = sized.whole.stdout.splitlines()[2:]
    assert [line.split()[2] for line in provisioned] == ["ok"] * 4


def test_report_compares_sizes_and_their_costs(
    program: Program, sized: SizedHosts, tmp_path: Path
) -> None:
    doctor = program("doctor", "-i", sized.lab.inventory).stdout
    assert "small: 0.5 CPUs, 0.5 GiB" in doctor
    assert "large: 1 CPU, 1.0 GiB" in doctor

    inventory = sized.lab.inventory
    report = program("run", "smoke", "-i", inventory, "-o", tmp_path, exits=ACCEPTED_EXITS).stdout
    by_size = report[report.index("By instance type") :]
    assert "small: 1 rig, 0.5 CPUs," in by_size
    assert "large: 1 rig, 1 CPU," in by_size
    cells = by_size[by_size.index("cost of a million") :].splitlines()
    for row in product(("flask", "fastapi"), ("small", "large")):
        assert list(row) in [line.split()[:2] for line in cells]
