"""What has changed since a session began: in what was asked, and on the hosts that answer."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import fwbench
from fwbench.config.suites import load_suite
from fwbench.errors import SuiteError
from fwbench.model.contender import Contender
from fwbench.model.fingerprint import fingerprint_changes
from fwbench.model.record import HostFacts, SessionHeader
from fwbench.model.suite import Suite


def config_changes(header: SessionHeader, contenders: Mapping[str, Contender]) -> tuple[str, ...]:
    """In what the program, the suite's file and the contenders are no longer what they were.

    A file that is gone has not changed: the session holds its suite. One that is no suite any more
    has.
    """
    found = []
    if header.fwbench != fwbench.__version__:
        found.append(f"fwbench was {header.fwbench}, now it is {fwbench.__version__}")
    found.extend(_contender_changes(header, contenders))
    if header.suite_file is not None and header.suite_file.exists():
        try:
            found.extend(_suite_changes(header, load_suite(header.suite_file, contenders)))
        except SuiteError as error:
            found.append(str(error))
    return tuple(found)


def host_changes(header: SessionHeader, now: HostFacts) -> tuple[str, ...]:
    """In what a host is no longer what it was; of one that was never reached nothing is known.

    An instance type that a cloud's metadata service once did not tell has not changed.
    """
    before = next((facts for facts in header.facts if facts.host == now.host), None)
    if before is None:
        return ()
    return tuple(
        f"{now.host}: {found.subject} was {found.first}, now it is {found.second}"
        for found in fingerprint_changes(before, now, header.suite.contenders)
        if not (
            found.subject == "instance type" and None in (before.instance_type, now.instance_type)
        )
    )


def changed_message(session: Path, found: Iterable[str]) -> str:
    """What is said of a session whose world has changed, and what to do about it."""
    return (
        f"{session}: this has changed since the session began: {'; '.join(found)}."
        " Undo the change, or execute the remaining runs as a new session:"
        f" fwbench resume --fork {session}"
    )


def _contender_changes(header: SessionHeader, contenders: Mapping[str, Contender]) -> Iterator[str]:
    for before in header.contenders:
        now = contenders.get(before.name)
        if now is None:
            yield f"there is no contender {before.name} any more"
        elif now != before:
            keys = [key for key, value in before if getattr(now, key) != value]
            yield f"contender {before.name} has another {', '.join(keys)}"


def _suite_changes(header: SessionHeader, now: Suite) -> Iterator[str]:
    """The file's suite may have been asked for with another preset."""
    if header.suite in (now, now.with_preset(header.suite.preset)):
        return
    keys = [key for key, value in header.suite if getattr(now, key) != value]
    yield f"{header.suite_file} has another {', '.join(keys)}"
