"""Hosts, and the rigs that they form."""

from pathlib import Path

from pydantic import Field

from fwbench.model.base import Frozen


class JumpHost(Frozen):
    """An SSH jump host. A field that is None is left to the user's SSH configuration."""

    address: str
    port: int | None = Field(default=None, ge=1, le=65535)
    user: str | None = None
    key_file: Path | None = Field(
        default=None, description="if None, the key file of the host behind it"
    )


class Host(Frozen):
    """A host of the inventory. A field that is None is left to the user's SSH configuration."""

    name: str
    address: str = Field(description="the address for SSH")
    port: int | None = Field(default=None, ge=1, le=65535)
    user: str | None = None
    key_file: Path | None = None
    known_hosts: Path | None = Field(
        default=None, description="host keys of hosts that the user does not know"
    )
    jump_hosts: tuple[JumpHost, ...] | None = Field(
        default=None, description="jump hosts, the nearest to the controller first; empty: none"
    )
    become: bool = Field(
        default=True, description="use sudo to become root; otherwise the login must be root"
    )
    instance_type: str | None = None
    region: str | None = None
    price_per_hour: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class Target(Host):
    """The host that runs the contender."""

    load_address: str = Field(
        description="the address for the load, which may differ from that for SSH"
    )


class Client(Host):
    """A host that runs the load generator."""


class Rig(Frozen):
    """A target with its clients. Rigs work in parallel and share no host."""

    name: str
    target: Target
    clients: tuple[Client, ...] = Field(min_length=1)

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Return all hosts, the target first."""
        return (self.target, *self.clients)
