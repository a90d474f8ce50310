from typing import Self

from pydantic import Field, model_validator

from fwbench.model.base import Frozen


class Load(Frozen):
    """What is asked of a server: how many connections, and for how many requests or how long.

    Every connection has one request under way at a time and sends the next when it is answered.
    `threads` are the load generator's own. Exactly one of `requests` and `duration_s` is set;
    `warm_up_s` comes before the duration and is not measured.
    """

    connections: int = Field(ge=1)
    threads: int = Field(default=1, ge=1)
    requests: int | None = Field(default=None, ge=1)
    warm_up_s: int = Field(default=0, ge=0)
    duration_s: int | None = Field(default=None, ge=1)

    # h2load refuses -t > -c and -n < -c itself, and ignores --warm-up-time without -D.
    @model_validator(mode="after")
    def _is_one_load(self) -> Self:
        if (self.requests is None) == (self.duration_s is None):
            raise ValueError("a load has either requests or duration_s")
        if self.threads > self.connections:
            raise ValueError(
                f"{self.threads} threads cannot share {_counted(self.connections, 'connection')}"
            )
        if self.requests is not None and self.requests < self.connections:
            raise ValueError(
                f"{_counted(self.requests, 'request')} cannot occupy {self.connections} connections"
            )
        if self.warm_up_s and self.duration_s is None:
            raise ValueError("warm_up_s needs duration_s: a number of requests has no warm-up")
        return self

    @property
    def label(self) -> str:
        """The load in words: `40 connections, 8 s after 2 s of warm-up`."""
        parts = [_counted(self.connections, "connection")]
        if self.threads > 1:
            parts.append(f"{self.threads} threads")
        if self.requests is not None:
            parts.append(_counted(self.requests, "request"))
        elif self.warm_up_s:
            parts.append(f"{self.duration_s} s after {self.warm_up_s} s of warm-up")
        else:
            parts.append(f"{self.duration_s} s")
        return ", ".join(parts)

    @property
    def nominal_s(self) -> float | None:
        """How long the load lasts, warm-up included; None if that is up to the server."""
        if self.duration_s is None:
            return None
        return float(self.warm_up_s + self.duration_s)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
