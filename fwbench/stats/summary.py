"""All that a session says: estimates, comparisons, findings; every form of report is made of it."""

from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict, Field

from fwbench.model.base import Frozen
from fwbench.model.event import Event
from fwbench.model.load import LoadKind
from fwbench.model.observation import ClientOverlap
from fwbench.model.record import HostFacts
from fwbench.model.setting import Setting
from fwbench.model.suite import Suite
from fwbench.stats.estimate import Estimate, Interval
from fwbench.stats.findings import FindingSummary, SaturatedClients
from fwbench.stats.hardware_groups import HardwareGroup
from fwbench.stats.outcomes import Comparison
from fwbench.stats.ratios import NoComparison, RatioEstimate
from fwbench.stats.samples import Metric
from fwbench.stats.search import HighestRate
from fwbench.stats.sizes import SizeTable

SCHEMA: Literal[1] = 1


class Latency(Frozen):
    """One percentile of a trial's runs, in microseconds: each run's own, none averaged.

    `median` is the middle one of the runs, with its interval by order statistics, from six runs on.
    """

    values: tuple[float, ...]
    median: float
    interval: Interval | None


class TrialSummary(Frozen):
    """One contender in one setting on one rig.

    `throughput` is successful answers per second of the load; `mean` and `median` are over the runs
    that are used, each of which `values` has. It is None, as everything else is, where fewer than
    three or fewer than half of the runs can be used (of a preset with one block: none). `withheld`
    then says what the contender has, with the counts, and there is no comparison either.

    Of a search, the runs are its steps; one whose rate was too high told just that, and is used.
    What has to be usable are its blocks.

    `latency` has percentiles by name (`p50` to `p99_9`, `max`). In a closed load it is what the
    client saw; at a fixed rate it is corrected for coordinated omission, and `latency_as_sent` is
    what the client saw.
    """

    label: str
    contender: str
    aa_control: bool
    trial: str = Field(description="its id")
    executed: int
    used: int
    invalid: int
    suspect: int
    throughput: Estimate | None
    latency: dict[str, Latency]
    uncorrected_latency: dict[str, Latency]
    highest_rate: HighestRate | None
    withheld: str | None


class ContenderComparison(Frozen):
    """A contender beside its baseline, by `metric`: its values divided by the baseline's.

    The result is a `Paired`, which has no word, where nothing may be claimed: of the A/A pair, and
    of the others where `unclaimed` says why. `without` has the rigs that are no part of it, each
    with the reason.
    """

    label: str
    baseline: str
    metric: Metric
    result: Comparison | RatioEstimate | NoComparison
    excluded_runs: int = Field(description="invalid runs of both")
    excluded_rigs: tuple[str, ...]
    no_claim_reason: str | None = None


class ComparisonGroup(Frozen):
    """What may be compared: one setting on one rig; where `rig` is None, over those of one kind.

    `noise` is the baseline's twin beside it: no difference that is nearer to 1 is claimed.
    """

    rig: str | None
    rigs: tuple[str, ...]
    label: str
    setting: Setting
    load_kind: LoadKind
    trials: tuple[TrialSummary, ...]
    noise_floor: ContenderComparison | None
    comparisons: tuple[ContenderComparison, ...]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run, used or not; `overlap` is how far several clients loaded at the same time."""

    # No model: a session may have 100,000 runs, and this takes a tenth of a model's memory.
    __pydantic_config__ = ConfigDict(extra="forbid")

    id: str
    rig: str
    block: int
    step: int | None
    label: str
    trial: str
    offered_rate: float | None
    verdict: str
    findings: tuple[str, ...]
    throughput: float | None
    p99_us: float | None
    overlap: ClientOverlap | None


class LostAttempt(Frozen):
    """An attempt at a run that was lost for a reason outside the measurement; never used."""

    id: str
    rig: str
    attempt: int
    reason: str


class Summary(Frozen):
    """A session's whole answer. `ended` says for each rig by which rule it stopped, if it has one.

    `kinds` are the rigs that are alike, and so may be pooled; `by_size` has each of them beside the
    first. `events` and `lost` are what happened besides the runs that count.

    Nothing in it is rounded, and nothing is left out but the raw figures of the load generator,
    which are in the session's records.
    """

    schema_version: Literal[1] = SCHEMA
    fwbench: str
    created_at: str
    suite: Suite
    seed: int
    planned: int
    executed: int
    hosts: tuple[HostFacts, ...]
    stopped_by: dict[str, str]
    replicate: str = Field(description="what the claims hold for")
    hardware_groups: tuple[HardwareGroup, ...]
    groups: tuple[ComparisonGroup, ...]
    size_tables: tuple[SizeTable, ...]
    findings: tuple[FindingSummary, ...]
    saturated_clients: tuple[SaturatedClients, ...]
    events: tuple[Event, ...]
    lost_attempts: tuple[LostAttempt, ...]
    runs: tuple[RunSummary, ...]
