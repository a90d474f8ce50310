"""A host from before provisioning to after teardown."""

import shlex
import subprocess
from pathlib import Path
from tempfile import gettempdir
from urllib.parse import urlsplit

import yaml
from fresh_hosts import (
    assert_many_connections,
    assert_owners_package_is_not_configured,
    assert_was_fresh,
    make_fresh,
)
from lab_program import Lab, Program

STATE = """
dpkg-query -W -f '${Package} ${db:Status-Abbrev}\\n' | sort
ls -A /var/lib/fwbench /usr/local/share/ca-certificates /etc/docker /etc/default 2>&1
ls -A /var/lib/docker /opt /tmp /var/tmp /root /home/admin 2>&1
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


# What an owner may do with the engine that fwbench installed: a command, what teardown lists, and
# the command that undoes it. Teardown keeps the engine in each case. A name that begins with
# `fwbench`, or a label with another installation's id, does not make an object fwbench's own.
SLEEP = "tar -chf - /bin/sleep $(ldd /bin/sleep | grep -o '/[^ ]*') 2>/dev/null"
CTR = "ctr --address /run/docker/containerd/containerd.sock namespaces"
OWNERS_USES = (
    (
        "docker tag fwbench/flask:current mine/flask:kept",
        "image mine/flask:kept in /var/lib/docker",
        "docker image rm mine/flask:kept",
    ),
    (
        f"{SLEEP} | docker import - fwbench/mine:1;"
        " docker run --detach --name fwbench-web fwbench/mine:1 /bin/sleep 3600",
        "container fwbench-web, image fwbench/mine:1 in /var/lib/docker",
        "docker rm --force fwbench-web && docker image rm fwbench/mine:1",
    ),
    (
        "docker volume create fwbench-data; echo precious"
        " >/var/lib/docker/volumes/fwbench-data/_data/file",
        "volume fwbench-data in /var/lib/docker",
        "grep precious /var/lib/docker/volumes/fwbench-data/_data/file"
        " && docker volume rm fwbench-data",
    ),
    (
        f"{SLEEP} | docker import --change 'LABEL fwbench.installation=another'"
        " --change 'LABEL fwbench.session=another' - fwbench/other:1;"
        " docker create --name fwbench-other fwbench/other:1 /bin/sleep 1;"
        " docker network create fwbench-net",
        "container fwbench-other, image fwbench/other:1, network fwbench-net in /var/lib/docker",
        "docker rm fwbench-other && docker image rm fwbench/other:1"
        " && docker network rm fwbench-net",
    ),
    (f"{CTR} create mine", "namespace mine in containerd", f"{CTR} remove mine"),
)


# Two builds that print the credentials of a package index: one fails, one succeeds.
PASSWORD = "sesame-1f0c"
BUILDS = {
    "fails": "RUN cat /build/pip.conf && exit 3",
    "succeeds": "RUN cat /build/pip.conf && touch /built",
}
DOCKERFILE = """ARG BASE
FROM ${{BASE}} AS build
COPY pip.conf /build/
{step}
FROM ${{BASE}}
COPY --from=build /built /
"""
# It searches the host's file system, including the engine's layers.
SEARCH = f"grep -rlsF -D skip {PASSWORD} /etc /home /root /run /tmp /usr/local /var || true"


def assert_no_credentials_stay(program: Program, lab: Lab, place: Path) -> None:
    """Assert that neither a build that fails nor one that succeeds leaves or prints a password."""
    inventory = yaml.safe_load(lab.inventory.read_text())
    for name, step in BUILDS.items():
        folder = place / name / "leaky"
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text(DOCKERFILE.format(step=step))
        inventory["all"]["vars"] |= {
            "contender_images_dir": str(folder.parent),
            "contender_images_pip_index_url": f"http://me:{PASSWORD}@127.0.0.1:9/simple",
        }
        file = place / f"{name}.yml"
        file.write_text(yaml.safe_dump(inventory))
        result = program("provision", "-i", file, exits=6 if name == "fails" else 0)
        assert PASSWORD not in result.stdout + result.stderr
        assert ("could not build leaky" in result.stderr) == (name == "fails")
        assert lab.run("target-1", f"sudo {SEARCH}") == "", name
        assert lab.run("target-1", "sudo docker ps --all --quiet") == "", name
        folders = [
            Path(program.environment["XDG_STATE_HOME"]),
            *Path(gettempdir()).glob("fwbench-*"),
        ]
        argv = ["grep", "-rlsF", PASSWORD, *map(str, folders)]
        assert subprocess.run(argv, capture_output=True, text=True).stdout == "", name


def _states(lab: Lab) -> dict[str, list[str]]:
    return {
        host: lab.run(host, f"sudo sh -c {shlex.quote(STATE)}").splitlines() for host in lab.hosts
    }


def test_teardown_undoes_provisioning(program: Program, spare: Lab, tmp_path: Path) -> None:
    # A certificate authority of the owner's, with a name like those that fwbench adds.
    owners_authority = "/usr/local/share/ca-certificates/fwbench-mine.crt"
    spare.run("client-1", f"sudo touch {owners_authority} && sudo update-ca-certificates 2>&1")
    before = _states(spare)

    # Before provisioning: `doctor` and `run` report it, and a dry run changes nothing.
    result = program("doctor", "-i", spare.inventory, exits=7)
    assert result.stderr == (
        "fwbench: not provisioned yet: target-1, client-1;"
        f" run `fwbench provision -i {spare.inventory}`\n"
    )
    assert [line.split()[-2:] for line in result.stdout.splitlines()[2:]] == [["not", "yet"]] * 2
    refused = program("run", "smoke", "-i", spare.inventory, exits=7).stderr
    assert refused.splitlines()[-1].startswith("fwbench: ")
    assert "fwbench provision" in refused
    program("provision", "-i", spare.inventory, "--dry-run")
    for host, state in _states(spare).items():
        assert set(state) ^ set(before[host]) <= {".ansible"}, host  # Ansible's own folder

    # A package mirror that is down: one error message names the hosts.
    for host in spare.hosts:
        spare.run(host, "cp /etc/hosts /tmp/hosts")
        mirrors = {urlsplit(url).hostname for url in spare.run(host, MIRRORS).split()}
        assert mirrors
        for mirror in mirrors:
            spare.run(host, f"echo 127.0.0.1 {mirror} | sudo tee -a /etc/hosts")
    message = program("provision", "-i", spare.inventory, exits=6).stderr.splitlines()[-1]
    assert message.startswith("fwbench: target-1: ")
    assert "client-1: " in message
    for host in spare.hosts:
        spare.run(host, "sudo cp /tmp/hosts /etc/hosts; rm /tmp/hosts")

    make_fresh(spare)
    program("provision", "-i", spare.inventory)
    assert_was_fresh(spare)
    program("doctor", "-i", spare.inventory)
    selection = ("--targets", "target-1", "--clients", "clients")
    verified = program("doctor", "-i", spare.inventory, "-i", "others,", *selection).stdout
    assert [line.split()[-1] for line in verified.splitlines()[2:]] == ["yes", "yes"]
    pruned = program("prune", "-i", spare.inventory).stdout
    assert [line.split()[-1] for line in pruned.splitlines()[2:]] == ["nothing", "nothing"]
    spare.run("client-1", "sudo mv /usr/bin/h2load /usr/bin/h2load.away")
    missing = program("run", "smoke", "-i", spare.inventory, exits=7).stderr.splitlines()[-1]
    assert missing.startswith("fwbench: client-1: there is no h2load")
    result = program("doctor", "-i", spare.inventory, exits=7)
    assert "\n\nclient-1 lacks h2load: run" in result.stdout
    assert "not provisioned completely: client-1; run" in result.stderr.splitlines()[-1]
    spare.run("client-1", "sudo mv /usr/bin/h2load.away /usr/bin/h2load")

    assert int(spare.run("client-1", "ulimit -Sn")) < 3000
    assert_many_connections(program, spare, tmp_path, 3000)
    assert_owners_package_is_not_configured(program, spare)
    assert_no_credentials_stay(program, spare, tmp_path)

    for command, description, undo in OWNERS_USES:
        spare.run("target-1", f"sudo sh -c {shlex.quote(command)}")
        kept = program("teardown", "-i", spare.inventory, exits=12).stderr.splitlines()[-1]
        assert f"(target-1: {description})" in kept
        spare.run("target-1", f"sudo sh -c {shlex.quote(undo)}")

    program("teardown", "-i", spare.inventory)
    after = _states(spare)
    for host in spare.hosts:
        assert set(after[host]) ^ set(before[host]) == set(), host
    again = program("teardown", "-i", spare.inventory).stdout
    assert [line.split()[-1] for line in again.splitlines()[2:]] == ["0", "0"]


def test_installed_program_contains_the_example_inventory(program: Program) -> None:
    message = program("run", "smoke", "-i", "nowhere.yml", exits=4).stderr
    assert message.startswith("fwbench: nowhere.yml: no such inventory")
    example = Path(message.split("copy ")[1].split(" and fill")[0])
    assert example.is_file()
    assert program.command.parents[1] in example.parents
