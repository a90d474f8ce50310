import pytest
from builders import figures

from fwbench.loadgen.merge import merge_summaries
from fwbench.model.figures import SummaryStatistics


def statistics(*values: float) -> SummaryStatistics:
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return SummaryStatistics(
        min=min(values), max=max(values), mean=mean, sd=variance**0.5, within_sd_percent=50
    )


def test_counts_and_rates_are_summed_and_the_longest_time_counts() -> None:
    one = figures(elapsed_s=3.0, requests_done=10, status_5xx=1, rate_per_s=5.0)
    other = figures(elapsed_s=4.0, requests_done=20, status_5xx=2, rate_per_s=7.0)
    merged = merge_summaries([one, other], [5, 5])
    assert (merged.elapsed_s, merged.requests_done, merged.status_5xx) == (4.0, 30, 3)
    assert merged.rate_per_s == 12.0
    assert merged.total_bytes == 2 * one.total_bytes


def test_merged_statistics_are_those_of_all_values() -> None:
    one = figures(requests_done=3, request_time_us=statistics(1, 2, 6))
    other = figures(requests_done=2, request_time_us=statistics(10, 30))
    merged = merge_summaries([one, other], [1, 1]).request_time_us
    expected = statistics(1, 2, 6, 10, 30)
    assert (merged.min, merged.max) == (1, 30)
    assert merged.mean == pytest.approx(expected.mean)
    assert merged.sd == pytest.approx(expected.sd)
    assert merged.within_sd_percent is None


def test_rate_per_connection_is_weighted_by_connections() -> None:
    one = figures(rate_per_connection=statistics(100.0))
    other = figures(rate_per_connection=statistics(200.0))
    assert merge_summaries([one, other], [3, 1]).rate_per_connection.mean == pytest.approx(125)


def test_merged_percentiles_are_unknown() -> None:
    newer = figures("ok-duration", "1.70")
    assert newer.request_time_us.p99 is not None
    merged = merge_summaries([newer, newer], [5, 5])
    assert (merged.request_time_us.median, merged.request_time_us.p99) == (None, None)


def test_single_summary_is_unchanged() -> None:
    assert merge_summaries([figures()], [10]) == figures()


def test_client_without_requests_does_not_affect_times() -> None:
    idle = figures("refused")
    assert (
        merge_summaries([figures(), idle], [5, 5]).request_time_us.min
        == figures().request_time_us.min
    )
    assert merge_summaries([idle, idle], [5, 5]).request_time_us.mean == 0
