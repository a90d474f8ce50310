"""Suites: what to compare, under which loads, how often."""

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Self

from pydantic import Field, model_validator

from fwbench.model.base import Frozen
from fwbench.model.load import Load
from fwbench.model.names import Name, aa_control_name
from fwbench.model.preset import Preset
from fwbench.model.setting import Concurrency, Limits, Network, Setting

# Limits against mistakes in a suite file. At ten seconds a run, the runs take twelve days.
MAX_ENTRIES = 1000
MAX_RUNS = 100_000


class InconsistentError(ValueError):
    """Values that contradict each other: for each problem the path of a value, and why."""

    def __init__(self, problems: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, path))}: {why}" for path, why in problems))
        self.problems = problems


class StoppingRule(Frozen):
    """Stop before the last block once every interval is narrow enough."""

    within_percent: float = Field(
        gt=0, le=100, description="half the width of an interval, in percent"
    )
    at_least: int = Field(
        default=10, ge=10, description="blocks; with fewer, intervals lose coverage"
    )


class Suite(Frozen):
    """A question: which contenders, in which settings, how often repeated."""

    name: Name
    question: str
    contenders: tuple[Name, ...] = Field(min_length=1, max_length=MAX_ENTRIES)
    baseline: Name | None = None
    endpoints: tuple[Name, ...] = Field(default=("hello",), min_length=1, max_length=MAX_ENTRIES)
    loads: tuple[Load, ...] = Field(min_length=1, max_length=MAX_ENTRIES)
    limits: tuple[Limits, ...] = Field(default=(Limits(),), min_length=1, max_length=MAX_ENTRIES)
    concurrency: tuple[Concurrency, ...] = Field(
        default=(Concurrency(),), min_length=1, max_length=MAX_ENTRIES
    )
    networks: tuple[Network, ...] = Field(
        default=(Network.PUBLISHED,), min_length=1, max_length=MAX_ENTRIES
    )
    preset: Preset = Preset.STANDARD
    blocks: int = Field(default_factory=lambda data: data["preset"].blocks, ge=1, le=1000)
    stop: StoppingRule | None = None
    margin_percent: float = Field(default=2.0, gt=0, le=100)
    seed: int = 1
    start_timeout_s: int = Field(default=30, ge=1, le=3600)
    thresholds: dict[str, float] = Field(
        default_factory=dict, description="values for thresholds of checks, by name"
    )

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if problems := list(self._problems()):
            raise InconsistentError(problems)
        return self

    def _problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield the path of each value that contradicts others, and why."""
        for key in ("contenders", "endpoints", "loads", "limits", "concurrency", "networks"):
            first: dict[object, int] = {}
            for index, value in enumerate(getattr(self, key)):
                if (earlier := first.setdefault(value, index)) != index:
                    yield (key, index), f"repeats {key}[{earlier}]"
        if self.baseline is not None and self.baseline not in self.contenders:
            yield ("baseline",), f"{self.baseline!r} is not among the contenders"
        if (
            self.makes_claims
            and (control := aa_control_name(str(self.baseline))) in self.contenders
        ):
            yield (
                ("contenders", self.contenders.index(control)),
                f"{control!r} is the name of the A/A control of baseline {self.baseline!r}; rename"
                " that contender, or choose another baseline",
            )
        if self.stop is not None and self.stop.at_least > self.blocks:
            yield (
                ("stop", "at_least"),
                f"({self.stop.at_least}) is more than the {self.blocks} blocks",
            )
        if (runs := self._run_count()) > MAX_RUNS:
            yield (
                (),
                f"it has {runs} runs on each rig; the maximum is {MAX_RUNS}: split it into several"
                " suites, or use fewer blocks",
            )

    def _run_count(self) -> int:
        """Return the number of runs on each rig, without building the plan."""
        contenders = len(self.contenders) + self.makes_claims  # with the A/A control
        steps = sum(1 if load.search is None else load.search.steps for load in self.loads)
        other_axes = (self.endpoints, self.limits, self.concurrency, self.networks)
        return contenders * steps * prod(map(len, other_axes)) * self.blocks

    @property
    def loadgens(self) -> tuple[str, ...]:
        """Return the names of the load generators, each once."""
        return tuple(dict.fromkeys(load.generator for load in self.loads))

    @property
    def makes_claims(self) -> bool:
        """Return whether comparisons with the baseline lead to claims."""
        return self.baseline is not None and self.preset is not Preset.SMOKE

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Return every combination of endpoint, load, limits, concurrency and network."""
        return tuple(
            Setting(
                endpoint=endpoint,
                load=load,
                limits=limits,
                concurrency=concurrency,
                network=network,
            )
            for endpoint, load, limits, concurrency, network in product(
                self.endpoints, self.loads, self.limits, self.concurrency, self.networks
            )
        )
