import re
from typing import Any

import pytest
from pydantic import ValidationError

from fwbench.model.load import Load


@pytest.mark.parametrize(
    ("load", "label"),
    [
        (Load(connections=40, requests=1000), "40 connections, 1000 requests"),
        (Load(connections=1, requests=1), "1 connection, 1 request"),
        (Load(connections=40, duration_s=8), "40 connections, 8 s"),
        (
            Load(connections=40, warm_up_s=2, duration_s=8),
            "40 connections, 8 s after 2 s of warm-up",
        ),
        (
            Load(connections=40, threads=2, requests=1000),
            "40 connections, 2 threads, 1000 requests",
        ),
    ],
)
def test_label_contains_all_parameters(load: Load, label: str) -> None:
    assert load.label == label


def test_nominal_duration_includes_the_warm_up() -> None:
    assert Load(connections=1, duration_s=8).nominal_duration_s == 8
    assert Load(connections=1, warm_up_s=2, duration_s=8).nominal_duration_s == 10


def test_number_of_requests_has_no_nominal_duration() -> None:
    assert Load(connections=1, requests=10).nominal_duration_s is None


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"connections": 4}, "set either requests or duration_s"),
        (
            {"connections": 4, "requests": 8, "duration_s": 1},
            "set either requests or duration_s",
        ),
        ({"connections": 4, "requests": 3}, "3 requests cannot occupy 4 connections"),
        ({"connections": 2, "requests": 1}, "1 request cannot occupy 2 connections"),
        ({"connections": 1, "threads": 2, "requests": 9}, "2 threads cannot share 1 connection"),
        (
            {"connections": 4, "requests": 8, "warm_up_s": 1},
            "warm_up_s needs duration_s: a load of a number of requests has no warm-up",
        ),
    ],
)
def test_load_that_h2load_would_refuse_or_misread_is_refused(
    keys: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        Load(**keys)


@pytest.mark.parametrize(
    "keys",
    [
        {"connections": 0, "requests": 1},
        {"connections": 1, "requests": 0},
        {"connections": 1, "duration_s": 0},
        {"connections": 1, "duration_s": 0.5},
        {"connections": 1, "duration_s": 1, "warm_up_s": -1},
        {"connections": 1, "threads": 0, "requests": 1},
        {"connections": 1, "requests": 1, "clients": 1},
    ],
)
def test_invalid_numbers_and_unknown_keys_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Load(**keys)


def test_one_request_per_connection_is_enough() -> None:
    assert Load(connections=40, threads=40, requests=40).requests == 40
