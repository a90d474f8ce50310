"""The result of `fwbench doctor`."""

from fwbench.model.base import Frozen
from fwbench.model.host import Host
from fwbench.model.record import HostFacts

NOT_YET = "not yet"


class HostCheck(Frozen):
    """A host with its facts, or the error.

    `missing` says what the host lacks of what provisioning installs: None for nothing, `NOT_YET`
    for all. A host without Python has neither facts nor an error. `host_key` is the type and the
    fingerprint of the key that the host shows.
    """

    host: Host
    rig: str
    is_target: bool
    facts: HostFacts | None = None
    error: str | None = None
    missing: str | None = None
    host_key: str | None = None
