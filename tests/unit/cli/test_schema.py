import pytest
from click.testing import CliRunner
from repository import ROOT

from fwbench.cli.main import main


@pytest.mark.parametrize("kind", ["suite", "contender"])
def test_schema_is_printed_as_stored(kind: str) -> None:
    result = CliRunner().invoke(main, ["schema", kind])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (ROOT / "schemas" / f"{kind}.schema.json").read_text()
