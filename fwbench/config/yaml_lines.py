"""Parse YAML into plain values, with the line of each.

Only what hand-written configuration needs is supported: mappings, lists and scalars of YAML 1.2's
core schema, so that `no` is text and `010` is ten. Tags, anchors, aliases and second documents are
errors. So are files that are too large or too deep. Hostile files therefore cannot make the parser
expand aliases, construct objects or recurse.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from fwbench.errors import SuiteError

KeyPath = tuple[str | int, ...]
Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

MAX_BYTES = 2**20
_MAX_DEPTH = 20
_MAX_DIGITS = 18

_CONSTANTS: Mapping[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PLAIN_KEY = re.compile(r"[\w-]{1,40}")


@dataclass(frozen=True)
class Document:
    """The value of a whole file, and the line of each key and list entry.

    `overrides` has the paths whose values were set on the command line instead, each with the words
    that were typed there.
    """

    source: str
    value: Value
    lines: Mapping[KeyPath, int]
    overrides: Mapping[KeyPath, str] = field(default_factory=dict)

    def located(self, path: KeyPath, problem: str, *, contradicts: bool = False) -> str:
        """Return `file:line: key: problem`; the line is that of `line(path)`.

        A value that was set on the command line has no line: its words stand there instead. What
        was set within the value stands beside its line and, if the value `contradicts` others, all
        that was set.
        """
        for depth in range(len(path), 0, -1):
            if path[:depth] in self.overrides:
                return f"command line: {self.overrides[path[:depth]]}: {dotted(path)}: {problem}"
        where = _location(self.source, self.line(path), dotted(path))
        set_here = [
            words
            for key, words in self.overrides.items()
            if contradicts or key[: len(path)] == path
        ]
        if set_here:
            where += f", with {' '.join(set_here)}"
        return f"{where}: {problem}"

    def line(self, path: KeyPath) -> int:
        """Return the line of `path` or, if the file lacks it, of its innermost parent."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


def read(path: Path) -> Document:
    """Return the document in a file. Raise `SuiteError` if it cannot be read or parsed."""
    source = str(path)
    try:
        if not path.is_file():
            raise SuiteError(f"{source}: {'not a file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SuiteError(f"{source}: cannot be read: {reason}") from error
    return parse(content, source)


def parse(content: bytes, source: str) -> Document:
    """Return the document in `content`; errors name it `source`."""
    if len(content) > MAX_BYTES:
        raise SuiteError(f"{source}: is larger than 1 MiB; a suite or contender file is smaller")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SuiteError(f"{source}:{line}: is not UTF-8 text") from error
    try:
        return _Reader(source, text).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SuiteError(f"{source}:{line}: has a character that YAML does not allow") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = source if mark is None else f"{source}:{mark.line + 1}"
        raise SuiteError(f"{where}: is not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML does not check escapes like "\UFFFFFFFF" and "%YAML" versions.
        problem = "an escape or a version number is out of range"
        raise SuiteError(f"{source}: is not YAML: {problem}") from error


def dotted(path: KeyPath) -> str:
    """Return the path as people write it: `loads[0].connections`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _PLAIN_KEY.fullmatch(part) else quoted(part)
            text += f".{key}" if text else key
    return text


def quoted(value: object) -> str:
    """Return a value for an error message: on one line, at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _error(source: str, line: int, key: str, problem: str) -> SuiteError:
    return SuiteError(f"{_location(source, line, key)}: {problem}")


def _location(source: str, line: int, key: str) -> str:
    return f"{source}:{line}: {key}" if key else f"{source}:{line}"


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


class _Reader:
    """Builds values from PyYAML's events, which involve no recursion and construct no objects."""

    def __init__(self, source: str, text: str) -> None:
        self._source = source
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._lines: dict[KeyPath, int] = {(): 1}

    def document(self) -> Document:
        next(self._events)  # the stream's start
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return Document(self._source, None, self._lines)
        value = self._value(next(self._events), ())
        next(self._events)  # the document's end
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._error(event, (), "a second document begins here; write one per file")
        return Document(self._source, value, self._lines)

    def _value(self, event: yaml.Event, path: KeyPath) -> Value:
        if isinstance(event, yaml.AliasEvent):
            raise self._error(event, path, "aliases (*name) are not supported; repeat the value")
        if getattr(event, "anchor", None) is not None:
            raise self._error(event, path, "anchors (&name) are not supported; remove this one")
        if getattr(event, "tag", None) is not None:
            raise self._error(event, path, "tags (!name) are not supported; remove this one")
        if len(path) > _MAX_DEPTH:
            raise self._error(event, path[:3], f"is nested more than {_MAX_DEPTH} levels deep")
        self._lines[path] = _line(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        raise self._error(event, path, "a value is missing")

    def _mapping(self, path: KeyPath) -> dict[str, Value]:
        values: dict[str, Value] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag:
                raise self._error(event, path, "a key must be a single word")
            key = self._text(event, path)
            if key in values:
                first = self._lines[*path, key]
                raise self._error(event, (*path, key), f"is already set on line {first}")
            line = _line(event)
            values[key] = self._value(next(self._events), (*path, key))
            self._lines[*path, key] = line
        return values

    def _list(self, path: KeyPath) -> list[Value]:
        values: list[Value] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value(event, (*path, len(values))))
        return values

    def _scalar(self, event: yaml.ScalarEvent, path: KeyPath) -> Value:
        text = self._text(event, path)
        is_plain = event.implicit[0]
        if not is_plain:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INTEGER.fullmatch(text):
            if len(text) > _MAX_DIGITS:
                raise self._error(event, path, "is too large a number")
            return int(text)
        if _DECIMAL.fullmatch(text):
            number = float(text)
            if number in (float("inf"), float("-inf")):
                raise self._error(event, path, "is too large a number")
            return number
        return text

    def _text(self, event: yaml.ScalarEvent, path: KeyPath) -> str:
        text = str(event.value)
        if _SURROGATE.search(text):
            raise self._error(event, path, "contains half of a surrogate pair; remove it")
        return text

    def _error(self, event: yaml.Event, path: KeyPath, problem: str) -> SuiteError:
        return _error(self._source, _line(event), dotted(path), problem)
