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


def run_record(result: LoadResult | None, load: Load = TIMED) -> Record:
    return Record(run=run(load=load), observation=observation(load=result), verdict=Verdict())


def test_throughput_with_a_duration_uses_successful_log_rows() -> None:
    result = load_result(log=log(14168, successful_rows=12000))
    assert run_result(run_record(result)).throughput == 4000


def test_throughput_with_a_request_count_counts_successes() -> None:
    load_summary = figures("ok-n", elapsed_s=0.5, requests_succeeded=900, rate_per_s=2000)
    assert (
        run_result(
            run_record(load_result(summary=load_summary, log=log(1000, 1)), COUNTED)
        ).throughput
        == 1800
    )


@pytest.mark.parametrize(("overlap_s", "per_s"), [(2.5, 4800), (0, None), (None, None)])
@pytest.mark.parametrize("load", [TIMED, COUNTED])
def test_throughput_of_several_clients_uses_their_overlap(
    overlap_s: float | None, per_s: float | None, load: Load
) -> None:
    result = load_result(log=log(14168, successful_rows=12000))
    original = run_record(result, load)
    overlap = ClientOverlap(skew_s=0.01, uncertainty_s=0.001, overlap_s=overlap_s)
    observed = original.observation.model_copy(update={"overlap": overlap})
    assert run_result(original.model_copy(update={"observation": observed})).throughput == per_s


def test_invalid_run_has_no_throughput() -> None:
    assert run_result(record(findings=(finding(),))).throughput is None


@pytest.mark.parametrize("level", [Level.SUSPECT, Level.NOTE])
def test_suspect_run_has_a_throughput(level: Level) -> None:
    assert run_result(record(per_s=1000, findings=(finding(level=level),))).throughput == 1000


@pytest.mark.parametrize("result", [None, load_result(summary=None), load_result(log=None)])
def test_missing_data_gives_no_throughput(result: LoadResult | None) -> None:
    assert run_result(run_record(result)).throughput is None


@pytest.mark.parametrize(
    "result",
    [
        load_result(log=log(successful_rows=10**400)),
        load_result(log=log(latency=percentiles(p99_us=10**400))),
        load_result(log=log(latency=percentiles(max_us=10**200))),
    ],
)
def test_impossible_number_in_the_log_is_an_error(result: LoadResult) -> None:
    with pytest.raises(SessionError, match="run r1-0001-flask has a figure that no run can have"):
        run_result(run_record(result))


@pytest.mark.parametrize("elapsed_s", [5e-324, 1e300])
def test_impossible_elapsed_time_is_an_error(elapsed_s: float) -> None:
    load_summary = figures("ok-n", elapsed_s=elapsed_s, requests_succeeded=900)
    with pytest.raises(SessionError, match="has a figure that no run can have"):
        run_result(run_record(load_result(summary=load_summary, log=log(1000, 1)), COUNTED))


def test_error_for_an_unknown_load_generator_names_the_run() -> None:
    unknown = TIMED.model_copy(update={"generator": "2load"})
    with pytest.raises(SessionError, match=r"run r1-0001-flask has a load that .* called '2load'"):
        run_result(run_record(load_result(), unknown))
