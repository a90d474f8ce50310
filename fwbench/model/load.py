from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from fwbench.model.base import Frozen


class LoadKind(StrEnum):
    """What decides when a request is sent; figures of different kinds are never compared."""

    CLOSED = "closed"
    FIXED_RATE = "fixed rate"
    SEARCH = "search"


class Search(Frozen):
    """The highest rate between two that keeps the 99th percentile under a bound.

    Each block tries `steps` rates, each in a fresh container, and halves with each what is left of
    the range: after six of them it is known to (highest / lowest) ** (1 / 64).
    """

    p99_ms: float = Field(gt=0, allow_inf_nan=False)
    lowest: float = Field(ge=0.001, le=1e9, allow_inf_nan=False, description="requests per second")
    highest: float = Field(gt=0, le=1e9, allow_inf_nan=False, description="requests per second")
    steps: int = Field(default=6, ge=1, le=12)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.lowest >= self.highest:
            raise ValueError(f"lowest ({self.lowest:g}) must be below highest ({self.highest:g})")
        return self


class Load(Frozen):
    """What is asked of a server: over how many connections, and for how many requests or how long.

    A closed load has no `rate`: every connection has one request under way at a time and sends the
    next when it is answered. With a `rate` (requests per second over all connections) they are sent
    when they are due, or as soon as the connection is free after that. A `search` tries several.

    `threads` are the load generator's own. Exactly one of `requests` and `duration_s` is set;
    `warm_up_s` comes before the duration and is not measured.
    """

    connections: int = Field(ge=1, le=1_000_000)
    threads: int = Field(default=1, ge=1, le=1024)
    requests: int | None = Field(default=None, ge=1)
    warm_up_s: int = Field(default=0, ge=0, le=86_400)
    duration_s: int | None = Field(default=None, ge=1, le=86_400)
    rate: float | None = Field(default=None, gt=0, le=1e9, allow_inf_nan=False)
    search: Search | None = None

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
        if self.rate is not None and self.search is not None:
            raise ValueError("a load has either a rate or a search for one")
        if self.kind is not LoadKind.CLOSED and self.duration_s is None:
            raise ValueError("a rate needs duration_s: how long it is to be offered")
        if self.rate is not None and self.rate * (self.nominal_duration_s or 0) < self.connections:
            raise ValueError(
                f"{self.rate:g} requests per second leave some of the"
                f" {_counted(self.connections, 'connection')} without any"
            )
        return self

    @property
    def kind(self) -> LoadKind:
        """Closed, of a fixed rate, or a search for one."""
        if self.search is not None:
            return LoadKind.SEARCH
        return LoadKind.CLOSED if self.rate is None else LoadKind.FIXED_RATE

    @property
    def expected_interval_us(self) -> int | None:
        """How long after one request a connection's next one is due; None for a closed load."""
        return None if self.rate is None else round(self.connections / self.rate * 1e6)

    def at_rate(self, rate: float) -> "Load":
        """The load at a fixed rate: what a step of a search offers."""
        return self.model_copy(update={"rate": rate, "search": None})

    @property
    def label(self) -> str:
        """The load in words: `40 connections, 8 s after 2 s of warm-up`."""
        parts = [_counted(self.connections, "connection")]
        if self.rate is not None:
            parts.insert(0, f"{self.rate:g} requests per second")
        if self.search is not None:
            parts.insert(0, f"highest rate with a p99 of at most {self.search.p99_ms:g} ms")
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
    def nominal_duration_s(self) -> float | None:
        """How long the load lasts, warm-up included; None if that is up to the server."""
        if self.duration_s is None:
            return None
        return float(self.warm_up_s + self.duration_s)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
