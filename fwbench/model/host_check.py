"""The result of `fwbench doctor`."""

from fwbench.model.base import Frozen
from fwbench.model.host import Host
from fwbench.model.record import HostFacts


class HostCheck(Frozen):
    """A host with its facts, or the error."""

    host: Host
    rig: str
    is_target: bool
    facts: HostFacts | None = None
    error: str | None = None
