"""Sessions with two load generators: h2load and wrk."""

from typing import Any

from builders import TIMED, load_result, record, suite

from fwbench.loadgen.wrk import GENERATOR as WRK
from fwbench.model.record import Record
from fwbench.model.suite import Suite

STEADY = [1000.0, 1010.0, 990.0, 1005.0, 995.0]
BY_WRK = TIMED.model_copy(update={"generator": "wrk"})


def recorded_by_wrk(per_s: float) -> Any:
    """Return the summary of a load of three seconds, as `loadgen.wrk` makes it."""
    line = (
        f'fwbench-wrk {{"duration_us": 3000000.000, "requests": {round(per_s * 3)}.000,'
        ' "bytes": 1.000, "errors_connect": 0.000, "errors_read": 0.000, "errors_write": 0.000,'
        ' "errors_status": 0.000, "errors_timeout": 0.000, "min_us": 17.000, "max_us": 7059.000,'
        ' "mean_us": 222.842, "sd_us": 438.266, "p50_us": 124.000, "p75_us": 172.000,'
        ' "p90_us": 231.000, "p95_us": 741.000, "p99_us": 2561.000, "p999_us": 4308.000}\n'
    )
    return WRK.parse_output(line)


def by_wrk(contender: str, per_s: float, **more: Any) -> Record:
    """Return the record of a run by wrk."""
    default = record(contender, per_s, **more)
    trial = default.run.trial.model_copy(update={"load": BY_WRK})
    load = load_result(summary=recorded_by_wrk(per_s)).model_copy(update={"log": None})
    return default.model_copy(
        update={
            "run": default.run.model_copy(update={"trial": trial}),
            "observation": default.observation.model_copy(update={"load": load}),
        }
    )


def two_tools(**changes: Any) -> Suite:
    """Return a suite with the same load for each of the two load generators."""
    return suite(
        **({"contenders": ("flask",), "baseline": None, "loads": (TIMED, BY_WRK)} | changes)
    )


def both(factor: float, noise: float = 0.001) -> list[Record]:
    """Return records of blocks in which wrk measures `factor` times h2load's throughput."""
    records = []
    for block, per_s in enumerate(STEADY, start=1):
        deviation = 1 + noise * (-1) ** block
        records += [record("flask", per_s, block=block)]
        records += [by_wrk("flask", per_s * factor * deviation, block=block)]
    return records
