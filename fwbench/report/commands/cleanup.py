"""The table of `fwbench prune`."""

from collections.abc import Iterator, Sequence

from tabulate import tabulate

from fwbench.model.cleanup import CleanupResult
from fwbench.report.formatting import counted, one_line


def cleanup_table(hosts: Sequence[CleanupResult], controller_folders: int) -> str:
    """Return a row for each thing that `fwbench prune` found on a host, at least one for each.

    `controller_folders` is the number of folders that it removed from the controller.
    """
    rows = [[host.host, row] for host in hosts for row in _rows(host)]
    if controller_folders:
        rows.append(["controller", f"{counted(controller_folders, 'temporary folder')}: removed"])
    return tabulate(rows, headers=["host", "left by interrupted sessions"], disable_numparse=True)


def _rows(host: CleanupResult) -> Iterator[str]:
    result = host.result
    if result is None:
        yield "failed: see below"
        return
    for session in result.removed:
        outcome = "removed" if session.folder_removed else "removed in part: run prune again"
        contents = f"{counted(session.containers, 'container')}, processes: {session.processes}"
        yield one_line(f"session {session.session}: {outcome} ({contents})")
    if result.orphan_containers:
        yield f"{counted(result.orphan_containers, 'container')} without a session: removed"
    if result.abandoned_folders:
        yield f"{counted(result.abandoned_folders, 'folder')} without a session: removed"
    if result.provisioning_folders:
        yield f"{counted(result.provisioning_folders, 'folder')} of a provisioning: removed"
    if result.unremovable:
        yield (
            f"{counted(result.unremovable, 'folder')} without a session: could not be removed, see"
            " /var/tmp/fwbench-session-* on the host"
        )
    for lease in result.live_sessions:
        yield one_line(f"kept, still in use: {lease.description}; --force removes it")
    if not any(
        (
            result.removed,
            result.orphan_containers,
            result.abandoned_folders,
            result.provisioning_folders,
            result.unremovable,
            result.live_sessions,
        )
    ):
        yield "nothing"
