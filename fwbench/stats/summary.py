"""The summary of a session: estimates, comparisons and findings, as every report prints them."""

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
from fwbench.stats.generator_agreement import GeneratorAgreement
from fwbench.stats.hardware_groups import HardwareGroup
from fwbench.stats.outcomes import Comparison
from fwbench.stats.ratios import NoComparison, RatioEstimate
from fwbench.stats.samples import Metric
from fwbench.stats.search import HighestRate
from fwbench.stats.sizes import SizeTable

SCHEMA: Literal[1] = 1


class Latency(Frozen):
    """One percentile of a trial, in microseconds; `values` has that of each run.

    `median` is the median of the runs. From six runs on, it has an interval by order statistics.
    """

    values: tuple[float, ...]
    median: float
    interval: Interval | None


class TrialSummary(Frozen):
    """One contender in one setting on one rig.

    `throughput` is successful (2xx) responses per second of the load, over the runs that are used.
    If fewer than half of the runs or fewer than three are usable, there are no estimates and no
    comparison, and `withheld` gives the counts. (If fewer than three were executed, all must be
    usable.)

    The runs of a search are its steps. A step whose rate was too high has an answer, so it is used.
    The rule about usable runs applies to the blocks of a search.

    `latency` has percentiles by name (`p50` to `p99_9`, `max`). Under a closed load, they are as
    the client measured them. At a fixed rate, they are corrected for coordinated omission, and
    `uncorrected_latency` has them as measured.
    """

    label: str
    contender: str
    aa_control: bool
    trial: str = Field(description="id of the trial")
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
    """A contender compared with the baseline: its values of `metric` divided by the baseline's.

    The result is a `RatioEstimate`, without an outcome, if nothing may be claimed. That is so for
    the A/A control, and if `no_claim_reason` is set. `excluded_rigs` has the rigs that are not part
    of the comparison, each with the reason.
    """

    label: str
    baseline: str
    metric: Metric
    result: Comparison | RatioEstimate | NoComparison
    excluded_runs: int = Field(description="invalid runs of either contender")
    excluded_rigs: tuple[str, ...]
    no_claim_reason: str | None = None


class ComparisonGroup(Frozen):
    """The comparisons of one setting: on one rig, or over a hardware group if `rig` is None.

    `noise_floor` is the A/A control compared with the baseline. No ratio closer to 1 is claimed to
    be a difference.
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
    """One run, used or not; `overlap` compares the times at which several clients loaded."""

    # Not a model: a session may have 100,000 runs, and this takes a tenth of a model's memory.
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
    not_applicable: tuple[str, ...]
    not_observed: tuple[str, ...]
    throughput: float | None
    p99_us: float | None
    overlap: ClientOverlap | None


class LostAttempt(Frozen):
    """An attempt at a run that failed for a reason outside the measurement, so it is not used."""

    id: str
    rig: str
    attempt: int
    reason: str


class Summary(Frozen):
    """All results of a session, unrounded.

    `stopped_by` has the stopping rule of each rig that stopped before its last block. `size_tables`
    compares each hardware group with the first. The session's records contain the numbers of the
    load generator for each run.
    """

    schema_version: Literal[1] = SCHEMA
    fwbench: str
    created_at: str
    suite: Suite
    overrides: tuple[str, ...] = Field(
        default=(), description="what replaced values of the suite's file, such as `blocks=3`"
    )
    seed: int
    planned: int
    executed: int
    hosts: tuple[HostFacts, ...]
    stopped_by: dict[str, str]
    scope: str = Field(description="what the claims hold for")
    hardware_groups: tuple[HardwareGroup, ...]
    groups: tuple[ComparisonGroup, ...]
    size_tables: tuple[SizeTable, ...]
    generator_agreements: tuple[GeneratorAgreement, ...]
    findings: tuple[FindingSummary, ...]
    saturated_clients: tuple[SaturatedClients, ...]
    events: tuple[Event, ...]
    lost_attempts: tuple[LostAttempt, ...]
    runs: tuple[RunSummary, ...]
