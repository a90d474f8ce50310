"""From results to samples: the values of one metric over the runs of a trial."""

import math
from collections.abc import Sequence
from enum import StrEnum

from fwbench.model.load import LoadKind, Search
from fwbench.stats.run_result import PERCENTILES, RunResult
from fwbench.stats.search import Bracket, bracket
from fwbench.stats.significance import MIN_VALUES


class Metric(StrEnum):
    """The quantity by which contenders are compared; it depends on the kind of load."""

    THROUGHPUT = "throughput"
    P99 = "p99"
    HIGHEST_RATE = "highest rate"

    @property
    def higher_is_better(self) -> bool:
        """Return whether a higher value is better."""
        return self is not Metric.P99


def metric(kind: LoadKind) -> Metric:
    """Return the metric of a kind of load."""
    return {
        LoadKind.CLOSED: Metric.THROUGHPUT,
        LoadKind.FIXED_RATE: Metric.P99,
        LoadKind.SEARCH: Metric.HIGHEST_RATE,
    }[kind]


def throughputs(results: Sequence[RunResult]) -> tuple[float, ...]:
    """Return the throughput of every run that has one."""
    values = [result.throughput for result in results]
    return tuple([value for value in values if value is not None])


def usable_results(results: Sequence[RunResult]) -> list[RunResult]:
    """Return the runs of a trial on a rig that have an answer; none if these are `too_few`."""
    return [] if too_few(results) else [result for result in results if result.has_answer]


def too_few(results: Sequence[RunResult]) -> str | None:
    """Return what a trial has too little of on a rig, in words that follow "has".

    None if it has enough. This is the one rule for estimates and comparisons alike: at least half
    of the executed runs must be usable, and three, or all where fewer were executed. For a search
    blocks count instead of runs, and a block is usable if it has an answer.
    """
    search = _search(results)
    if search is None:
        usable = [result.is_believed for result in results]
    else:
        ended = [block for block in steps(results) if len(block) >= search.steps or None in block]
        usable = [bracket(search, block) is not None for block in ended]
    used, executed = sum(usable), len(usable)
    needed = max(math.ceil(executed / 2), min(MIN_VALUES, executed))
    if results and used >= needed:
        return None
    if not used:
        return "no valid run" if search is None else "no block with an answer"
    plural = "" if used == 1 else "s"
    if search is None:
        return f"{used} valid run{plural} of {executed} and needs {needed}"
    return f"an answer in {used} block{plural} of {executed} and needs {needed}"


def percentiles(results: Sequence[RunResult], name: str, *, corrected: bool) -> tuple[float, ...]:
    """Return one of `PERCENTILES` of every run that has it, in microseconds.

    `corrected` takes the one corrected for coordinated omission, which only a fixed rate has.
    """
    place = list(PERCENTILES).index(name)
    found = [result.corrected_latency if corrected else result.latency for result in results]
    values = [latency[place] for latency in found if latency is not None]
    return tuple([value for value in values if value is not None])


def by_block(results: Sequence[RunResult], metric: Metric) -> dict[int, float]:
    """Return the metric's value in each block of one rig that has one."""
    if metric is Metric.HIGHEST_RATE:
        search = _search(results)
        if search is None:
            return {}
        found = {block: bracket(search, of_block) for block, of_block in _steps(results).items()}
        return {
            block: in_block.passed
            for block, in_block in found.items()
            if in_block and in_block.passed
        }
    if metric is Metric.THROUGHPUT:
        return {result.block: result.throughput for result in results if result.throughput}
    return {result.block: value for result in results if (value := result.p99_us)}


def brackets(results: Sequence[RunResult]) -> list[Bracket]:
    """Return what each block of a search on one rig found, of those that have an answer."""
    search = _search(results)
    if search is None:
        return []
    in_blocks = (bracket(search, of_block) for of_block in steps(results))
    return [in_block for in_block in in_blocks if in_block is not None]


def steps(results: Sequence[RunResult]) -> tuple[tuple[bool | None, ...], ...]:
    """Return the answers of a search's steps on one rig, block by block."""
    return tuple(_steps(results).values())


def _search(results: Sequence[RunResult]) -> Search | None:
    return next((r.trial.load.search for r in results if r.trial.load.search), None)


def _steps(results: Sequence[RunResult]) -> dict[int, tuple[bool | None, ...]]:
    ordered = sorted(results, key=lambda result: (result.block, result.step or 0))
    found: dict[int, tuple[bool | None, ...]] = {}
    for result in ordered:
        found[result.block] = (*found.get(result.block, ()), result.passed)
    return found
