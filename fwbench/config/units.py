"""Durations and amounts of memory with units, as people write them: `1m30s`, `512m`."""

import re
from fractions import Fraction
from typing import Any

from fwbench.config.problems import Problem
from fwbench.config.yaml_lines import KeyPath, quoted

# The patterns are also those of the JSON schemas, so they have the syntax of both languages.
_NUMBER = r"[0-9]{1,9}(\.[0-9]{1,9})?"
DURATION_PATTERN = (
    rf"^(?=[0-9])({_NUMBER}h)?({_NUMBER}m)?({_NUMBER}s)?({_NUMBER}ms)?$"  # 1h, 1m30s, 500ms
)
MEMORY_PATTERN = (  # 512m, 1.5g
    r"^(?=.*[1-9])([0-9]{1,15}|[0-9]{1,5}\.[0-9]{1,9}(?= ?[kKmMgG])) ?"
    r"([kKmMgG]([iI]?[bB])?|[bB])?$"
)

_DURATION_PARTS = re.compile(r"([0-9.]+)(ms|[hms])")
_MS_PER_UNIT = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
# How many milliseconds a plain number means, by the end of its key.
_MS_PER_SUFFIX = {"_s": 1000, "_ms": 1}
_BYTES_PER_UNIT = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_UNIT_NAMES = {"_s": "seconds", "_ms": "milliseconds"}


def without_units(value: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return a suite's values with plain numbers for durations, and the memory as Docker takes it.

    A key that ends in `_s` or `_ms` is a duration; `memory` is an amount of memory. Values that
    have none of the accepted forms are unchanged, and have a problem.
    """
    problems: list[Problem] = []
    return _plain(value, (), problems), problems


def duration_ms(text: str) -> Fraction:
    """Return the milliseconds of a duration such as `1m30s`. Raise `ValueError` for other text."""
    if not re.fullmatch(DURATION_PATTERN, text, re.ASCII):
        raise ValueError(f"not a duration: {quoted(text)}")
    parts = _DURATION_PARTS.findall(text)
    return sum((Fraction(number) * _MS_PER_UNIT[unit] for number, unit in parts), Fraction())


def docker_memory(value: float | str) -> str:
    """Return an amount of memory as a whole number and one of the units b, k, m, g.

    Like Docker, accept a number of bytes, and texts such as `512m`, `512MB`, `512MiB` and `1.5g`;
    units are powers of 1024. Raise `ValueError` for anything else.
    """
    found = re.fullmatch(MEMORY_PATTERN, str(value), re.ASCII)
    if found is None:
        raise ValueError(f"not an amount of memory: {quoted(value)}")
    unit = (found[2] or "b")[0].lower()
    if found[1].isdigit():
        return f"{int(found[1])}{unit}"
    size = int(Fraction(found[1]) * _BYTES_PER_UNIT[unit])
    if size == 0:
        raise ValueError(f"less than a byte: {quoted(value)}")
    exact = next(name for name in "gmkb" if size % _BYTES_PER_UNIT[name] == 0)
    return f"{size // _BYTES_PER_UNIT[exact]}{exact}"


def is_duration(key: str) -> bool:
    """Return whether the values of a key are durations."""
    return key.endswith(tuple(_MS_PER_SUFFIX))


def is_memory(key: str) -> bool:
    """Return whether the values of a key are amounts of memory."""
    return key == "memory"


def _plain(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each, (*path, key), problems) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, (*path, index), problems) for index, each in enumerate(value)]
    key = str(path[-1])
    try:
        if is_duration(key) and isinstance(value, str):
            return _number(duration_ms(value) / _MS_PER_SUFFIX[_suffix(key)])
        if is_memory(key) and isinstance(value, int | float | str):
            return docker_memory(value)
    except ValueError:
        problems.append(Problem(path, _rule(key) + f", not {quoted(value)}"))
    return value


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)


def _suffix(key: str) -> str:
    return "_ms" if key.endswith("_ms") else "_s"


def _rule(key: str) -> str:
    if is_memory(key):
        return "must be an amount of memory such as 512m, 1g or 1.5g"
    return f"must be a number of {_UNIT_NAMES[_suffix(key)]}, or a duration such as 10s or 1m30s"
