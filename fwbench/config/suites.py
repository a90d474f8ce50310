"""Read suites and contenders from YAML files; an error names file, line and key."""

import difflib
import json
from collections.abc import Callable, Collection, Mapping
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fwbench.config.suite_file import SuiteFile, suite_of
from fwbench.config.yaml_lines import Document, KeyPath, quoted, read
from fwbench.errors import SuiteError
from fwbench.loadgen.generator import UnsuitableLoadError
from fwbench.loadgen.registry import generator_of
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
    """Return the contenders of `<folder>/<name>/contender.yml` by name, sorted.

    Raise `SuiteError` if there is none, or a file is wrong.
    """
    try:
        files = sorted(folder.glob("*/contender.yml"))
    except (OSError, ValueError) as error:
        raise SuiteError(f"{folder}: cannot be read: {error}") from error
    if not files:
        raise SuiteError(f"{folder}: has no contender; add a file NAME/contender.yml")
    return {file.parent.name: _load_contender(file) for file in files}


def load_suite(path: Path, contenders: Mapping[str, Contender]) -> Suite:
    """Return the suite in the file at `path`.

    A load whose `connections` or `rate` is a list is a sweep: it stands for one load per value.
    Raise `SuiteError` if the file is wrong, a contender does not exist, or lacks an endpoint.
    """
    document = read(path)
    value, entries = _expand_sweeps(document)

    def path_in_file(path: KeyPath) -> KeyPath:
        """Return the path in the file for a path in the expanded suite."""
        if len(path) < 2 or path[0] != "loads" or not isinstance(path[1], int):
            return path
        return ("loads", entries[path[1]], *path[2:])

    suite = suite_of(_validate(document, SuiteFile, value, path_in_file))
    for index, load in enumerate(suite.loads):
        try:
            generator_of(load).check_load(load)
        except UnsuitableLoadError as error:
            raise document.error(path_in_file(("loads", index, error.key)), error.reason) from error
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
        raise document.error(("name",), "remove this key: a contender has the name of its folder")
    if not isinstance(document.value, dict):
        raise document.error((), "must be a mapping of keys to values")
    return _validate(document, Contender, {**document.value, "name": file.parent.name})


def _expand_sweeps(document: Document) -> tuple[Any, list[int]]:
    """Return the suite with every sweep expanded, and each load's index in the file."""
    value: Any = document.value
    loads = value.get("loads") if isinstance(value, dict) else None
    if not isinstance(loads, list):
        return value, []
    expanded: list[Any] = []
    entries: list[int] = []
    for entry, load in enumerate(loads):
        keys = [key for key in _SWEEP_KEYS if isinstance(load, dict) and _is_sweep(load.get(key))]
        if (number := prod(len(load[key]) for key in keys)) > _MAX_SWEEP:
            problem = f"stands for {number} loads; a sweep may have {_MAX_SWEEP}"
            raise document.error(("loads", entry), problem)
        for values in product(*(load[key] for key in keys)):
            expanded.append({**load, **dict(zip(keys, values, strict=True))} if keys else load)
            entries.append(entry)
    return {**value, "loads": expanded}, entries


def _is_sweep(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0


def _validate(
    document: Document,
    model: type[_Model],
    value: Any,
    path_in_file: Callable[[KeyPath], KeyPath] = lambda path: path,
) -> _Model:
    """Return the model of `value`, which was made from the document.

    `path_in_file` returns the document's path for a path in `value`, for errors.
    """
    if not isinstance(value, dict):
        raise document.error((), "must be a mapping of keys to values")
    try:
        # In JSON mode, pydantic accepts lists as tuples and is strict about everything else:
        # "40" and true are not numbers.
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        details: list[ErrorDetails] = [
            {**detail, "loc": path_in_file(detail["loc"])}
            for detail in error.errors(include_url=False)
            if detail["type"] != "default_factory_not_called"  # follows from another error
        ]
        raise _first_error(document, model, details) from None


def _first_error(
    document: Document, model: type[BaseModel], errors: list[ErrorDetails]
) -> SuiteError:
    """Return the first error in the file; a misspelt key goes before the key that is missing."""
    # pydantic reports a list with wrong entries as too short, too: keep the innermost errors.
    parents = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    innermost = [error for error in errors if error["loc"] not in parents]
    first = min(
        innermost, key=lambda error: (error["type"] == "missing", document.line(_path(error)))
    )
    others = f" (and {len(innermost) - 1} more)" if len(innermost) > 1 else ""
    return document.error(_path(first), _problem(first, model) + others)


def _path(details: ErrorDetails) -> KeyPath:
    """Return the error's path; pydantic appends `[key]` when a mapping's key is wrong."""
    return tuple(part for part in details["loc"] if part != "[key]")


def _problem(details: ErrorDetails, model: type[BaseModel]) -> str:
    """Return what is wrong, without pydantic's terms."""
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
    """Return the value in YAML's terms, since the user wrote no None, list or dict."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else quoted(value)


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> Collection[str]:
    """Return the keys that the model allows at `path`."""
    for part in path:
        if part in model.model_fields:
            model = _nested_model(model.model_fields[str(part)].annotation) or model
    return model.model_fields


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    models = (_nested_model(argument) for argument in get_args(annotation))
    return next((model for model in models if model is not None), None)


def _suggestion(word: str, known: Collection[str]) -> str:
    if matches := difflib.get_close_matches(word, known, n=1):
        return f"; did you mean {matches[0]!r}?"
    return f"; known: {', '.join(sorted(known))}"
