"""Find what has changed since a session began: in its configuration and on its hosts."""

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
    """Return the changes of fwbench's version, the suite's file and the contenders.

    A deleted file is no change, since the session contains its suite. A file that is no longer
    a valid suite is one.
    """
    changes = []
    if header.fwbench != fwbench.__version__:
        changes.append(f"fwbench was {header.fwbench}, now it is {fwbench.__version__}")
    changes.extend(_contender_changes(header, contenders))
    if header.suite_file is not None and header.suite_file.exists():
        try:
            now = load_suite(header.suite_file, contenders, header.overrides)
            changes.extend(_suite_changes(header, now))
        except SuiteError as error:
            changes.append(str(error))
    return tuple(changes)


def host_changes(header: SessionHeader, now: HostFacts) -> tuple[str, ...]:
    """Return the changes of a host; there are none if the session never reached it before.

    An instance type that is unknown before or now is no change: a metadata service may have failed.
    """
    before = next((facts for facts in header.facts if facts.host == now.host), None)
    if before is None:
        return ()
    return tuple(
        f"{now.host}: {change.subject} was {change.first}, now it is {change.second}"
        for change in fingerprint_changes(before, now, header.suite.contenders)
        if not (
            change.subject == "instance type" and None in (before.instance_type, now.instance_type)
        )
    )


def changed_message(session: Path, changes: Iterable[str]) -> str:
    """Return the message about changes since a session began, and what to do about them."""
    return (
        f"{session}: this has changed since the session began: {'; '.join(changes)}."
        " Undo the change, or execute the remaining runs as a new session:"
        f" fwbench resume --fork {session}"
    )


def _contender_changes(header: SessionHeader, contenders: Mapping[str, Contender]) -> Iterator[str]:
    for before in header.contenders:
        now = contenders.get(before.name)
        if now is None:
            yield f"contender {before.name} no longer exists"
        elif now != before:
            keys = [key for key, value in before if getattr(now, key) != value]
            yield f"contender {before.name} has changed: {', '.join(keys)}"


def _suite_changes(header: SessionHeader, now: Suite) -> Iterator[str]:
    if header.suite == now:
        return
    keys = [key for key, value in header.suite if getattr(now, key) != value]
    yield f"{header.suite_file} has changed: {', '.join(keys)}"
