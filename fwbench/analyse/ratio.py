"""How much faster one contender is than another, and how sure that is."""

import math
from collections.abc import Mapping, Sequence

from fwbench.analyse.estimate import FEWEST, Interval, estimate
from fwbench.analyse.sample import is_believed, throughput
from fwbench.model.base import Frozen
from fwbench.model.record import Record


class Ratio(Frozen):
    """The contender's throughput divided by the baseline's, over `blocks` blocks."""

    ratio: float
    interval: Interval
    blocks: int
    excluded_runs: int

    @property
    def shows_difference(self) -> bool:
        """Whether the interval leaves out 1."""
        return not self.interval.low <= 1 <= self.interval.high


class NoRatio(Frozen):
    """Why there is none."""

    reason: str
    excluded_runs: int


def compare(contender: Sequence[Record], baseline: Sequence[Record]) -> Ratio | NoRatio:
    """The ratio of two trials' throughputs, from their records on one rig.

    Both runs of a block see the same state of the machine, so each block gives one log ratio, and
    Student's t over these gives the interval. Where blocks are few this is the one to take: it
    keeps its 95 % from 3 to 20 blocks, while a percentile bootstrap covers 76 % at 3 and 89 % at
    10. A block in which a run is invalid or missing gives no ratio; three blocks must be left.
    """
    excluded = sum(not is_believed(record) for record in (*contender, *baseline))
    for records in (contender, baseline):
        if not any(is_believed(record) for record in records):
            return NoRatio(reason=_nothing_from(records), excluded_runs=excluded)
    ours, theirs = _by_block(contender), _by_block(baseline)
    logs = [math.log(ours[block] / theirs[block]) for block in sorted(ours.keys() & theirs.keys())]
    found = estimate(logs)
    if found is None or found.interval is None:
        have = f"{len(logs)} block{'' if len(logs) == 1 else 's'} with valid runs of both"
        return NoRatio(reason=f"{have}, {FEWEST} are needed", excluded_runs=excluded)
    return Ratio(
        ratio=math.exp(found.mean),
        interval=Interval(low=math.exp(found.interval.low), high=math.exp(found.interval.high)),
        blocks=found.n,
        excluded_runs=excluded,
    )


def _nothing_from(records: Sequence[Record]) -> str:
    if not records:
        return "one of the two was not executed yet"
    return f"{records[0].run.trial.contender} has no valid run"


def _by_block(records: Sequence[Record]) -> Mapping[int, float]:
    values = ((record.run.block, throughput(record)) for record in records)
    return {block: value for block, value in values if value}
