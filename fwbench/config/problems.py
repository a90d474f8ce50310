"""The problems of a file: what is wrong at which key, without pydantic's terms."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from fwbench.config.yaml_lines import Document, KeyPath, quoted
from fwbench.errors import SuiteError
from fwbench.model.suite import InconsistentError

_NAME_RULE = "must be lower-case letters, digits, '-' and '_', begin with one of the first two"
_PATTERN_RULES = {
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


@dataclass(frozen=True)
class Problem:
    """What is wrong with a value, and the value's path in the file."""

    path: KeyPath
    text: str
    is_missing: bool = False
    contradicts: bool = False  # other values of the file


def error_of(document: Document, problems: Iterable[Problem]) -> SuiteError:
    """Return the error of a file with these problems, at least one.

    Its text is the first problem in the file and the number of the others. A misspelt key goes
    before the key that is missing.
    """
    found = sorted(dict.fromkeys(problems), key=lambda problem: document.line(problem.path))
    first = min(found, key=lambda problem: problem.is_missing)
    others = f" (and {len(found) - 1} more: see `fwbench validate`)" if len(found) > 1 else ""

    def located(problem: Problem) -> str:
        return document.located(problem.path, problem.text, contradicts=problem.contradicts)

    return SuiteError(f"{located(first)}{others}", list(map(located, found)))


def problems_of(details: ErrorDetails, model: type[BaseModel]) -> list[Problem]:
    """Return the problems in an error of pydantic: one, or several values that contradict."""
    # pydantic appends `[key]` when a mapping's key is wrong.
    path = tuple(part for part in details["loc"] if part != "[key]")
    error = details.get("ctx", {}).get("error")
    if isinstance(error, InconsistentError):
        return [Problem((*path, *inner), why, contradicts=True) for inner, why in error.problems]
    return [Problem(path, _text(details, model), details["type"] == "missing")]


def _text(details: ErrorDetails, model: type[BaseModel]) -> str:
    """Return what is wrong, without pydantic's terms."""
    kind, limits = details["type"], details.get("ctx", {})
    key = str(details["loc"][-1]) if details["loc"] else ""
    match kind:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return f"unknown key{suggestion(key, _keys_at(model, details['loc'][:-1]))}"
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


def suggestion(word: str, known: Collection[str]) -> str:
    """Return `; did you mean …?`, or the known words if none of them is similar."""
    import difflib  # only for errors: commands that find none start faster

    if matches := difflib.get_close_matches(word, known, n=1):
        return f"; did you mean {matches[0]!r}?"
    return f"; known: {', '.join(sorted(known))}"
