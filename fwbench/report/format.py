"""What a format of a session's report is, and what it can print."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fwbench.model.record import SessionHeader
    from fwbench.stats.application import FrameworkPart
    from fwbench.stats.run_result import RunResult
    from fwbench.stats.summary import Summary

LatenciesBySecond = Mapping[int, Mapping[int, int]]
"""How often each latency (in microseconds) occurred, by the second since the epoch."""


@dataclass(frozen=True)
class ReportedSession:
    """A session as formats see it: plain results, without its files.

    `folder` is the session's folder as the user named it, for messages. `framework_share` is the
    part of an application's request that the framework takes, if known. `read_latencies` returns
    the latencies of a run, or nothing if the run has none. They are large, so each run's are read
    when they are needed; a file that is malformed raises `ParseError`.
    """

    folder: str
    header: "SessionHeader"
    summary: "Summary"
    runs: "Sequence[RunResult]"
    read_latencies: "Callable[[RunResult], LatenciesBySecond]"
    framework_share: "FrameworkPart | None" = None


@dataclass(frozen=True)
class Format:
    """A format of `fwbench report`: its name, the suffix of its files, and one line of help.

    `render` returns the report in chunks: str, which is written as UTF-8, or bytes.
    """

    name: str
    suffix: str
    help: str
    render: Callable[[ReportedSession], Iterator[str | bytes]]
