"""Test how the controller acquires, checks and releases a host."""

from pathlib import PurePosixPath

import pytest
from fakes import FakeHost

from fwbench.errors import HostError, NotReadyError
from fwbench.hosts import lease

FOLDER = PurePosixPath("/var/tmp/fwbench-session-s")


class OccupiedHost(FakeHost):
    """A host on which another user created the session's folder, which cannot be removed."""

    def _perform(self, argv: list[str], sudo: bool) -> tuple[int, str]:
        if argv[0] == "rm":
            return 1, "rm: cannot remove: Operation not permitted"
        return super()._perform(argv, sudo)


def test_folder_of_another_user_is_reported_and_not_used() -> None:
    host = OccupiedHost("one-client")
    host.folders.add(str(FOLDER))
    with pytest.raises(HostError) as error:
        lease.enter(host, FOLDER)
    assert str(error.value) == (
        "one-client: /var/tmp/fwbench-session-s cannot be made (File exists); if it exists,"
        " another user of that host made it: remove it as root"
    )
    assert host.files == {}
    assert not any("agent.pyz" in call for call in host.asked)


def test_refusal_names_the_session_that_uses_the_host() -> None:
    host = FakeHost("one-client")
    host.held_by = {"session": "other", "owner": "somebody on a laptop"}
    with pytest.raises(NotReadyError, match="in use by session other of somebody on a laptop"):
        lease.enter(host, FOLDER)


def test_check_of_an_unused_host_leaves_nothing_there() -> None:
    host = FakeHost("one-client")
    lease.check_unused(host)
    assert host.is_clean
    assert any("check-unused" in call for call in host.asked)


def test_check_of_a_used_host_fails_and_leaves_nothing_there() -> None:
    host = FakeHost("one-client")
    host.held_by = {"session": "other", "owner": "somebody on a laptop"}
    with pytest.raises(NotReadyError) as error:
        lease.check_unused(host)
    assert str(error.value) == (
        "one-client: is in use by session other of somebody on a laptop;"
        " wait for its end, or remove that session with `fwbench prune --force`"
    )
    assert host.is_clean


def test_host_without_python_is_unused() -> None:
    host = FakeHost("one-client")
    host.has_python = False
    host.held_by = {"session": "other"}
    lease.check_unused(host)
    host.lost = True
    with pytest.raises(HostError):
        lease.check_unused(host)


def test_session_folder_exists_until_release() -> None:
    host = FakeHost("one-client")
    lease.enter(host, FOLDER)
    assert lease.session_folder_exists(host, FOLDER)
    lease.release(host, FOLDER)
    assert not lease.session_folder_exists(host, FOLDER)
