"""Repeating until every comparison is sure enough, and saying by which rule that ended."""

import math
from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from fwbench.model.base import Frozen
from fwbench.stats.estimate import Interval
from fwbench.stats.ratios import NoComparison, RatioEstimate


class StoppingTarget(Frozen):
    """When to stop adding blocks: every 95 % interval is within ± `within_percent` of its ratio.

    Looking after each block and stopping at a narrow one favours intervals that are narrow by
    luck, and costs coverage. Hence at least ten blocks before the first look, and a maximum that is
    fixed beforehand. Simulated with 2 % noise, `within_percent=1.5` and at most 40 blocks: 16 are
    done, and the interval covers the truth in 94 %; looking from the third block on leaves 90 %
    (`selfbench/claims.py`). So 6 sessions in 100 without a difference claim one, instead of 5;
    the rule looks at widths and never at p-values, or these would be many.
    """

    within_percent: float = Field(gt=0)
    at_least: int = Field(default=10, ge=10)
    at_most: int

    @model_validator(mode="after")
    def _at_most_is_not_below_at_least(self) -> Self:
        if self.at_most < self.at_least:
            raise ValueError(f"at_most ({self.at_most}) is below at_least ({self.at_least})")
        return self

    def __str__(self) -> str:
        return (
            f"until every 95 % interval is within ±{self.within_percent:g} %,"
            f" after {self.at_least} blocks at least and {self.at_most} at most"
        )


class Decision(Frozen):
    """Whether to stop now, and why or why not, in words that name the rule."""

    stop: bool
    reason: str


def decide(
    rule: StoppingTarget, blocks: int, comparisons: Mapping[str, RatioEstimate | NoComparison]
) -> Decision:
    """Whether so many blocks are enough for all of these comparisons, by their names.

    Where there is none to become narrow, only `at_most` ends it. With rigs as the unit, blocks
    narrow an interval no further than the rigs agree.
    """
    if blocks < rule.at_least:
        return Decision(stop=False, reason=f"{_blocks(blocks)} of {rule}")
    wide = [
        f"{name} {_as_known(comparison)}"
        for name, comparison in comparisons.items()
        if not _is_narrow(comparison, rule)
    ]
    if comparisons and not wide:
        return Decision(stop=True, reason=f"every interval was narrow at {_blocks(blocks)}: {rule}")
    left = "; ".join(wide) or "there is no comparison"
    if blocks >= rule.at_most:
        return Decision(stop=True, reason=f"{_blocks(blocks)} are the most ({left}): {rule}")
    return Decision(stop=False, reason=f"{_blocks(blocks)} ({left}): {rule}")


def half_width_percent(interval: Interval) -> float:
    """How far a ratio's interval reaches to either side of it, in percent of the ratio."""
    return 100 * math.expm1(math.log(interval.high / interval.low) / 2)


def _is_narrow(comparison: RatioEstimate | NoComparison, rule: StoppingTarget) -> bool:
    return (
        isinstance(comparison, RatioEstimate)
        and half_width_percent(comparison.interval) <= rule.within_percent
    )


def _as_known(comparison: RatioEstimate | NoComparison) -> str:
    if isinstance(comparison, NoComparison):
        return f"can be no claim: {comparison.reason}"
    return f"is within ±{half_width_percent(comparison.interval):.2g} %"


def _blocks(count: int) -> str:
    return f"{count} block{'' if count == 1 else 's'}"
