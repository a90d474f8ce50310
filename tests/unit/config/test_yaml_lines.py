import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fwbench.config.yaml_lines import parse
from fwbench.errors import SuiteError


def parse_error(content: bytes) -> str:
    with pytest.raises(SuiteError) as caught:
        parse(content, "x.yml")
    return str(caught.value)


def test_every_value_has_its_line() -> None:
    document = parse(b"# a comment\na:\n  - b: 1\n    c: two\n  - 3\n", "x.yml")
    assert document.value == {"a": [{"b": 1, "c": "two"}, 3]}
    assert document.lines == {
        (): 2,
        ("a",): 2,
        ("a", 0): 3,
        ("a", 0, "b"): 3,
        ("a", 0, "c"): 4,
        ("a", 1): 5,
    }


def test_missing_key_is_reported_on_the_line_of_its_parent() -> None:
    document = parse(b"a:\n  - b: 1\n", "x.yml")
    assert document.located(("a", 0, "c"), "is missing") == "x.yml:2: a[0].c: is missing"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("010", 10),
        ("-7", -7),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("1:30", "1:30"),
        ("2026-11-23", "2026-11-23"),
        ("0x1f", "0x1f"),
        (".inf", ".inf"),
        ("~", None),
        ("", None),
        ("'40'", "40"),
        ('"null"', "null"),
        ("|\n  text", "text"),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert parse(f"a: {text}".encode(), "x.yml").value == {"a": value}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"a: 1\nb: 2\na: 3", "x.yml:3: a: is already set on line 1"),
        (b"a:\n  b: {c: 1, c: 2}", "x.yml:2: a.b.c: is already set on line 2"),
        (b"a: &anchor 1", "x.yml:1: a: anchors (&name) are not supported; remove this one"),
        (b"a: *alias", "x.yml:1: a: aliases (*name) are not supported; repeat the value"),
        (
            b"a: !!python/name:os.system",
            "x.yml:1: a: tags (!name) are not supported; remove this one",
        ),
        (b"a: !!binary aGk=", "x.yml:1: a: tags (!name) are not supported; remove this one"),
        (b"? [a]\n: 1", "x.yml:1: a key must be a single word"),
        (b"a: 1\n---\nb: 2", "x.yml:2: a second document begins here; write one per file"),
        (b"a: [1,\n2", "x.yml:2: is not YAML: expected ',' or ']', but got '<stream end>'"),
        (b"a: 1\nb: \x07", "x.yml:2: has a character that YAML does not allow"),
        (b"a: 1\nb: \xff", "x.yml:2: is not UTF-8 text"),
        (b"\x00\x01\x02", "x.yml:1: has a character that YAML does not allow"),
        (b"a: " + b"9" * 5000, "x.yml:1: a: is too large a number"),
        (b"a: 1e999", "x.yml:1: a: is too large a number"),
        (b'a: "\\ud800"', "x.yml:1: a: contains half of a surrogate pair; remove it"),
        (b'a: "\\UFFFFFFFF"', "x.yml: is not YAML: an escape or a version number is out of range"),
        (b"%YAML " + b"1" * 5000 + b".1\n--- a", "x.yml: is not YAML: an escape or a version"),
        (b"[" * 100_000, "x.yml:1: [0][0][0]: is nested more than 20 levels deep"),
        (b"{a: " * 100_000, "x.yml:1: a.a.a: is nested more than 20 levels deep"),
        (b"#" * (2**20 + 1), "x.yml: is larger than 1 MiB"),
    ],
    ids=lambda value: value[:30].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_unsupported_yaml_is_rejected(content: bytes, error: str) -> None:
    assert parse_error(content).startswith(error)


def test_alias_bomb_is_rejected() -> None:
    bomb = b"a: &a [x, x]\n" + b"".join(b"%c: [*a, *a]\n" % letter for letter in b"bcdefg")
    assert "anchors" in parse_error(bomb)


def test_byte_order_mark_is_skipped() -> None:
    assert parse(b"\xef\xbb\xbfa: 1", "x.yml").value == {"a": 1}


def test_empty_file_is_none() -> None:
    assert parse(b"# nothing\n", "x.yml").value is None


YAML_LIKE = st.text(alphabet="ab01: -[]{},&*!|>'\"#%@?\n\t\\xuU~.\ud7ff\0", max_size=80)


@given(st.binary(max_size=200) | YAML_LIKE.map(lambda text: text.encode("utf-8", "replace")))
@example(b"- - - -\n? : ?\n: -")
@example(b"--- \n...\n...\n---")
def test_any_bytes_give_a_document_or_a_suite_error(content: bytes) -> None:
    try:
        parse(content, "x.yml")
    except SuiteError as error:
        message = str(error)
        assert message.startswith("x.yml")
        assert "\n" not in message
