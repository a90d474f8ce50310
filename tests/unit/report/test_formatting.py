import pytest

from fwbench.report.formatting import (
    format_duration,
    format_percent,
    format_rate,
    format_rounded,
    one_line,
)


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0us"),
        (406, "406us"),
        (999, "999us"),
        (999.5, "1.00ms"),
        (1000, "1.00ms"),
        (83_370, "83.37ms"),
        (999_990, "999.99ms"),
        (1_000_000, "1.00s"),
        (54_000_000, "54.00s"),
    ],
)
def test_durations_have_the_format_of_h2load(us: float, text: str) -> None:
    assert format_duration(us) == text


def test_rates_and_percentages_have_the_format_of_h2load() -> None:
    assert (format_rate(75.98), format_rate(231.074), format_percent(86.7)) == (
        "75.98",
        "231.07",
        "86.70%",
    )


@pytest.mark.parametrize(
    ("value", "text"), [(4970.4, "4970"), (146000, "146000"), (999.96, "1000"), (3.14159, "3.142")]
)
def test_throughput_is_rounded_to_four_digits(value: float, text: str) -> None:
    assert format_rounded(value) == text


def test_foreign_text_becomes_one_printable_line() -> None:
    assert one_line(" a\n\tb\x1b[0m ") == "a b\\x1b[0m"
