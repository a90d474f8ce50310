"""Suites and contenders from their YAML files; an error names file, line and key."""

import difflib
import json
from collections.abc import Callable, Collection, Mapping
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fwbench.config.yaml_lines import Document, KeyPath, quoted, read
from fwbench.errors import SuiteError
from fwbench.model.contender import Contender
from fwbench.model.suite import Suite

_Model = TypeVar("_Model", bound=BaseModel)

_SWEEP_KEYS = ("connections", "rate")
_MAX_SWEEP = 1000
_NAME_RULE = "must be lower-case letters, digits, '-' and '_', begin with one of the first two"
_PATTERN_RULES = {
    "memory": "must be a whole number and one of the units b, k, m, g, such as 512m",
    "path": "must begin with / and have neither spaces nor characters outside ASCII",
}
_TYPE_RULES = {
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of keys to values",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "model_type": "must be a mapping of keys to values",
    "string_type": "must be text; put it in quotes if it is meant to be",
    "tuple_type": "must be a list",
}


def load_contenders(folder: Path) -> dict[str, Contender]:
    """Every contender of `<folder>/<name>/contender.yml`, by name and in the order of names."""
    try:
        files = sorted(folder.glob("*/contender.yml"))
    except (OSError, ValueError) as error:
        raise SuiteError(f"{folder}: cannot be read: {error}") from error
    if not files:
        raise SuiteError(f"{folder}: has no contender: no file of it is */contender.yml")
    return {file.parent.name: _load_contender(file) for file in files}


def load_suite(path: Path, contenders: Mapping[str, Contender]) -> Suite:
    """The suite in the file at `path`, of contenders that exist and have all its endpoints.

    A load whose `connections` or `rate` is a list is a sweep: it stands for a load with each.
    """
    document = read(path)
    value, entries = _expand_sweeps(document)

    def in_file(path: KeyPath) -> KeyPath:
        """Where in the file a load comes from, whose place among all loads `path` gives."""
        if len(path) < 2 or path[0] != "loads" or not isinstance(path[1], int):
            return path
        return ("loads", entries[path[1]], *path[2:])

    suite = _validate(document, Suite, value, in_file)
    for index, name in enumerate(suite.contenders):
        if name not in contenders:
            problem = f"no contender is called {name!r}{_suggestion(name, contenders)}"
            raise document.error(("contenders", index), problem)
    for index, endpoint in enumerate(suite.endpoints):
        for name in suite.contenders:
            known = contenders[name].endpoints
            if endpoint not in known:
                problem = f"contender {name!r} has no endpoint {endpoint!r}"
                raise document.error(("endpoints", index), problem + _suggestion(endpoint, known))
    return suite


def _load_contender(file: Path) -> Contender:
    document = read(file)
    if isinstance(document.value, dict) and "name" in document.value:
        raise document.error(("name",), "leave this out: a contender is called as its folder is")
    if not isinstance(document.value, dict):
        raise document.error((), "must be a mapping of keys to values")
    return _validate(document, Contender, {**document.value, "name": file.parent.name})


def _expand_sweeps(document: Document) -> tuple[Any, list[int]]:
    """The suite with every sweep written out, and from which entry of the file each load comes."""
    value: Any = document.value
    loads = value.get("loads") if isinstance(value, dict) else None
    if not isinstance(loads, list):
        return value, []
    written_out: list[Any] = []
    entries: list[int] = []
    for entry, load in enumerate(loads):
        swept = [key for key in _SWEEP_KEYS if isinstance(load, dict) and _is_sweep(load.get(key))]
        if (number := prod(len(load[key]) for key in swept)) > _MAX_SWEEP:
            problem = f"stands for {number} loads; a sweep may have {_MAX_SWEEP}"
            raise document.error(("loads", entry), problem)
        for values in product(*(load[key] for key in swept)):
            written_out.append({**load, **dict(zip(swept, values, strict=True))} if swept else load)
            entries.append(entry)
    return {**value, "loads": written_out}, entries


def _is_sweep(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0


def _validate(
    document: Document,
    model: type[_Model],
    value: Any,
    in_file: Callable[[KeyPath], KeyPath] = lambda path: path,
) -> _Model:
    """The model that `value`, made of the document, describes; `in_file` leads errors back."""
    if not isinstance(value, dict):
        raise document.error((), "must be a mapping of keys to values")
    try:
        # JSON, because pydantic then takes lists for tuples and is strict about everything else:
        # "40" and true are no numbers.
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        details: list[ErrorDetails] = [
            {**each, "loc": in_file(each["loc"])}
            for each in error.errors(include_url=False)
            if each["type"] != "default_factory_not_called"  # follows from another error
        ]
        raise _first_error(document, model, details) from None


def _first_error(
    document: Document, model: type[BaseModel], errors: list[ErrorDetails]
) -> SuiteError:
    """The first error in the file, but a misspelt key rather than that the right one is missing."""
    # To pydantic, a list whose entries are wrong is also too short.
    around = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    own = [error for error in errors if error["loc"] not in around]
    first = min(own, key=lambda error: (error["type"] == "missing", document.line(_path(error))))
    others = f" (and {len(own) - 1} more)" if len(own) > 1 else ""
    return document.error(_path(first), _problem(first, model) + others)


def _path(details: ErrorDetails) -> KeyPath:
    """Where the error is; pydantic marks a bad key of a mapping with a last part of its own."""
    return tuple(part for part in details["loc"] if part != "[key]")


def _problem(details: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong, in a user's words."""
    kind, limits = details["type"], details.get("ctx", {})
    key = str(details["loc"][-1]) if details["loc"] else ""
    match kind:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return f"unknown key{_suggestion(key, _keys_at(model, details['loc'][:-1]))}"
        case "string_pattern_mismatch":
            return f"{_PATTERN_RULES.get(key, _NAME_RULE)}, not {quoted(details['input'])}"
        case "greater_than_equal":
            return f"must be at least {limits['ge']}, not {quoted(details['input'])}"
        case "greater_than":
            return f"must be more than {limits['gt']}, not {quoted(details['input'])}"
        case "less_than_equal":
            return f"must be at most {limits['le']}, not {quoted(details['input'])}"
        case "enum":
            return f"must be {limits['expected']}, not {quoted(details['input'])}"
        case "too_short":
            return "must not be empty"
        case "too_long":
            return f"must have at most {limits['max_length']} entries"
        case "value_error":
            return str(limits["error"])
    if kind in _TYPE_RULES:
        return f"{_TYPE_RULES[kind]}, not {_describe_value(details['input'])}"
    return details["msg"]


def _describe_value(value: object) -> str:
    """The value as its writer knows it: Python's None, lists and dicts were never typed."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else quoted(value)


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> Collection[str]:
    """The keys that are known where `path` leads."""
    for part in path:
        if part in model.model_fields:
            model = _nested_model(model.model_fields[str(part)].annotation) or model
    return model.model_fields


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_nested_model(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)


def _suggestion(word: str, known: Collection[str]) -> str:
    if near := difflib.get_close_matches(word, known, n=1):
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(sorted(known))}"
