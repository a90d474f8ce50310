"""Loads: what the load generator offers."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from fwbench.model.base import Frozen


class LoadKind(StrEnum):
    """What decides when requests are sent. Results of different kinds are never compared."""

    CLOSED = "closed"
    FIXED_RATE = "fixed rate"
    SEARCH = "search"


class Search(Frozen):
    """A search for the highest rate of a range at which the p99 stays under a bound.

    Each block tries `steps` rates, each with a fresh container. Each step halves the remaining
    range on a logarithmic scale: six steps determine the rate to (highest / lowest) ** (1 / 64).
    """

    p99_ms: float = Field(gt=0, allow_inf_nan=False)
    lowest: float = Field(ge=0.001, le=1e9, allow_inf_nan=False, description="requests per second")
    highest: float = Field(gt=0, le=1e9, allow_inf_nan=False, description="requests per second")
    steps: int = Field(default=6, ge=1, le=12)

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.lowest >= self.highest:
            raise ValueError(f"lowest ({self.lowest:g}) must be below highest ({self.highest:g})")
        return self


class Load(Frozen):
    """What the load generator offers: over how many connections, how many requests or how long.

    A closed load has no `rate`: each connection sends its next request after the answer. With a
    `rate` (requests per second over all connections), requests are sent when they are due, or once
    their connection is free. A `search` tries several rates.

    `threads` are those of the load generator, `generator`. Exactly one of `requests` and
    `duration_s` is set. `warm_up_s` precedes `duration_s` and is not measured.
    """

    generator: str = "h2load"
    connections: int = Field(ge=1, le=1_000_000)
    threads: int = Field(default=1, ge=1, le=1024)
    requests: int | None = Field(default=None, ge=1)
    warm_up_s: int = Field(default=0, ge=0, le=86_400)
    duration_s: int | None = Field(default=None, ge=1, le=86_400)
    rate: float | None = Field(default=None, gt=0, le=1e9, allow_inf_nan=False)
    search: Search | None = None

    # h2load refuses -t > -c and -n < -c itself, and ignores --warm-up-time without -D.
    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if (self.requests is None) == (self.duration_s is None):
            raise ValueError("set either requests or duration_s")
        if self.threads > self.connections:
            raise ValueError(
                f"{self.threads} threads cannot share {_counted(self.connections, 'connection')}"
            )
        if self.requests is not None and self.requests < self.connections:
            raise ValueError(
                f"{_counted(self.requests, 'request')} cannot occupy {self.connections} connections"
            )
        if self.warm_up_s and self.duration_s is None:
            raise ValueError(
                "warm_up_s needs duration_s: a load of a number of requests has no warm-up"
            )
        if self.rate is not None and self.search is not None:
            raise ValueError("set either rate or search")
        if self.kind is not LoadKind.CLOSED and self.duration_s is None:
            raise ValueError("rate and search need duration_s")
        if self.rate is not None and self.rate * (self.nominal_duration_s or 0) < self.connections:
            raise ValueError(
                f"{self.rate:g} requests per second leave some of the"
                f" {_counted(self.connections, 'connection')} without any"
            )
        return self

    @property
    def kind(self) -> LoadKind:
        """Return whether the load is closed, at a fixed rate, or a search."""
        if self.search is not None:
            return LoadKind.SEARCH
        return LoadKind.CLOSED if self.rate is None else LoadKind.FIXED_RATE

    @property
    def expected_interval_us(self) -> int | None:
        """Return the time between the due requests of a connection; None for a closed load."""
        return None if self.rate is None else round(self.connections / self.rate * 1e6)

    def at_rate(self, rate: float | None) -> "Load":
        """Return the load at a fixed rate, as a step of a search offers it; unchanged if None."""
        if rate is None:
            return self
        return self.model_copy(update={"rate": rate, "search": None})

    @property
    def label(self) -> str:
        """Return the load in words: `40 connections, 8 s after 2 s of warm-up`."""
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
        if self.generator != "h2load":
            parts.append(f"by {self.generator}")
        return ", ".join(parts)

    @property
    def nominal_duration_s(self) -> float | None:
        """Return how long the load lasts, warm-up included; None if it has a number of requests."""
        if self.duration_s is None:
            return None
        return float(self.warm_up_s + self.duration_s)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
