"""The results of a playbook, host by host."""

from fwbench.model.base import Frozen


class HostResult(Frozen):
    """What a playbook did on one host; `error` contains the task that failed and its message."""

    host: str
    changed: int
    error: str | None = None
    skipped: bool = False  # the host was excluded, because of `error`
    foreign_engine_data: tuple[str, ...] = ()  # what others keep in an engine that teardown left
    unreachable: bool = False  # Ansible's ssh did not reach it, or lost the connection
    key_refused: bool = False  # its host key, or a jump host's, is another than before


class PlayResult(Frozen):
    """The results of a playbook on all hosts."""

    hosts: tuple[HostResult, ...]

    @property
    def failed(self) -> tuple[HostResult, ...]:
        """The hosts that were excluded, or on which a task failed."""
        return tuple(host for host in self.hosts if host.error is not None)
