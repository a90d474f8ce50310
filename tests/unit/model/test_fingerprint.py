from typing import Any

import pytest
from builders import client_facts, rig, target_facts
from hypothesis import given
from hypothesis import strategies as st

from fwbench.model.fingerprint import (
    Difference,
    Fingerprint,
    fingerprint_changes,
    host_differences,
    host_fingerprint,
    rig_differences,
    rig_fingerprint,
)
from fwbench.model.host import Client, Rig
from fwbench.model.record import HostFacts, ImageFacts

SUITE = ("flask", "fastapi")


def image(name: str = "flask", **changes: Any) -> ImageFacts:
    facts = ImageFacts(
        name=name,
        image_id="sha256:01",
        base="python:3.13-slim",
        base_origin="registry",
        packages=(),
    )
    return facts.model_copy(update=changes)


def changed_subjects(before: HostFacts, now: HostFacts) -> list[str]:
    return [difference.subject for difference in fingerprint_changes(before, now, SUITE)]


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"cpu_model": "Intel Xeon"}, "CPU model"),
        ({"cpu_flags": ("avx2",)}, "CPU flags"),
        ({"cpus": 0.5}, "CPUs"),
        ({"kernel": "6.12.58"}, "kernel"),
        ({"mitigations": {"spectre_v2": "Vulnerable"}}, "mitigations"),
        ({"architecture": "aarch64"}, "architecture"),
        ({"system": "Debian GNU/Linux 12"}, "system"),
        ({"cgroup_version": 1}, "cgroup version"),
        ({"engine": "27.0"}, "engine"),
        ({"engine": None}, "engine"),
        ({"versions": {"h2load": "1.69.0"}}, "h2load"),
        ({"instance_type": "c7i.large"}, "instance type"),
        ({"memory_bytes": 16 * 2**30}, "memory"),
        ({"network_path": "loopback"}, "network path"),
    ],
)
def test_relevant_fact_changes_the_fingerprint(changes: dict[str, Any], subject: str) -> None:
    now = target_facts(**changes)
    assert changed_subjects(target_facts(), now) == [subject]
    assert host_fingerprint(now, SUITE).digest != host_fingerprint(target_facts(), SUITE).digest


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "another"},
        {"region": "eu-west-1"},
        {"price_per_hour": 0.1},
        {"listening_ports": (22, 80)},
        {"cpu_flags": ()},
        {"memory_bytes": int(7.6 * 2**30)},
    ],
)
def test_irrelevant_fact_does_not_change_the_fingerprint(changes: dict[str, Any]) -> None:
    now = target_facts(**changes)
    assert changed_subjects(target_facts(), now) == []
    assert host_fingerprint(now, SUITE).digest == host_fingerprint(target_facts(), SUITE).digest


def test_only_images_of_the_suites_contenders_are_compared() -> None:
    before = target_facts(images=(image(), image("granian")))
    now = target_facts(images=(image("granian", image_id="sha256:77"), image(image_id="sha256:02")))
    assert fingerprint_changes(before, now, SUITE) == (
        Difference(subject="image of flask", first="sha256:01", second="sha256:02"),
    )
    rebased = target_facts(images=(image(base="debian:13"),))
    assert changed_subjects(before, rebased) == ["base of flask"]
    without_images = target_facts(images=())
    assert changed_subjects(before, without_images) == ["image of flask", "base of flask"]


def test_only_differing_list_items_are_reported() -> None:
    before = target_facts(
        cpu_flags=("aes", "avx2"), mitigations={"mds": "Not affected", "srso": "Vulnerable"}
    )
    now = target_facts(
        cpu_flags=("aes", "avx512f"), mitigations={"mds": "Not affected", "srso": "Safe RET"}
    )
    assert fingerprint_changes(before, now, SUITE) == (
        Difference(subject="CPU flags", first="avx2", second="avx512f"),
        Difference(subject="mitigations", first="srso: Vulnerable", second="srso: Safe RET"),
    )
    assert (
        fingerprint_changes(target_facts(), target_facts(cpu_flags=("aes",)), SUITE)[0].first
        == "none"
    )


@pytest.mark.parametrize(
    ("mebibytes", "size"),
    [
        (512, "about 512 MiB"),
        (950, "about 1 GiB"),
        (7_700, "about 8 GiB"),
        (8_200, "about 8 GiB"),
        (11_900, "about 12 GiB"),
        (15_700, "about 16 GiB"),
    ],
)
def test_memory_is_rounded_to_its_nominal_size(mebibytes: int, size: str) -> None:
    assert host_fingerprint(target_facts(memory_bytes=mebibytes * 2**20), SUITE).parts[
        "memory"
    ] == (size,)


parts = st.dictionaries(
    st.sampled_from(["CPUs", "kernel", "CPU flags"]),
    st.lists(st.text(min_size=1, max_size=3), min_size=1).map(tuple),
)


@given(first_parts=parts, second_parts=parts)
def test_digests_are_equal_only_without_a_difference(
    first_parts: dict[str, tuple[str, ...]], second_parts: dict[str, tuple[str, ...]]
) -> None:
    def fingerprint(parts: dict[str, tuple[str, ...]]) -> Fingerprint:
        return Fingerprint(parts={name: tuple(sorted(parts[name])) for name in sorted(parts)})

    first, second = fingerprint(first_parts), fingerprint(second_parts)
    assert (host_differences(first, second) == ()) is (first.digest == second.digest)
    assert len(first.digest) == 12


# Rigs


def facts_by_host(*facts: HostFacts) -> dict[str, HostFacts]:
    return {host_facts.host: host_facts for host_facts in facts}


def test_rigs_of_equal_hosts_have_equal_fingerprints() -> None:
    facts = facts_by_host(
        target_facts("a-target"), client_facts("a-client"),
        target_facts("b-target", region="eu-west-1"), client_facts("b-client"),
    )  # fmt: skip
    assert rig_fingerprint(rig("a"), facts, SUITE) == rig_fingerprint(rig("b"), facts, SUITE)


def test_number_of_clients_matters_but_not_their_order() -> None:
    def with_clients(*names: str) -> Rig:
        clients = tuple(Client(name=name, address="192.0.2.2") for name in names)
        return rig("a").model_copy(update={"clients": clients})

    facts = facts_by_host(
        target_facts("a-target"), client_facts("slow", cpus=1), client_facts("quick", cpus=4)
    )
    fingerprints = [
        rig_fingerprint(with_clients(*names), facts, SUITE)
        for names in (("slow", "quick"), ("quick", "slow"), ("slow",))
    ]
    assert fingerprints[0] == fingerprints[1]
    assert fingerprints[0].digest == fingerprints[1].digest
    assert rig_differences(fingerprints[0], fingerprints[2]) == (
        Difference(subject="clients", first="2", second="1"),
    )


def test_differences_of_clients_are_reported() -> None:
    facts = facts_by_host(
        target_facts("a-target"), client_facts("a-client", versions={"h2load": "1.64"})
    )
    other_facts = facts_by_host(
        target_facts("a-target"), client_facts("a-client", versions={"h2load": "1.69"})
    )
    differences = rig_differences(
        rig_fingerprint(rig("a"), facts, SUITE), rig_fingerprint(rig("a"), other_facts, SUITE)
    )
    assert [difference.subject for difference in differences] == ["client's h2load"]


def test_rigs_without_facts_have_different_fingerprints() -> None:
    assert rig_fingerprint(rig("a"), {}, SUITE) != rig_fingerprint(rig("b"), {}, SUITE)
