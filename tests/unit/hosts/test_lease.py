"""How a host is entered where somebody else was quicker."""

from pathlib import PurePosixPath

import pytest
from fakes import FakeHost

from fwbench.errors import HostError, NotReadyError
from fwbench.hosts import lease

FOLDER = PurePosixPath("/var/tmp/fwbench-session-s")


class Squatted(FakeHost):
    """Another user has made the session's folder, and it cannot be removed."""

    def _perform(self, argv: list[str], sudo: bool) -> tuple[int, str]:
        if argv[0] == "rm":
            return 1, "rm: cannot remove: Operation not permitted"
        return super()._perform(argv, sudo)


def test_a_folder_that_another_user_made_is_told_in_one_sentence_and_not_used() -> None:
    host = Squatted("one-client")
    host.folders.add(str(FOLDER))
    with pytest.raises(HostError) as error:
        lease.enter(host, FOLDER)
    assert str(error.value) == (
        "one-client: /var/tmp/fwbench-session-s cannot be made (File exists); if it exists,"
        " another user of that host made it: remove it as root"
    )
    assert host.files == {}
    assert not any("agent.pyz" in asked for asked in host.asked)


def test_a_host_that_is_held_names_the_holder() -> None:
    host = FakeHost("one-client")
    host.held_by = {"session": "other", "owner": "somebody on a laptop"}
    with pytest.raises(NotReadyError, match="in use by session other of somebody on a laptop"):
        lease.enter(host, FOLDER)


def test_a_host_that_is_not_held_is_unused_and_nothing_is_left_there() -> None:
    host = FakeHost("one-client")
    lease.check_unused(host)
    assert host.is_clean
    assert any("check-unused" in asked for asked in host.asked)


def test_a_host_that_is_held_is_not_unused_and_nothing_is_left_there() -> None:
    host = FakeHost("one-client")
    host.held_by = {"session": "other", "owner": "somebody on a laptop"}
    with pytest.raises(NotReadyError) as refused:
        lease.check_unused(host)
    assert str(refused.value) == (
        "one-client: is in use by session other of somebody on a laptop;"
        " wait for its end, or remove that session with `fwbench prune --force`"
    )
    assert host.is_clean


def test_a_host_without_python_is_unused() -> None:
    host = FakeHost("one-client")
    host.has_python = False
    host.held_by = {"session": "other"}
    lease.check_unused(host)
    host.lost = True
    with pytest.raises(HostError):
        lease.check_unused(host)


def test_a_session_has_its_folder_until_it_is_gone() -> None:
    host = FakeHost("one-client")
    lease.enter(host, FOLDER)
    assert lease.session_folder_exists(host, FOLDER)
    lease.release(host, FOLDER)
    assert not lease.session_folder_exists(host, FOLDER)
