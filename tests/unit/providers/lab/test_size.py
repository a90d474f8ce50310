import pytest

from fwbench.model.lab import Size
from fwbench.providers.lab.size import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("small=0.5,512m", Size(name="small", cpus=0.5, memory="512m")),
        ("large=1,1g", Size(name="large", cpus=1, memory="1g")),
        (
            "c7i_large=2,4g,0.0893",
            Size(name="c7i_large", cpus=2, memory="4g", price_per_hour=0.0893),
        ),
        ("gift=2,4g,0", Size(name="gift", cpus=2, memory="4g", price_per_hour=0)),
    ],
)
def test_size_round_trips_through_text(text: str, size: Size) -> None:
    assert parse_size(text) == size
    assert str(size) == text


@pytest.mark.parametrize("number", ["0.3333333333333333", "1e-05", "12.25"])
def test_size_keeps_all_digits(number: str) -> None:
    """A label of the container stores the size, and the next `lab up` compares it."""
    size = parse_size(f"odd={number},512m,{number}")
    assert parse_size(str(size)) == size


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("small", "is not of the form NAME=CPUS,MEMORY[,PRICE], as in small=0.5,512m"),
        ("0.5,512m", "is not of the form"),
        ("small=0.5", "is not of the form"),
        ("small=0.5,512m,1,2", "is not of the form"),
        ("Small=0.5,512m", "'Small' is not a name of lower-case"),
        ("=0.5,512m", "'' is not a name of lower-case"),
        ("-x=0.5,512m", "'-x' is not a name of lower-case"),
        ("small=0,512m", "'0' is not a number of CPUs above 0"),
        ("small=-1,512m", "'-1' is not a number of CPUs above 0"),
        ("small=nan,512m", "'nan' is not a number of CPUs above 0"),
        ("small=inf,512m", "'inf' is not a number of CPUs above 0"),
        ("small=half,512m", "'half' is not a number of CPUs above 0"),
        ("small=0.5,512", "'512' is not an amount of memory, such as 512m or 1g"),
        ("small=0.5,0m", "'0m' is not an amount of memory"),
        ("small=0.5,1g\n", "is not an amount of memory"),
        ("small=0.5,512m,", "'' is not a price per hour"),
        ("small=0.5,512m,-1", "'-1' is not a price per hour"),
        ("small=0.5,512m,nan", "'nan' is not a price per hour"),
    ],
)
def test_invalid_size_is_an_error_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the test checks the message
        parse_size(text)
    assert str(caught.value).startswith(repr(text))
    assert reason in str(caught.value)
