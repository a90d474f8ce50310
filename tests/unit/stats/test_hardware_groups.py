from typing import Any

import pytest
from builders import client_facts, header, rig, target_facts
from hypothesis import given
from hypothesis import strategies as st

from fwbench.model.record import HostFacts, SessionHeader
from fwbench.stats.hardware_groups import HardwareGroup, hardware_groups, other_differences


def of(**changes: dict[str, Any]) -> SessionHeader:
    """A session of such rigs, by name, each with what is special about its target."""
    facts: list[HostFacts] = []
    for name, special in changes.items():
        facts += [target_facts(f"{name}-target", **special), client_facts(f"{name}-client")]
    return header(rigs=tuple(rig(name) for name in changes), facts=tuple(facts))


def names(found: tuple[HardwareGroup, ...]) -> list[str]:
    return [kind.name for kind in found]


SMALL = {"instance_type": "small", "cpus": 1, "price_per_hour": 0.1}
LARGE = {"instance_type": "large", "cpus": 2, "price_per_hour": 0.2}


def test_rigs_that_are_alike_are_one_kind() -> None:
    (kind,) = hardware_groups(of(a=SMALL, b=SMALL | {"region": "elsewhere"}))
    assert (kind.name, kind.rigs, kind.price_per_hour) == ("small", ("a", "b"), 0.1)
    assert kind.differences == ()


def test_kinds_are_ordered_by_price_then_cpus_then_name() -> None:
    unpriced = {"price_per_hour": None}
    assert names(hardware_groups(of(a=LARGE, b=SMALL))) == ["small", "large"]
    assert names(hardware_groups(of(a=LARGE, b=SMALL | unpriced))) == ["large", "small"]
    assert names(hardware_groups(of(a=LARGE | unpriced, b=SMALL | unpriced))) == ["small", "large"]
    assert names(hardware_groups(of(a=SMALL | {"instance_type": "z"}, b=SMALL))) == ["small", "z"]


def test_what_differs_is_told_beside_the_first_and_the_type_goes_without_saying() -> None:
    _, large = hardware_groups(of(a=SMALL, b=LARGE))
    assert {one.subject: (one.first, one.second) for one in large.differences} == {
        "instance type": ("small", "large"),
        "CPUs": ("1", "2"),
    }
    assert [one.subject for one in other_differences(large)] == ["CPUs"]


def test_a_type_with_several_processors_is_several_kinds_which_are_told_apart() -> None:
    found = hardware_groups(of(a=SMALL, b=SMALL | {"cpu_model": "Xeon"}))
    assert names(found) == ["small (AMD EPYC 9R14)", "small (Xeon)"]
    found = hardware_groups(of(a=SMALL, b=SMALL | {"kernel": "6.1"}, c=SMALL))
    assert sorted(names(found)) == ["small (a, c)", "small (b)"]


@pytest.mark.parametrize(
    ("rigs", "name"),
    [
        ({"a": {}}, "a-target"),
        ({"a": {}, "b": {}}, "2 CPUs (AMD EPYC 9R14)"),
        ({"a": {"cpus": 1}, "b": {"cpus": 1}}, "1 CPU (AMD EPYC 9R14)"),
    ],
)
def test_without_a_type_a_kind_is_called_by_what_is_known(
    rigs: dict[str, dict[str, Any]], name: str
) -> None:
    assert names(hardware_groups(of(**rigs))) == [name]


def test_of_several_prices_none_is_taken() -> None:
    (kind,) = hardware_groups(of(a=SMALL, b=SMALL | {"price_per_hour": 0.3}))
    assert kind.price_per_hour is None
    assert kind.several_prices


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "instance_type": st.sampled_from(["small", "large", None]),
                "kernel": st.sampled_from(["6.1", "6.12"]),
                "cpus": st.sampled_from([0.5, 1, 2]),
                "price_per_hour": st.sampled_from([None, 0.0, 0.1, 0.2]),
            }
        ),
        min_size=1,
        max_size=8,
    )
)
def test_every_rig_is_of_one_kind_and_no_kind_mixes_what_differs(
    made: list[dict[str, Any]],
) -> None:
    rigs = {f"r{number}": special for number, special in enumerate(made)}
    found = hardware_groups(of(**rigs))
    assert sorted(rig for kind in found for rig in kind.rigs) == sorted(rigs)
    assert len(set(names(found))) == len(found)
    what = ("instance_type", "kernel", "cpus")
    for kind in found:
        assert len({tuple(rigs[rig][key] for key in what) for rig in kind.rigs}) == 1
    assert len(found) == len({tuple(one[key] for key in what) for one in made})
