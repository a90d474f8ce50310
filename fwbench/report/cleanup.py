from collections.abc import Iterator, Sequence

from tabulate import tabulate

from fwbench.hosts.cleanup import CleanupResult
from fwbench.report.formatting import counted, one_line


def cleanup_table(hosts: Sequence[CleanupResult]) -> str:
    """One line for each host that `fwbench clean` went to, and more where it found more."""
    rows = [[host.host, words] for host in hosts for words in _words(host)]
    return tabulate(rows, headers=["host", "what dead sessions left"], disable_numparse=True)


def _words(host: CleanupResult) -> Iterator[str]:
    if host.result is None:
        yield "trouble: see below"
        return
    told = host.result
    for swept in told.removed:
        done = "removed" if swept.folder_removed else "not all of it could be removed: run it again"
        what = f"{counted(swept.containers, 'container')}, processes: {swept.processes}"
        yield one_line(f"session {swept.session}: {done} ({what})")
    if told.orphan_containers:
        yield f"{counted(told.orphan_containers, 'container')} of no session removed"
    if told.abandoned_folders:
        yield f"{counted(told.abandoned_folders, 'folder')} of no session removed"
    if told.unremovable:
        yield (
            f"{counted(told.unremovable, 'folder')} of no session could not be removed:"
            " see /var/tmp/fwbench-session-* there"
        )
    for lease in told.live_sessions:
        yield one_line(f"left alone: {lease.description}; --force takes it away")
    if not any(
        (
            told.removed,
            told.orphan_containers,
            told.abandoned_folders,
            told.unremovable,
            told.live_sessions,
        )
    ):
        yield "nothing"
