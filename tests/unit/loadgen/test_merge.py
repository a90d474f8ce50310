import pytest
from builders import figures

from fwbench.loadgen.merge import merge_summaries
from fwbench.model.figures import SummaryStatistics


def spread(*values: float) -> SummaryStatistics:
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return SummaryStatistics(
        min=min(values), max=max(values), mean=mean, sd=variance**0.5, within_sd_percent=50
    )


def test_counts_and_rates_are_added_and_the_longest_time_counts() -> None:
    one = figures(elapsed_s=3.0, requests_done=10, status_5xx=1, rate_per_s=5.0)
    other = figures(elapsed_s=4.0, requests_done=20, status_5xx=2, rate_per_s=7.0)
    both = merge_summaries([one, other], [5, 5])
    assert (both.elapsed_s, both.requests_done, both.status_5xx) == (4.0, 30, 3)
    assert both.rate_per_s == 12.0
    assert both.total_bytes == 2 * one.total_bytes


def test_a_spread_of_both_is_that_of_all_their_values() -> None:
    one = figures(requests_done=3, request_time_us=spread(1, 2, 6))
    other = figures(requests_done=2, request_time_us=spread(10, 30))
    overlap = merge_summaries([one, other], [1, 1]).request_time_us
    expected = spread(1, 2, 6, 10, 30)
    assert (overlap.min, overlap.max) == (1, 30)
    assert overlap.mean == pytest.approx(expected.mean)
    assert overlap.sd == pytest.approx(expected.sd)
    assert overlap.within_sd_percent is None


def test_connections_weigh_what_is_told_of_connections() -> None:
    one = figures(rate_per_connection=spread(100.0))
    other = figures(rate_per_connection=spread(200.0))
    assert merge_summaries([one, other], [3, 1]).rate_per_connection.mean == pytest.approx(125)


def test_what_summaries_do_not_tell_of_the_whole_is_unknown() -> None:
    newer = figures("ok-duration", "1.70")
    assert newer.request_time_us.p99 is not None
    both = merge_summaries([newer, newer], [5, 5])
    assert (both.request_time_us.median, both.request_time_us.p99) == (None, None)


def test_one_clients_figures_stay_as_they_are() -> None:
    assert merge_summaries([figures()], [10]) == figures()


def test_a_client_that_did_nothing_says_nothing_of_times() -> None:
    idle = figures("refused")
    assert (
        merge_summaries([figures(), idle], [5, 5]).request_time_us.min
        == figures().request_time_us.min
    )
    assert merge_summaries([idle, idle], [5, 5]).request_time_us.mean == 0
