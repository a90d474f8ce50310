import re
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.config.units import docker_memory, duration_ms

MS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
BYTES = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("10s", 10_000),
        ("1m30s", 90_000),
        ("1h", 3_600_000),
        ("1h5ms", 3_600_005),
        ("500ms", 500),
        ("0.1s", 100),
        ("0s", 0),
    ],
)
def test_duration_is_the_sum_of_its_parts(text: str, ms: int) -> None:
    assert duration_ms(text) == ms


@given(
    parts=st.dictionaries(
        st.sampled_from(list(MS)),
        st.decimals(0, 10**9 - 1, places=3, allow_nan=False) | st.integers(0, 10**9 - 1),
        min_size=1,
    )
)
def test_any_descending_parts_give_an_exact_duration(parts: dict[str, object]) -> None:
    text = "".join(f"{parts[unit]}{unit}" for unit in MS if unit in parts)
    assert duration_ms(text) == sum(Fraction(str(parts[unit])) * MS[unit] for unit in parts)


@pytest.mark.parametrize(
    "text",
    [
        *["", "10", "s", "10 s", "-1s", "+1s", "1s1m", "1s1s", "1e3s", ".5s", "1.s", "1S", "1d"],
        *["10s\n", "٣s", f"{'9' * 5000}s", "1m30"],
    ],
)
def test_other_text_is_rejected_as_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration_ms(text)


@pytest.mark.parametrize(
    ("value", "memory"),
    [
        ("512m", "512m"),
        ("512M", "512m"),
        ("512MB", "512m"),
        ("512MiB", "512m"),
        ("1 g", "1g"),
        ("1.5g", "1536m"),
        ("0.5k", "512b"),
        (536_870_912, "536870912b"),
        ("536870912", "536870912b"),
    ],
)
def test_memory_accepts_docker_notation(value: int | str, memory: str) -> None:
    assert docker_memory(value) == memory


@given(
    number=st.integers(1, 10**9) | st.decimals("0.001", "99999.999", places=3),
    unit=st.sampled_from(["", "b", "k", "K", "m", "MB", "MiB", "g", "GiB"]),
)
def test_any_memory_is_converted_to_exact_bytes(number: object, unit: str) -> None:
    size = int(Fraction(str(number)) * BYTES[unit[:1].lower()])
    fractional_bytes = "." in str(number) and unit in ("", "b")
    if size == 0 or fractional_bytes:
        with pytest.raises(ValueError, match=r"less than a byte|not an amount"):
            docker_memory(f"{number}{unit}")
        return
    memory = docker_memory(f"{number}{unit}")
    assert re.fullmatch("[1-9][0-9]{0,14}[bkmg]", memory)
    assert int(memory[:-1]) * BYTES[memory[-1]] == size


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    for parse in (duration_ms, docker_memory):
        with suppress(ValueError):
            parse(text)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "0",
        "0m",
        0,
        -1,
        "-1m",
        "1t",
        "1mm",
        "m",
        "1e9",
        "1.5.5m",
        "1.5",
        "1.5b",
        "100000.5g",
        1.5,
        True,
    ],
)
def test_other_values_are_rejected_as_memory(value: int | str) -> None:
    with pytest.raises(ValueError, match="not an amount of memory"):
        docker_memory(value)
