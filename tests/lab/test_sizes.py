"""Hosts of several sizes on one machine: the example of the README, from `lab up` to its report."""

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from lab_fixture import lab_up
from lab_program import SOUND, Lab, Program

SIZES = ["--target", "small=0.5,512m,0.01", "--target", "large=1,1g,0.02"]


@pytest.fixture(scope="module")
def sized(program: Program) -> Iterator[Lab]:
    """Two rigs whose targets are of different sizes."""
    yield from lab_up(program, f"sizes-{os.getpid()}", SIZES)


def test_two_sizes_are_compared_with_their_costs(
    program: Program, sized: Lab, tmp_path: Path
) -> None:
    name = sized.inventory.parent.name
    told = program("lab", "status", "--name", name).stdout.splitlines()
    assert [line.split()[2] for line in told[2:]] == ["–", "–", SIZES[1], SIZES[3]]
    again = program("lab", "up", "--name", name, *SIZES)
    assert again.stderr.strip() == "the lab is up; its inventory is"
    other = program("lab", "up", "--name", name, "--target", "small=1,512m", exits=9).stderr
    assert "target-1 exists as small=0.5,512m,0.01 and cannot become small=1,512m" in other
    assert f"`fwbench lab down --name {name}`" in other

    # With one client gone: the others are provisioned, and the table shows it as skipped.
    broken = tmp_path / "hosts.yml"
    port = sized.hosts["client-1"]["ansible_port"]
    broken.write_text(
        sized.inventory.read_text().replace(f"ansible_port: {port}\n", "ansible_port: 1\n")
    )
    refused = program("provision", "-i", broken, exits=5).stderr
    assert refused.startswith("fwbench: client-1: 127.0.0.1:1 does not answer SSH")
    going = program("provision", "--keep-going", "-i", broken, exits=11)
    rows = {line.split()[0]: line.split()[2:] for line in going.stdout.splitlines()[2:]}
    results = {host: row[0] for host, row in rows.items()}
    assert results == {"target-1": "ok", "client-1": "skipped:", "target-2": "ok", "client-2": "ok"}
    assert int(rows["target-2"][-1]) > int(rows["target-1"][-1]), "the larger one builds for both"
    assert "excluded: rig-1 (client-1: 127.0.0.1:1 does not answer SSH" in going.stderr

    provisioned = program("provision", "-i", sized.inventory).stdout.splitlines()[2:]
    assert [line.split()[2] for line in provisioned] == ["ok"] * 4
    examined = program("doctor", "-i", sized.inventory).stdout
    assert "small: 0.5 CPUs, 0.5 GiB" in examined
    assert "large: 1 CPU, 1.0 GiB" in examined

    report = program("run", "smoke", "-i", sized.inventory, "-o", tmp_path, exits=SOUND).stdout
    by_size = report[report.index("By instance type") :]
    assert "small: 1 rig, 0.5 CPUs," in by_size
    assert "large: 1 rig, 1 CPU," in by_size
    cells = by_size[by_size.index("cost of a million") :].splitlines()
    for row in product(("flask", "fastapi"), ("small", "large")):
        assert list(row) in [line.split()[:2] for line in cells]
