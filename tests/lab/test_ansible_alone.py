"""The playbooks and roles, executed by Ansible without fwbench."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from lab_program import Lab
from repository import ROOT

PLAYBOOK = """
- hosts: client-1
  gather_facts: false
  become: true
  roles: [load_generators]
"""


def ansible_playbook(lab: Lab, folder: Path, *arguments: str | Path) -> str:
    """Execute a playbook in a folder outside fwbench; return its standard output."""
    variables = yaml.safe_load(lab.inventory.read_text())["all"]["vars"]
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_ROLES_PATH": str(ROOT / "roles") if "role.yml" in arguments else "",
        "ANSIBLE_SSH_ARGS": f"-oUserKnownHostsFile={variables['fwbench_known_hosts']}",
    }
    result = subprocess.run(
        ["ansible-playbook", "-i", str(lab.inventory), *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("tag", "limit", "roles"),
    [
        pytest.param(
            "engine", "target-1", {"fwbench_host", "docker_engine"}, marks=pytest.mark.long
        ),
        pytest.param(
            "images", "targets", {"fwbench_host", "contender_images"}, marks=pytest.mark.long
        ),
        ("loadgen", "client-1", {"fwbench_host", "load_generators"}),
    ],
)
def test_tag_selects_the_roles_to_execute(
    ready: Lab, tmp_path: Path, tag: str, limit: str, roles: set[str]
) -> None:
    playbook = ROOT / "playbooks/provision.yml"
    stdout = ansible_playbook(ready, tmp_path, playbook, "--tags", tag, "--limit", limit)
    tasks = [line for line in stdout.splitlines() if line.startswith("TASK [")]
    executed = {line.removeprefix("TASK [").split(" : ")[0] for line in tasks if " : " in line}
    assert executed == roles
    assert "changed=0" in stdout


def test_role_in_another_playbook_prepares_the_host(ready: Lab, tmp_path: Path) -> None:
    (tmp_path / "role.yml").write_text(PLAYBOOK)
    stdout = ansible_playbook(ready, tmp_path, "role.yml")
    assert "TASK [fwbench_host : " in stdout
    assert "client-1 has h2load." in stdout
    assert "changed=0" in stdout
