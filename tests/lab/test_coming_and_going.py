"""Hosts before provisioning, and after everything was taken away again."""

import shlex
from pathlib import Path
from urllib.parse import urlsplit

from program import Lab, Program

STATE = """
dpkg-query -W -f '${Package} ${db:Status-Abbrev}\\n' | sort
ls -A /var/lib/fwbench /usr/local/share/ca-certificates /etc/docker /etc/default 2>&1
ls -A /var/lib/docker /tmp /var/tmp /root /home/admin 2>&1
ls -A /etc/ssl/certs
getent group | cut -d: -f1 | sort
sysctl -n net.ipv4.ip_forward 2>/dev/null
pgrep -l dockerd
true
"""
MIRRORS = (
    "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null"
    " | grep -oE 'https?://[^/ ]+'; true"
)


def _states(lab: Lab) -> dict[str, list[str]]:
    return {
        host: lab.ask(host, f"sudo sh -c {shlex.quote(STATE)}").splitlines() for host in lab.hosts
    }


def test_a_host_can_be_made_ready_and_bare_again(program: Program, spare: Lab) -> None:
    before = _states(spare)

    # Bare: the doctor knows, a run refuses, and a dry provisioning touches nothing.
    told = program("doctor", "-i", spare.inventory).stdout
    assert told.count("not provisioned yet") == 2
    refused = program("run", "smoke", "-i", spare.inventory, exits=7).stderr
    assert refused.splitlines()[-1].startswith("fwbench: ")
    assert "fwbench provision" in refused
    program("provision", "-i", spare.inventory, "--check")
    for host, dry in _states(spare).items():
        assert set(dry) ^ set(before[host]) <= {".ansible"}, host  # Ansible's own folder

    # A package mirror that is down: one sentence that names the host, and nothing half done.
    for host in spare.hosts:
        spare.ask(host, "cp /etc/hosts /tmp/hosts")
        mirrors = {urlsplit(url).hostname for url in spare.ask(host, MIRRORS).split()}
        assert mirrors
        for mirror in mirrors:
            spare.ask(host, f"echo 127.0.0.1 {mirror} | sudo tee -a /etc/hosts")
    down = program("provision", "-i", spare.inventory, exits=6).stderr.splitlines()[-1]
    assert down.startswith("fwbench: target-1: ")
    assert "client-1: " in down
    for host in spare.hosts:
        spare.ask(host, "sudo cp /tmp/hosts /etc/hosts; rm /tmp/hosts")

    program("provision", "-i", spare.inventory)
    program("verify", "-i", spare.inventory)
    spare.ask("client-1", "sudo mv /usr/bin/h2load /usr/bin/h2load.away")
    missing = program("run", "smoke", "-i", spare.inventory, exits=7).stderr.splitlines()[-1]
    assert missing.startswith("fwbench: client-1: there is no h2load")
    spare.ask("client-1", "sudo mv /usr/bin/h2load.away /usr/bin/h2load")

    program("teardown", "-i", spare.inventory)
    after = _states(spare)
    for host in spare.hosts:
        assert set(after[host]) ^ set(before[host]) == set(), host
    again = program("teardown", "-i", spare.inventory).stdout
    assert [line.split()[-1] for line in again.splitlines()[2:]] == ["0", "0"]


def test_the_installed_program_brings_its_own_files(program: Program) -> None:
    told = program("run", "smoke", "-i", "nowhere.yml", exits=4).stderr
    assert told.startswith("fwbench: nowhere.yml: no such inventory")
    example = Path(told.split("copy ")[1].split(" and fill")[0])
    assert example.is_file()
    assert program.command.parents[1] in example.parents
