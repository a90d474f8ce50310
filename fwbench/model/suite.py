from itertools import product
from math import prod
from typing import Self

from pydantic import Field, ValidationError, model_validator

from fwbench.errors import SuiteError
from fwbench.model.base import Frozen
from fwbench.model.load import Load
from fwbench.model.names import Name, aa_control_name
from fwbench.model.preset import Preset
from fwbench.model.setting import Concurrency, Limits, Network, Setting
from fwbench.model.thresholds import Thresholds

# No file may ask for more than a machine can plan. At ten seconds a run, this is twelve days.
MAX_ENTRIES = 1000
MAX_RUNS = 100_000


class StoppingRule(Frozen):
    """When to end before the last block: once every interval is narrow enough."""

    within_percent: float = Field(gt=0, le=100, description="half the width of each interval")
    at_least: int = Field(default=10, ge=10, description="blocks: stopping earlier costs coverage")


class Suite(Frozen):
    """What somebody asks: which contenders, in which settings, how often repeated."""

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
    thresholds: Thresholds = Thresholds()

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        for key in ("contenders", "endpoints", "loads", "limits", "concurrency", "networks"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key} has an entry twice")
        if self.baseline is not None and self.baseline not in self.contenders:
            raise ValueError(f"baseline {self.baseline!r} is not among the contenders")
        if (
            self.makes_claims
            and (control := aa_control_name(str(self.baseline))) in self.contenders
        ):
            raise ValueError(
                f"contenders: {control!r} is the name of the A/A control of baseline"
                f" {self.baseline!r}; rename that contender, or choose another baseline"
            )
        if self.stop is not None and self.stop.at_least > self.blocks:
            raise ValueError(
                f"stop: at_least ({self.stop.at_least}) is more than the {self.blocks} blocks"
            )
        if (runs := self._runs()) > MAX_RUNS:
            raise ValueError(
                f"it stands for {runs} runs on each rig, and may for {MAX_RUNS};"
                " ask in several suites, or with fewer blocks"
            )
        return self

    def _runs(self) -> int:
        """How many runs there are on each rig, without making them."""
        contenders = len(self.contenders) + self.makes_claims  # the baseline twice
        steps = sum(1 if load.search is None else load.search.steps for load in self.loads)
        others = (self.endpoints, self.limits, self.concurrency, self.networks)
        return contenders * steps * prod(map(len, others)) * self.blocks

    @property
    def makes_claims(self) -> bool:
        """Whether it means to claim that something is faster than its baseline."""
        return self.baseline is not None and self.preset is not Preset.SMOKE

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Every combination of endpoint, load, limits, concurrency and network, in their order."""
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

    def with_preset(self, preset: Preset) -> "Suite":
        """The suite as if its file named another preset and no number of blocks.

        Raises `SuiteError` where the file could not name it.
        """
        try:
            return Suite.model_validate(
                {**dict(self), "preset": preset, "blocks": preset.blocks, "stop": None}
            )
        except ValidationError as error:
            why = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise SuiteError(f"suite {self.name} with the preset {preset}: {why}") from error
