"""Values that replace those of a suite's file: `loads.0.connections=64`, as options give them."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fwbench.config.yaml_lines import Document, KeyPath, Value, dotted, parse, quoted
from fwbench.errors import SuiteError

# With another preset, a suite has that preset's number of blocks and executes all of them.
_REPLACED_WITH_PRESET = ("blocks", "stop")


def override(document: Document, overrides: Sequence[str]) -> Document:
    """Return the document with these values, each `KEY=VALUE`, the value in YAML.

    A key is a path such as `loads.0.connections` or `loads[0].connections`. `preset` goes first and
    removes the file's `blocks` and `stop`. Raise `SuiteError` if a key is not in the file and
    cannot be added.
    """
    value: Any = document.value
    words: dict[KeyPath, str] = {}
    for text in sorted(overrides, key=lambda text: not text.startswith("preset=")):
        key, equals, written = text.partition("=")
        path = _path(key)
        if not equals or not path:
            raise SuiteError(f"{quoted(text)}: write an override as KEY=VALUE, such as blocks=3")
        if path == ("preset",) and isinstance(value, dict):
            value = {key: each for key, each in value.items() if key not in _REPLACED_WITH_PRESET}
        # The source is what stands before the line in an error.
        new = parse(written.encode(errors="surrogateescape"), f"command line: {key}").value
        value = _with(value, path, new, text, ())
        words[path] = text
    return replace(document, value=value, overrides=words)


def contenders_override(document: Document, names: Sequence[str]) -> str:
    """Return the override that keeps only these contenders of a suite, and its baseline.

    Raise `SuiteError` if the suite does not have one of them.
    """
    value = document.value if isinstance(document.value, dict) else {}
    all_names, baseline = value.get("contenders"), value.get("baseline")
    listed = all_names if isinstance(all_names, list) else []
    for name in names:
        if name not in listed:
            raise SuiteError(
                f"command line: --contender {quoted(name)}: the suite has the contenders"
                f" {', '.join(map(str, listed))}; replace them with --set 'contenders=[…]'"
            )
    kept = [name for name in listed if name in names or name == baseline]
    return f"contenders={json.dumps(kept)}"


def _path(key: str) -> KeyPath:
    parts = re.sub(r"\[(\d+)\]", r".\1", key).split(".")
    return tuple(int(part) if re.fullmatch("[0-9]{1,9}", part) else part for part in parts if part)


def _with(value: Value, path: KeyPath, new: Value, text: str, done: KeyPath) -> Value:
    """Return a copy of `value` in which `path` is `new`; mappings on the way are made."""
    if not path:
        return new
    part, rest = path[0], path[1:]
    if isinstance(part, int):
        if not isinstance(value, list) or part >= len(value):
            problem = f"ends before entry {part}" if isinstance(value, list) else "is not a list"
            raise SuiteError(f"command line: {quoted(text)}: {dotted(done)} {problem} in the file")
        changed = [*value]
        changed[part] = _with(value[part], rest, new, text, (*done, part))
        return changed
    if value is not None and not isinstance(value, dict):
        raise SuiteError(
            f"command line: {quoted(text)}: {dotted(done)} is not a mapping in the file"
        )
    inner = value or {}
    return {**inner, part: _with(inner.get(part), rest, new, text, (*done, part))}
