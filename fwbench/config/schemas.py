"""JSON schemas of suites and contender files, for editors: the models plus what the loader accepts.

They are stored in `schemas/`, which wheels contain; a test keeps them current.
"""

from collections.abc import Iterator
from typing import Any

from fwbench.config.suite_file import SuiteFile
from fwbench.config.suites import MAX_SWEEP, SWEEP_KEYS
from fwbench.config.units import DURATION_PATTERN, MEMORY_PATTERN, is_duration, is_memory
from fwbench.loadgen.registry import LOADGENS
from fwbench.model.contender import Contender

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def suite_schema() -> dict[str, Any]:
    """Return the schema of a suite's file."""
    schema = _schema(SuiteFile.model_json_schema(), "fwbench suite")
    load = schema["$defs"]["Load"]["properties"]
    load["generator"]["enum"] = list(LOADGENS)
    for key in SWEEP_KEYS:
        one = {name: value for name, value in load[key].items() if name != "default"}
        many = {"type": "array", "minItems": 1, "maxItems": MAX_SWEEP, "items": one}
        load[key] = _either(load[key], many)
    for properties in _properties(schema):
        for key, value in properties.items():
            if is_duration(key):
                properties[key] = _either(value, {"type": "string", "pattern": DURATION_PATTERN})
            elif is_memory(key):
                bytes_number = {"type": "integer", "minimum": 1}
                text = {"type": "string", "pattern": MEMORY_PATTERN}
                properties[key] = _either(text, bytes_number, {"type": "null"})
    return schema


def contender_schema() -> dict[str, Any]:
    """Return the schema of a `contender.yml`, whose name is that of its folder."""
    schema = _schema(Contender.model_json_schema(), "fwbench contender")
    del schema["properties"]["name"]
    schema["required"].remove("name")
    return schema


def _schema(schema: dict[str, Any], title: str) -> dict[str, Any]:
    """Return pydantic's schema without the titles that it makes of names."""
    for properties in _properties(schema):
        for value in properties.values():
            value.pop("title", None)
    return {"$schema": _DIALECT, **schema, "title": title}


def _properties(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the properties of a schema and of its definitions, which hold no other objects."""
    for each in (schema, *schema.get("$defs", {}).values()):
        yield each.get("properties", {})


def _either(first: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """Return a schema for values of any of these, with the first's default and description."""
    about: dict[str, Any] = {key: first[key] for key in ("default", "description") if key in first}
    kind = {key: value for key, value in first.items() if key not in about}
    return {"anyOf": [*kind.get("anyOf", [kind]), *others], **about}
