import json
import os
import stat
from pathlib import Path

import pytest
from agent_environment import Agent, Sleeper, await_end, refused_url

from fwbench.model.record import HostFacts


def test_facts_command_writes_the_hosts_facts(agent: Agent, folder: Path) -> None:
    result = agent("facts", str(folder))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    facts = HostFacts(host="here", **json.loads((folder / "facts.json").read_text()))
    assert facts.cpus == len(os.sched_getaffinity(0))
    assert facts.memory_bytes > 2**26
    assert facts.cgroup_version in (1, 2)
    assert stat.S_IMODE((folder / "facts.json").stat().st_mode) == 0o600


def test_probe_command_writes_the_answer(agent: Agent, folder: Path, contender: str) -> None:
    result = agent("probe", f"--url={contender}/echo", "--timeout-s=2", str(folder))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert json.loads((folder / "answer.json").read_text())["body"] == "GET /echo close"


def test_probe_command_ignores_proxy_settings(agent: Agent, folder: Path, contender: str) -> None:
    agent(
        "probe", f"--url={contender}/echo", "--timeout-s=2", str(folder), http_proxy=refused_url()
    )
    assert json.loads((folder / "answer.json").read_text())["status"] == 200


def test_stop_load_command_ends_the_load(agent: Agent, folder: Path, sleeper: Sleeper) -> None:
    pid = sleeper(str(folder))
    (folder / "load.pid").write_text(str(pid))
    assert agent("stop-load", str(folder)).returncode == 0
    await_end(pid)


@pytest.mark.parametrize("arguments", [[], ["dance"], ["probe", "folder"], ["wait-idle", "folder"]])
def test_invalid_arguments_are_refused(agent: Agent, arguments: list[str]) -> None:
    result = agent(*arguments)
    assert result.returncode == 2
    assert "usage:" in result.stderr
