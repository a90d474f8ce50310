from pathlib import Path

from pydantic import Field

from fwbench.model.base import Frozen


class JumpHost(Frozen):
    """A host on the way to another. What is None is left to the user's own SSH configuration."""

    address: str
    port: int | None = Field(default=None, ge=1, le=65535)
    user: str | None = None
    key_file: Path | None = Field(default=None, description="None: that of the host behind it")


class Host(Frozen):
    """A machine that answers SSH. What is None is left to the user's own SSH configuration."""

    name: str
    address: str = Field(description="where SSH answers")
    port: int | None = Field(default=None, ge=1, le=65535)
    user: str | None = None
    key_file: Path | None = None
    known_hosts: Path | None = Field(default=None, description="host keys, beside the user's own")
    jump_hosts: tuple[JumpHost, ...] | None = Field(
        default=None, description="the hosts on the way to it, the nearest first; empty for none"
    )
    become: bool = Field(default=True, description="whether sudo makes the login root; else it is")
    instance_type: str | None = None
    region: str | None = None
    price_per_hour: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class Target(Host):
    """The host that serves."""

    load_address: str = Field(description="where clients load it; SSH may have another address")


class Client(Host):
    """A host that loads."""


class Rig(Frozen):
    """A target with the clients that load it: what runs side by side with other rigs."""

    name: str
    target: Target
    clients: tuple[Client, ...] = Field(min_length=1)

    @property
    def hosts(self) -> tuple[Host, ...]:
        """All of its machines, the target first."""
        return (self.target, *self.clients)
