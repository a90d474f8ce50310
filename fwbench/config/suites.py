"""Read suites and contenders from YAML files; an error names file, line and key."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fwbench.config.overrides import override
from fwbench.config.problems import Problem, error_of, problems_of, suggestion
from fwbench.config.suite_file import SuiteFile, suite_of
from fwbench.config.units import without_units
from fwbench.config.yaml_lines import Document, KeyPath, read
from fwbench.errors import SuiteError
from fwbench.loadgen.generator import UnsuitableLoadError
from fwbench.loadgen.registry import generator_of
from fwbench.model.contender import Contender
from fwbench.model.load import Load
from fwbench.model.suite import MAX_ENTRIES, Suite

_Model = TypeVar("_Model", bound=BaseModel)

CONTENDER_FILE = "contender.yml"
SWEEP_KEYS = ("connections", "rate")
MAX_SWEEP = 1000
_NO_MAPPING = Problem((), "must be a mapping of keys to values")


def load_contenders(folder: Path) -> dict[str, Contender]:
    """Return the contenders of `<folder>/<name>/contender.yml` by name, sorted.

    Raise `SuiteError` if there is none, or a file is wrong.
    """
    try:
        files = sorted(folder.glob(f"*/{CONTENDER_FILE}"))
    except (OSError, ValueError) as error:
        raise SuiteError(f"{folder}: cannot be read: {error}") from error
    if not files:
        raise SuiteError(f"{folder}: has no contender; add a file NAME/{CONTENDER_FILE}")
    contenders, errors = {}, []
    for file in files:
        try:
            contenders[file.parent.name] = load_contender(file)
        except SuiteError as error:
            errors.append(error)
    if errors:
        raise SuiteError(
            str(errors[0]), [problem for error in errors for problem in error.problems]
        )
    return contenders


def load_suite(
    path: Path, contenders: Mapping[str, Contender], overrides: Sequence[str] = ()
) -> Suite:
    """Return the suite in the file at `path`, with overrides such as `blocks=3`.

    Raise `SuiteError` if the file is wrong, a contender does not exist, or lacks an endpoint.
    """
    return parse_suite(override(read(path), overrides), contenders)


def parse_suite(document: Document, contenders: Mapping[str, Contender] | None) -> Suite:
    """Return the suite in a document; without `contenders`, those that it names are not checked.

    A load whose `connections` or `rate` is a list is a sweep: it stands for one load per value.
    Raise `SuiteError` with all problems.
    """
    if not isinstance(document.value, dict):
        raise error_of(document, [_NO_MAPPING])
    plain, unit_problems = without_units(document.value)
    value, entries = _expand_sweeps(document, plain)

    def path_in_file(path: KeyPath) -> KeyPath:
        """Return the path in the file for a path in the expanded suite."""
        if len(path) < 2 or path[0] != "loads" or not isinstance(path[1], int):
            return path
        return ("loads", entries[path[1]], *path[2:])

    file, problems = _validate(SuiteFile, value, path_in_file)
    problems = _merged(unit_problems, problems)
    problems = _merged(problems, list(_generator_problems(value, path_in_file)))
    if contenders is not None:
        problems = _merged(problems, list(_contender_problems(value, contenders)))
    if problems or file is None:
        raise error_of(document, problems)
    return suite_of(file)


def _generator_problems(
    value: Mapping[str, Any], path_in_file: Callable[[KeyPath], KeyPath]
) -> Iterator[Problem]:
    """Yield a problem for each sound load that its load generator cannot offer."""
    loads = value.get("loads")
    for index, load in enumerate(loads if isinstance(loads, list) else ()):
        parsed = _validate(Load, load)[0] if isinstance(load, dict) else None
        if parsed is None:
            continue
        try:
            generator_of(parsed).check_load(parsed)
        except UnsuitableLoadError as error:
            yield Problem(path_in_file(("loads", index, error.key)), error.reason)


def load_contender(file: Path) -> Contender:
    """Return the contender in a file. Raise `SuiteError` with all problems."""
    return parse_contender(read(file), file.absolute().parent.name)


def parse_contender(document: Document, name: str) -> Contender:
    """Return the contender in a document. Raise `SuiteError` with all problems."""
    if not isinstance(document.value, dict):
        raise error_of(document, [_NO_MAPPING])
    contender, problems = _validate(Contender, {**document.value, "name": name})
    if "name" in document.value:
        text = "remove this key: a contender has the name of its folder"
        problems = _merged([Problem(("name",), text)], problems)
    if problems or contender is None:
        raise error_of(document, problems)
    return contender


def _contender_problems(
    value: Mapping[str, Any], contenders: Mapping[str, Contender]
) -> Iterator[Problem]:
    """Yield a problem for each contender that does not exist, and each endpoint that one lacks."""
    names = _words(value.get("contenders"))
    for index, name in names.items():
        if name not in contenders:
            text = f"no contender is called {name!r}{suggestion(name, contenders)}"
            yield Problem(("contenders", index), text)
    known = [contenders[name] for name in dict.fromkeys(names.values()) if name in contenders]
    endpoints = value.get("endpoints", Suite.model_fields["endpoints"].default)
    for (index, endpoint), contender in product(_words(endpoints).items(), known):
        if endpoint not in contender.endpoints:
            hint = suggestion(endpoint, contender.endpoints)
            text = f"contender {contender.name!r} has no endpoint {endpoint!r}{hint}"
            yield Problem(("endpoints", index), text)


def _words(value: object) -> dict[int, str]:
    """Return the texts of a list by their index; none if it is no list, or too long for a suite."""
    if not isinstance(value, list | tuple) or len(value) > MAX_ENTRIES:
        return {}
    return {index: word for index, word in enumerate(value) if isinstance(word, str)}


def _expand_sweeps(document: Document, value: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
    """Return the suite with every sweep expanded, and each load's index in the file."""
    loads = value.get("loads")
    if not isinstance(loads, list):
        return value, []
    expanded: list[Any] = []
    entries: list[int] = []
    for entry, load in enumerate(loads):
        keys = [key for key in SWEEP_KEYS if isinstance(load, dict) and _is_sweep(load.get(key))]
        if (number := prod(len(load[key]) for key in keys)) > MAX_SWEEP:
            text = f"stands for {number} loads; a sweep may have {MAX_SWEEP}"
            raise error_of(document, [Problem(("loads", entry), text)])
        for values in product(*(load[key] for key in keys)):
            expanded.append({**load, **dict(zip(keys, values, strict=True))} if keys else load)
            entries.append(entry)
    return {**value, "loads": expanded}, entries


def _is_sweep(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0


def _validate(
    model: type[_Model],
    value: dict[str, Any],
    path_in_file: Callable[[KeyPath], KeyPath] = lambda path: path,
) -> tuple[_Model | None, list[Problem]]:
    """Return the model of `value`, or None and the problems.

    `path_in_file` returns the document's path for a path in `value`.
    """
    try:
        # In JSON mode, pydantic accepts lists as tuples and is strict about everything else:
        # "40" and true are not numbers.
        return model.model_validate_json(json.dumps(value), strict=True), []
    except ValidationError as error:
        problems = [
            replace(problem, path=path_in_file(problem.path))
            for details in error.errors(include_url=False)
            if details["type"] != "default_factory_not_called"  # follows from another error
            for problem in problems_of(details, model)
        ]
        # pydantic reports a list with wrong entries as too short, too: keep the innermost errors.
        parents = {problem.path[:n] for problem in problems for n in range(len(problem.path))}
        return None, [problem for problem in problems if problem.path not in parents]


def _merged(first: list[Problem], second: list[Problem]) -> list[Problem]:
    """Return all problems but those of `second` about a value that has one in `first`."""
    paths = {problem.path for problem in first}
    return [*first, *(problem for problem in second if problem.path not in paths)]
