"""The effect of a ratio on an application, in which the framework takes part of the time."""

import math
import re

from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.stats.estimate import Interval


class FrameworkShare(Frozen):
    """The part of a request's time that the framework takes: 0.2 for 20 %."""

    share: float = Field(gt=0, le=1)


class FrameworkTime(Frozen):
    """The time that the framework takes in each request."""

    ms: float = Field(gt=0)


FrameworkPart = FrameworkShare | FrameworkTime


class RequestSpeedup(Frozen):
    """The effect on a whole request: its time saved in percent, and its speedup.

    The intervals follow from the ratio's 95 % interval. The time saved is negative if the request
    takes longer.
    """

    less_time_percent: float
    less_time_interval: Interval
    speedup: float
    speedup_interval: Interval


class RequestSaving(Frozen):
    """Milliseconds that each request saves; negative if it takes longer."""

    ms: float
    interval: Interval


def request_speedup(framework: FrameworkShare, ratio: float, interval: Interval) -> RequestSpeedup:
    """Return the effect on a whole request of a framework that is `ratio` times as fast.

    The time of the request was 1 and becomes 1 − s + s / ratio (Amdahl, "Validity of the single
    processor approach to achieving large scale computing capabilities", 1967). The speedup is the
    reciprocal. Both are monotonic in the ratio, so the same formula gives the limits of the
    intervals. It assumes that the rest of the request does not change, and that the ratio in the
    application is that under the benchmark's load. Invert a ratio of latencies before you pass it:
    0.5 of the time is 2 times as fast.
    """
    time, longest, shortest = (
        1 - framework.share + framework.share / r for r in (ratio, interval.low, interval.high)
    )
    return RequestSpeedup(
        less_time_percent=100 * (1 - time),
        less_time_interval=Interval(low=100 * (1 - longest), high=100 * (1 - shortest)),
        speedup=1 / time,
        speedup_interval=Interval(low=1 / longest, high=1 / shortest),
    )


def request_saving(framework: FrameworkTime, ratio: float, interval: Interval) -> RequestSaving:
    """Return the time that a request saves: ms · (1 − 1 / ratio).

    The assumptions are those of `request_speedup`.
    """
    saved, least, most = (framework.ms * (1 - 1 / r) for r in (ratio, interval.low, interval.high))
    return RequestSaving(ms=saved, interval=Interval(low=least, high=most))


_FRAMEWORK_PART = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>%|ms|)", re.ASCII)


def parse_framework_share(text: str) -> FrameworkPart:
    """Parse `20%` or `0.2`, the framework's share of a request's time, or `10ms`, its time.

    Raise ValueError, with a sentence for the user, for anything else.
    """
    match = _FRAMEWORK_PART.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is neither a share nor a time: write 20%, 0.2 or 10ms")
    number = float(match["number"])
    if math.isinf(number):
        raise ValueError(f"{text[:20]}… is too large: write 20%, 0.2 or 10ms")
    if not number:
        raise ValueError(f"{text!r} is no time at all: write more than 0, as in 20%, 0.2 or 10ms")
    if match["unit"] == "ms":
        return FrameworkTime(ms=number)
    share = number / 100 if match["unit"] else number
    if share > 1:
        raise ValueError(f"{text!r} is more than the whole request: write 20%, 0.2 or 10ms")
    return FrameworkShare(share=share)
