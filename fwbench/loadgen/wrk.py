"""wrk: closed loads with a duration, as in many published comparisons.

wrk's own output rounds its figures, so a Lua script prints them once more as numbers. The forms
come from wrk's `src/wrk.c`, `src/script.c` and `SCRIPTING`, and from recorded outputs of 4.1.0
(`tests/fixtures/wrk`).
"""

import json
import re
from pathlib import PurePath

from fwbench.errors import ParseError
from fwbench.loadgen.generator import LoadGenerator, UnsuitableLoadError, excerpt, is_known
from fwbench.model.base import Frozen
from fwbench.model.figures import Amount, Count, LoadSummary, Percentiles, SummaryStatistics
from fwbench.model.load import Load

# wrk counts a request that takes longer as timed out, and has no latency for it. It reserves eight
# bytes for each microsecond of this time.
TIMEOUT_S = 8
SCRIPT = "wrk.lua"
_MARK = "fwbench-wrk "
_PERCENTILES = ("p50", "p75", "p90", "p95", "p99", "p99_9")
_FIELDS = {
    "duration_us": "summary.duration",
    "requests": "summary.requests",
    "bytes": "summary.bytes",
    "errors_connect": "summary.errors.connect",
    "errors_read": "summary.errors.read",
    "errors_write": "summary.errors.write",
    "errors_status": "summary.errors.status",
    "errors_timeout": "summary.errors.timeout",
    "min_us": "latency.min",
    "max_us": "latency.max",
    "mean_us": "latency.mean",
    "sd_us": "latency.stdev",
} | {
    f"{name.replace('_', '')}_us": f"latency:percentile({name[1:].replace('_', '.')})"
    for name in _PERCENTILES
}


def _script() -> str:
    """Return the script, which prints one line: `fwbench-wrk {"duration_us": 2099359.000, …}`."""
    formats = ", ".join(f'"{name}": %.3f' for name in _FIELDS)
    return (
        "-- Print the results as numbers: wrk's own output rounds them.\n"
        "done = function(summary, latency, requests)\n"
        f"  io.write(string.format('{_MARK}{{{formats}}}\\n',\n"
        f"    {', '.join(_FIELDS.values())}))\n"
        "end\n"
    )


class _Result(Frozen):
    """What the script prints."""

    duration_us: Amount
    requests: Count
    bytes: Count
    errors_connect: Count
    errors_read: Count
    errors_write: Count
    errors_status: Count
    errors_timeout: Count
    min_us: Amount
    max_us: Amount
    mean_us: Amount
    sd_us: Amount
    p50_us: Amount
    p75_us: Amount
    p90_us: Amount
    p95_us: Amount
    p99_us: Amount
    p999_us: Amount


class Wrk(LoadGenerator):
    """wrk 4: it prints a summary, writes no log, and corrects its latencies in every load."""

    name = "wrk"
    description = "closed loads with a duration; comparable with TechEmpower's rounds"
    writes_request_log = False
    corrects_latencies = True
    latency_begins = (
        "when the request is written to the connection; wrk then adds requests that a slow answer"
        " kept from being sent"
    )
    files = {SCRIPT: _script()}  # noqa: RUF012 - a constant of the base class

    def check_load(self, load: Load) -> None:
        for key in ("requests", "rate", "search"):
            if getattr(load, key) is not None:
                reason = (
                    "wrk has closed loads with a duration_s alone; remove this key, or use h2load"
                )
                raise UnsuitableLoadError(key, reason)
        if load.connections % load.threads:
            raise UnsuitableLoadError(
                "connections",
                f"wrk gives every thread the same number of connections, and {load.connections} is"
                f" no multiple of {load.threads} threads",
            )

    def command_line(self, load: Load, url: str, folder: PurePath) -> list[str]:
        return self._command(load, load.duration_s or 0, [f"-s{folder / SCRIPT}", url])

    def warm_up_command_line(self, load: Load, url: str) -> list[str] | None:
        return self._command(load, load.warm_up_s, [url]) if load.warm_up_s else None

    def _command(self, load: Load, duration_s: int, rest: list[str]) -> list[str]:
        return [
            "wrk",
            f"-t{load.threads}",
            f"-c{load.connections}",
            f"-d{duration_s}s",
            f"--timeout={TIMEOUT_S}s",
            *rest,
        ]

    def parse_version(self, printed: str) -> str:
        if (match := re.match(r"wrk ([^ ]{1,80}) \[", printed)) is None:
            raise ParseError(f"`wrk --version` printed no version: {excerpt(printed)}")
        return match[1]

    def parse_output(self, stdout: str) -> LoadSummary:
        """Parse the line that the script prints.

        wrk counts answers by whether their status is above 399, and does not say how many there
        were of each class. It does not count the requests that it started.
        """
        lines = [line for line in stdout.split("\n") if line.startswith(_MARK)]
        if len(lines) != 1:
            raise ParseError(f"wrk printed {len(lines)} lines of results; one run prints one")
        try:
            return _summary(_Result(**_numbers(json.loads(lines[0].removeprefix(_MARK)))))
        except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError) as error:
            raise ParseError(f"wrk printed a malformed result: {excerpt(lines[0])}") from error


def _numbers(values: dict[str, float]) -> dict[str, float]:
    """Return the values; without a latency, wrk's minimum is the largest number of its type."""
    return values if values.get("max_us") else values | {"min_us": 0.0}


def _summary(result: _Result) -> LoadSummary:
    unanswered = result.errors_connect + result.errors_read + result.errors_write
    elapsed_s = result.duration_us / 1e6
    failed = result.errors_status + unanswered + result.errors_timeout
    return LoadSummary(
        elapsed_s=elapsed_s,
        rate_per_s=result.requests / elapsed_s if elapsed_s else 0,
        requests_total=result.requests + unanswered,
        requests_done=result.requests,
        requests_succeeded=max(0, result.requests - result.errors_status),
        requests_failed=failed,
        requests_errored=unanswered,
        requests_timed_out=result.errors_timeout,
        total_bytes=result.bytes,
        request_time_us=SummaryStatistics(
            min=result.min_us,
            max=result.max_us,
            mean=result.mean_us,
            sd=result.sd_us,
            within_sd_percent=None,
        ),
        latency=_percentiles(result),
    )


def _percentiles(result: _Result) -> Percentiles:
    """Return the percentiles beyond which there are at least ten answers."""
    timed = max(0, result.requests - result.errors_timeout)
    fields = {name: f"{name.replace('_', '')}_us" for name in _PERCENTILES}
    known = {
        field: round(getattr(result, field)) if is_known(timed, name) else None
        for name, field in fields.items()
    }
    any_known = timed > 0
    return Percentiles(
        **known,
        max_us=round(result.max_us) if any_known else None,
        mean_us=result.mean_us if any_known else None,
    )


GENERATOR = Wrk()
