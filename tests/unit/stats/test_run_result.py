import pytest
from builders import (
    COUNTED,
    TIMED,
    figures,
    finding,
    load_result,
    log,
    observation,
    percentiles,
    record,
    run,
)

from fwbench.errors import SessionError
from fwbench.model.load import Load
from fwbench.model.observation import ClientOverlap, LoadResult
from fwbench.model.record import Record
from fwbench.model.verdict import Level, Verdict
from fwbench.stats.run_result import run_result


def executed(load: LoadResult | None, asked: Load = TIMED) -> Record:
    return Record(run=run(load=asked), observation=observation(load=load), verdict=Verdict())


def test_with_a_duration_the_logs_successful_rows_count() -> None:
    loaded = load_result(log=log(14168, successful_rows=12000))
    assert run_result(executed(loaded)).throughput == 4000


def test_with_a_number_of_requests_the_successful_ones_count() -> None:
    said = figures("ok-n", elapsed_s=0.5, requests_succeeded=900, rate_per_s=2000)
    assert (
        run_result(executed(load_result(summary=said, log=log(1000, 1)), COUNTED)).throughput
        == 1800
    )


@pytest.mark.parametrize(("overlap_s", "per_s"), [(2.5, 4800), (0, None), (None, None)])
@pytest.mark.parametrize("asked", [TIMED, COUNTED])
def test_of_several_clients_the_time_in_which_all_loaded_counts(
    overlap_s: float | None, per_s: float | None, asked: Load
) -> None:
    loaded = load_result(log=log(14168, successful_rows=12000))
    made = executed(loaded, asked)
    overlap = ClientOverlap(skew_s=0.01, uncertainty_s=0.001, overlap_s=overlap_s)
    observed = made.observation.model_copy(update={"overlap": overlap})
    assert run_result(made.model_copy(update={"observation": observed})).throughput == per_s


def test_an_invalid_run_has_no_throughput() -> None:
    assert run_result(record(findings=(finding(),))).throughput is None


@pytest.mark.parametrize("level", [Level.SUSPECT, Level.NOTE])
def test_a_suspect_run_has_one(level: Level) -> None:
    assert run_result(record(per_s=1000, findings=(finding(level=level),))).throughput == 1000


@pytest.mark.parametrize("loaded", [None, load_result(summary=None), load_result(log=None)])
def test_what_is_unknown_is_no_number(loaded: LoadResult | None) -> None:
    assert run_result(executed(loaded)).throughput is None


@pytest.mark.parametrize(
    "loaded",
    [
        load_result(log=log(successful_rows=10**400)),
        load_result(log=log(latency=percentiles(p99_us=10**400))),
        load_result(log=log(latency=percentiles(max_us=10**200))),
    ],
)
def test_a_figure_that_no_run_can_have_is_an_error(loaded: LoadResult) -> None:
    with pytest.raises(SessionError, match="run r1-0001-flask has a figure that no run can have"):
        run_result(executed(loaded))


@pytest.mark.parametrize("elapsed_s", [5e-324, 1e300])
def test_a_time_that_no_run_can_take_is_an_error(elapsed_s: float) -> None:
    said = figures("ok-n", elapsed_s=elapsed_s, requests_succeeded=900)
    with pytest.raises(SessionError, match="has a figure that no run can have"):
        run_result(executed(load_result(summary=said, log=log(1000, 1)), COUNTED))


def test_a_load_generator_that_fwbench_does_not_have_is_an_error_that_names_the_run() -> None:
    by_another = TIMED.model_copy(update={"generator": "2load"})
    with pytest.raises(SessionError, match=r"run r1-0001-flask has a load that .* called '2load'"):
        run_result(executed(load_result(), by_another))
