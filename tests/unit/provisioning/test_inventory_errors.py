from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.provisioning.inventory_errors import MAX_CHARACTERS, failure_reason

# What ansible-inventory 2.21 prints on standard error, with ANY_UNPARSED_IS_FAILED.
FIXTURES = Path(__file__).parents[2] / "fixtures" / "ansible-inventory"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "script-that-fails",
            "Inventory script returned non-zero exit code 3. It printed: the CMDB does not answer",
        ),
        (
            "folder",
            "Inventory script returned non-zero exit code 3. It printed: the CMDB does not answer",
        ),
        (
            "script-without-json",
            "Unable to get JSON decoder for inventory script result: Value could not be parsed as"
            " JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (
            "yaml-syntax",
            "YAML parsing failed: While parsing a flow mapping did not find expected ',' or '}'."
            " (/home/me/bad.yml:4:1)",
        ),
        (
            "missing-plugin",
            "inventory config '/home/me/my.aws_ec2.yml' specifies unknown plugin"
            " 'amazon.aws.aws_ec2' (cannot load 'amazon.aws.aws_ec2': No module named"
            " 'ansible_collections.amazon')",
        ),
        (
            "ini-syntax",
            "Failed to parse inventory: Expected key=value host variable assignment, got: b"
            " (/home/me/i.ini)",
        ),
        (
            "ini-without-suffix",
            "Failed to parse inventory: Expected key=value host variable assignment, got: b"
            " (/home/me/hosts)",
        ),
        (
            "vault-without-secret",
            "Attempting to decrypt but no vault secrets found. (/home/me/v.yml)",
        ),
    ],
)
def test_reason_is_that_of_the_responsible_plugin(name: str, reason: str) -> None:
    assert failure_reason((FIXTURES / f"{name}.txt").read_text()) == reason


def test_unknown_output_is_quoted_from_its_end() -> None:
    assert failure_reason("ERROR! first\nsecond " + "x" * 500) == "x" * MAX_CHARACTERS


@given(st.text(), st.sampled_from(sorted(FIXTURES.glob("*.txt"))), st.integers(0, 3000))
def test_any_output_gives_one_short_line(text: str, fixture: Path, cut: int) -> None:
    output = fixture.read_text()
    reason = failure_reason(output[:cut] + text + output[cut:])
    assert len(reason) <= MAX_CHARACTERS
    assert len(reason.splitlines()) <= 1
