import pytest
from click.testing import CliRunner
from repository import ROOT

from fwbench.cli.main import main


@pytest.mark.parametrize("kind", ["suite", "contender"])
def test_a_schema_is_printed_as_it_is_stored(kind: str) -> None:
    done = CliRunner().invoke(main, ["schema", kind])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "schemas" / f"{kind}.schema.json").read_text()
