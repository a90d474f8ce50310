"""The hosts of the lab, and their sizes."""

from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.model.names import Name


class Size(Frozen):
    """A named size of hosts, like a cloud's instance type."""

    name: Name
    cpus: float = Field(gt=0, le=1024, allow_inf_nan=False)
    memory: str = Field(pattern=r"^[1-9][0-9]{0,6}[mg]$")
    price_per_hour: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)

    def __str__(self) -> str:
        """Return the size in the syntax of `lab up --target`."""
        price = "" if self.price_per_hour is None else f",{_plain(self.price_per_hour)}"
        return f"{self.name}={_plain(self.cpus)},{self.memory}{price}"


class LabHost(Frozen):
    """One host of the lab."""

    name: str
    system: str
    running: bool
    ssh_port: int
    load_address: str
    size: Size | None = None  # None: no limits of its own


def _plain(number: float) -> str:
    """Return all digits, so that parsing gives the same size, without a trailing `.0`."""
    return repr(number).removesuffix(".0")
