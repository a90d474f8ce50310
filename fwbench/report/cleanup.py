from collections.abc import Iterator, Sequence

from tabulate import tabulate

from fwbench.hosts.cleanup import Cleaned
from fwbench.report.formatting import counted, one_line


def table(hosts: Sequence[Cleaned]) -> str:
    """One line for each host that `fwbench clean` went to, and more where it found more."""
    rows = [[host.host, words] for host in hosts for words in _words(host)]
    return tabulate(rows, headers=["host", "what dead sessions left"], disable_numparse=True)


def _words(host: Cleaned) -> Iterator[str]:
    if host.told is None:
        yield "trouble: see below"
        return
    told = host.told
    for swept in told.swept:
        done = "removed" if swept.gone else "not all of it could be removed: run it again"
        what = f"{counted(swept.containers, 'container')}, processes: {swept.processes}"
        yield one_line(f"session {swept.session}: {done} ({what})")
    if told.orphans:
        yield f"{counted(told.orphans, 'container')} of no session removed"
    if told.abandoned:
        yield f"{counted(told.abandoned, 'folder')} of no session removed"
    if told.stuck:
        yield (
            f"{counted(told.stuck, 'folder')} of no session could not be removed:"
            " see /var/tmp/fwbench-session-* there"
        )
    for lease in told.living:
        yield one_line(f"left alone: {lease.words}; --force takes it away")
    if not any((told.swept, told.orphans, told.abandoned, told.stuck, told.living)):
        yield "nothing"
