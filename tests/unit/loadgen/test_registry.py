import pytest
import yaml
from repository import ROOT

from fwbench.loadgen.generator import LoadGenerator, UnsuitableLoadError
from fwbench.loadgen.registry import LOADGENS, generator_of
from fwbench.model.load import Load

DEFAULTS = yaml.safe_load((ROOT / "roles/load_generators/defaults/main.yml").read_text())


def test_load_names_its_generator() -> None:
    assert generator_of(Load(connections=1, requests=1)).name == "h2load"
    assert generator_of(Load(generator="wrk", connections=1, duration_s=1)).name == "wrk"


def test_unknown_generator_error_lists_all() -> None:
    with pytest.raises(UnsuitableLoadError, match=f"'ab'; fwbench has {', '.join(LOADGENS)}"):
        generator_of(Load(generator="ab", connections=1, requests=1))


@pytest.mark.parametrize("generator", LOADGENS.values(), ids=LOADGENS)
def test_each_generator_has_a_package_and_descriptions(generator: LoadGenerator) -> None:
    assert generator.name in DEFAULTS["load_generators_packages"]
    assert generator.description
    assert generator.latency_begins
