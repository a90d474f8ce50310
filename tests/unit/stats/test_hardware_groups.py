from typing import Any

import pytest
from builders import client_facts, header, rig, target_facts
from hypothesis import given
from hypothesis import strategies as st

from fwbench.model.record import HostFacts, SessionHeader
from fwbench.stats.hardware_groups import HardwareGroup, hardware_groups, other_differences


def session(**target_facts_by_rig: dict[str, Any]) -> SessionHeader:
    """Return a session on the named rigs; each value replaces facts of that rig's target."""
    facts: list[HostFacts] = []
    for name, changes in target_facts_by_rig.items():
        facts += [target_facts(f"{name}-target", **changes), client_facts(f"{name}-client")]
    return header(rigs=tuple(rig(name) for name in target_facts_by_rig), facts=tuple(facts))


def names(groups: tuple[HardwareGroup, ...]) -> list[str]:
    return [group.name for group in groups]


SMALL = {"instance_type": "small", "cpus": 1, "price_per_hour": 0.1}
LARGE = {"instance_type": "large", "cpus": 2, "price_per_hour": 0.2}


def test_rigs_with_the_same_fingerprint_are_one_group() -> None:
    (group,) = hardware_groups(session(a=SMALL, b=SMALL | {"region": "elsewhere"}))
    assert (group.name, group.rigs, group.price_per_hour) == ("small", ("a", "b"), 0.1)
    assert group.differences == ()


def test_groups_are_ordered_by_price_then_cpus_then_name() -> None:
    unpriced = {"price_per_hour": None}
    assert names(hardware_groups(session(a=LARGE, b=SMALL))) == ["small", "large"]
    assert names(hardware_groups(session(a=LARGE, b=SMALL | unpriced))) == ["large", "small"]
    assert names(hardware_groups(session(a=LARGE | unpriced, b=SMALL | unpriced))) == [
        "small",
        "large",
    ]
    assert names(hardware_groups(session(a=SMALL | {"instance_type": "z"}, b=SMALL))) == [
        "small",
        "z",
    ]


def test_groups_list_their_differences_from_the_first_group() -> None:
    _, large = hardware_groups(session(a=SMALL, b=LARGE))
    assert {each.subject: (each.first, each.second) for each in large.differences} == {
        "instance type": ("small", "large"),
        "CPUs": ("1", "2"),
    }
    assert [difference.subject for difference in other_differences(large)] == ["CPUs"]


def test_instance_type_with_several_processors_is_several_groups() -> None:
    groups = hardware_groups(session(a=SMALL, b=SMALL | {"cpu_model": "Xeon"}))
    assert names(groups) == ["small (AMD EPYC 9R14)", "small (Xeon)"]
    groups = hardware_groups(session(a=SMALL, b=SMALL | {"kernel": "6.1"}, c=SMALL))
    assert sorted(names(groups)) == ["small (a, c)", "small (b)"]


@pytest.mark.parametrize(
    ("rigs", "name"),
    [
        ({"a": {}}, "a-target"),
        ({"a": {}, "b": {}}, "2 CPUs (AMD EPYC 9R14)"),
        ({"a": {"cpus": 1}, "b": {"cpus": 1}}, "1 CPU (AMD EPYC 9R14)"),
    ],
)
def test_group_without_a_type_is_named_by_known_facts(
    rigs: dict[str, dict[str, Any]], name: str
) -> None:
    assert names(hardware_groups(session(**rigs))) == [name]


def test_group_with_several_prices_has_no_price() -> None:
    (group,) = hardware_groups(session(a=SMALL, b=SMALL | {"price_per_hour": 0.3}))
    assert group.price_per_hour is None
    assert group.several_prices


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
def test_every_rig_is_in_exactly_one_group_of_equal_rigs(
    facts_of_rigs: list[dict[str, Any]],
) -> None:
    rigs = {f"r{number}": facts for number, facts in enumerate(facts_of_rigs)}
    groups = hardware_groups(session(**rigs))
    assert sorted(rig for group in groups for rig in group.rigs) == sorted(rigs)
    assert len(set(names(groups))) == len(groups)
    keys = ("instance_type", "kernel", "cpus")
    for group in groups:
        assert len({tuple(rigs[rig][key] for key in keys) for rig in group.rigs}) == 1
    assert len(groups) == len({tuple(facts[key] for key in keys) for facts in facts_of_rigs})
