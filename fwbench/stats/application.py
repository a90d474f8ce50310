"""What a ratio of serving means to a whole application, of which serving is a part."""

import math
import re

from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.stats.estimate import Interval


class FrameworkShare(Frozen):
    """Serving is such a share of a request's whole time: 0.2 for 20 %."""

    share: float = Field(gt=0, le=1)


class FrameworkTime(Frozen):
    """Serving takes so long in each request."""

    ms: float = Field(gt=0)


FrameworkPart = FrameworkShare | FrameworkTime


class RequestSpeedup(Frozen):
    """What becomes of a whole request: less time, in percent, and how many times as fast it is.

    Both with the ratio's 95 % interval carried through. Negative where the request takes longer.
    """

    less_time_percent: float
    less_time_interval: Interval
    speedup: float
    speedup_interval: Interval


class RequestSaving(Frozen):
    """Milliseconds that each request saves; negative where it takes longer."""

    ms: float
    interval: Interval


def request_speedup(serving: FrameworkShare, ratio: float, interval: Interval) -> RequestSpeedup:
    """A whole request, if the part that is serving became `ratio` times as fast.

    Its time was 1 and becomes 1 − s + s / ratio (Amdahl, "Validity of the single processor approach
    to achieving large scale computing capabilities", 1967); the inverse is the speedup. Both rise
    with the ratio, so the interval's ends go through the same formula. The rest of the request is
    taken to stay as it is, and the ratio under the benchmark's load to be that of the application.
    A ratio of latencies has to be turned over first: 0.5 of the time is 2 times as fast.
    """
    time, longest, shortest = (
        1 - serving.share + serving.share / r for r in (ratio, interval.low, interval.high)
    )
    return RequestSpeedup(
        less_time_percent=100 * (1 - time),
        less_time_interval=Interval(low=100 * (1 - longest), high=100 * (1 - shortest)),
        speedup=1 / time,
        speedup_interval=Interval(low=1 / longest, high=1 / shortest),
    )


def request_saving(serving: FrameworkTime, ratio: float, interval: Interval) -> RequestSaving:
    """The time that a request saves, under what `of_share` assumes: ms · (1 − 1 / ratio)."""
    saved, least, most = (serving.ms * (1 - 1 / r) for r in (ratio, interval.low, interval.high))
    return RequestSaving(ms=saved, interval=Interval(low=least, high=most))


_SERVING = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>%|ms|)", re.ASCII)


def parse_framework_share(text: str) -> FrameworkPart:
    """`20%` and `0.2` as the share that serving has of a request's time, `10ms` as its length.

    ValueError, with a sentence for the user, of anything else.
    """
    match = _SERVING.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no part of a request: say 20%, 0.2 or 10ms")
    number = float(match["number"])
    if math.isinf(number):
        raise ValueError(f"{text[:20]}… is too large a number: say 20%, 0.2 or 10ms")
    if not number:
        raise ValueError(f"{text!r} leaves serving no time: nothing would change")
    if match["unit"] == "ms":
        return FrameworkTime(ms=number)
    share = number / 100 if match["unit"] else number
    if share > 1:
        raise ValueError(f"{text!r} is more than the whole request: say 20%, 0.2 or 10ms")
    return FrameworkShare(share=share)
