"""Hosts as clouds deliver them: still booting, installing updates, with a broken package source."""

import json
import shlex
from pathlib import Path

import yaml
from lab_program import ACCEPTED_EXITS, Lab, Program

LOCKS = {
    "target-1": ("/var/lib/apt/lists/lock", "/var/lib/dpkg/lock-frontend"),
    "client-1": ("/var/cache/apt/archives/lock",),
}
LOCKED_S = 12
HOLD_LOCKS = f"""import fcntl, sys, time
files = [open(path, "w") for path in sys.argv[1:]]
for file in files: fcntl.lockf(file, fcntl.LOCK_EX)
time.sleep({LOCKED_S})
"""
# A stand-in for cloud-init: its `status --wait` returns when the first boot is complete.
CLOUD_INIT = """#!/bin/sh
echo "$@" >>/run/cloud-init/calls
sleep 5
touch /run/cloud-init/result.json
"""
SOURCE = "/etc/apt/sources.list.d/third-party.list"


def make_fresh(lab: Lab) -> None:
    """Put every host into the state of a first boot, for some seconds."""
    for host, locks in LOCKS.items():
        # The archive of the host's own release, so that it answers: with 404.
        lab.run(
            host,
            f"grep -h ^deb /etc/apt/sources.list | head -1 | cut -d' ' -f1,2"
            f" | sed 's/$/ no-such-suite main/' | sudo tee {SOURCE}",
        )
        program = shlex.join(["python3", "-c", HOLD_LOCKS, *locks])
        lab.run(host, f"sudo nohup {program} >/dev/null 2>&1 &")
    script = shlex.quote(CLOUD_INIT)
    lab.run(
        "client-1",
        f"sudo mkdir /run/cloud-init; printf %s {script} | sudo tee /usr/local/bin/cloud-init;"
        " sudo chmod 755 /usr/local/bin/cloud-init",
    )


def assert_was_fresh(lab: Lab) -> None:
    """Assert that cloud-init was waited for once, and the owner's source is still there."""
    assert lab.run("client-1", "cat /run/cloud-init/calls") == "status --wait\n"
    lab.run("client-1", "sudo rm -r /run/cloud-init /usr/local/bin/cloud-init")
    for host in LOCKS:
        assert "no-such-suite" in lab.run(host, f"cat {SOURCE}; sudo rm {SOURCE}")


def assert_owners_package_is_not_configured(program: Program, lab: Lab) -> None:
    """Assert that provisioning names a package that its owner left unconfigured, and leaves it."""
    lab.run("client-1", "cd /tmp && apt-get download -q tree && sudo dpkg --unpack tree_*.deb")
    provision = ("provision", "-i", lab.inventory, "--loadgen", "wrk")
    refused = program(*provision, exits=6).stderr.splitlines()[-1]
    assert "Its packages tree are not configured" in refused
    assert "run `sudo dpkg --configure -a` there and provision again" in refused
    status = "dpkg-query --show --showformat '${db:Status-Status}' tree"
    assert lab.run("client-1", status) == "unpacked"
    lab.run("client-1", "sudo dpkg --configure -a")
    program(*provision)
    lab.run("client-1", "sudo dpkg --purge tree; rm /tmp/tree_*.deb")


def assert_many_connections(program: Program, lab: Lab, place: Path, connections: int) -> None:
    """Assert that the client opens so many connections."""
    suite = {
        "name": "many",
        "question": "How many connections can a client open?",
        "contenders": ["fastapi"],
        "baseline": "fastapi",
        "limits": [{"cpus": 1, "memory": "1g"}],
        "preset": "smoke",
        "loads": [{"connections": connections, "warm_up_s": 2, "duration_s": 2}],
    }
    file = place / "many.yml"
    file.write_text(yaml.safe_dump(suite))
    hosts = ("--targets", "target-1", "--clients", "client-1")
    folder = place / "many"
    program("run", file, "-i", lab.inventory, *hosts, "-o", folder, exits=ACCEPTED_EXITS)
    (records,) = folder.glob("*/records.jsonl")
    (record,) = map(json.loads, records.read_text().splitlines())
    (client,) = record["observation"]["clients"]
    assert client["usage"]["network"]["connections_opened"] >= connections
