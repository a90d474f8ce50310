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
    made = ImageFacts(
        name=name,
        image_id="sha256:01",
        base="python:3.13-slim",
        base_origin="registry",
        packages=(),
    )
    return made.model_copy(update=changes)


def differing(before: HostFacts, now: HostFacts) -> list[str]:
    return [one.subject for one in fingerprint_changes(before, now, SUITE)]


@pytest.mark.parametrize(
    ("changes", "what"),
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
def test_what_may_change_a_figure_changes_the_fingerprint(
    changes: dict[str, Any], what: str
) -> None:
    now = target_facts(**changes)
    assert differing(target_facts(), now) == [what]
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
def test_what_changes_no_figure_does_not(changes: dict[str, Any]) -> None:
    now = target_facts(**changes)
    assert differing(target_facts(), now) == []
    assert host_fingerprint(now, SUITE).digest == host_fingerprint(target_facts(), SUITE).digest


def test_images_are_compared_by_contender_and_those_of_others_do_not_matter() -> None:
    before = target_facts(images=(image(), image("granian")))
    now = target_facts(images=(image("granian", image_id="sha256:77"), image(image_id="sha256:02")))
    assert fingerprint_changes(before, now, SUITE) == (
        Difference(subject="image of flask", first="sha256:01", second="sha256:02"),
    )
    rebased = target_facts(images=(image(base="debian:13"),))
    assert differing(before, rebased) == ["base of flask"]
    gone = target_facts(images=())
    assert differing(before, gone) == ["image of flask", "base of flask"]


def test_of_lists_only_what_differs_is_told() -> None:
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
    ("mebibytes", "said"),
    [
        (512, "about 512 MiB"),
        (950, "about 1 GiB"),
        (7_700, "about 8 GiB"),
        (8_200, "about 8 GiB"),
        (11_900, "about 12 GiB"),
        (15_700, "about 16 GiB"),
    ],
)
def test_memory_is_the_size_that_was_sold(mebibytes: int, said: str) -> None:
    assert host_fingerprint(target_facts(memory_bytes=mebibytes * 2**20), SUITE).parts[
        "memory"
    ] == (said,)


parts = st.dictionaries(
    st.sampled_from(["CPUs", "kernel", "CPU flags"]),
    st.lists(st.text(min_size=1, max_size=3), min_size=1).map(tuple),
)


@given(one=parts, other=parts)
def test_fingerprints_without_a_difference_share_their_digest_and_no_others_do(
    one: dict[str, tuple[str, ...]], other: dict[str, tuple[str, ...]]
) -> None:
    def ordered(of: dict[str, tuple[str, ...]]) -> Fingerprint:
        return Fingerprint(parts={what: tuple(sorted(of[what])) for what in sorted(of)})

    here, there = ordered(one), ordered(other)
    assert (host_differences(here, there) == ()) is (here.digest == there.digest)
    assert len(here.digest) == 12


# Rigs


def facts(*made: HostFacts) -> dict[str, HostFacts]:
    return {one.host: one for one in made}


def test_rigs_of_equal_hosts_have_equal_fingerprints() -> None:
    known = facts(
        target_facts("a-target"), client_facts("a-client"),
        target_facts("b-target", region="eu-west-1"), client_facts("b-client"),
    )  # fmt: skip
    assert rig_fingerprint(rig("a"), known, SUITE) == rig_fingerprint(rig("b"), known, SUITE)


def test_the_order_of_clients_does_not_matter_and_their_number_does() -> None:
    def with_clients(*names: str) -> Rig:
        clients = tuple(Client(name=name, address="192.0.2.2") for name in names)
        return rig("a").model_copy(update={"clients": clients})

    known = facts(
        target_facts("a-target"), client_facts("slow", cpus=1), client_facts("quick", cpus=4)
    )
    of = [
        rig_fingerprint(with_clients(*names), known, SUITE)
        for names in (("slow", "quick"), ("quick", "slow"), ("slow",))
    ]
    assert of[0] == of[1]
    assert of[0].digest == of[1].digest
    assert rig_differences(of[0], of[2]) == (Difference(subject="clients", first="2", second="1"),)


def test_a_client_tells_as_much_as_a_target() -> None:
    known = facts(target_facts("a-target"), client_facts("a-client", versions={"h2load": "1.64"}))
    other = facts(target_facts("a-target"), client_facts("a-client", versions={"h2load": "1.69"}))
    found = rig_differences(
        rig_fingerprint(rig("a"), known, SUITE), rig_fingerprint(rig("a"), other, SUITE)
    )
    assert [one.subject for one in found] == ["client's h2load"]


def test_a_rig_of_which_nothing_is_known_is_like_no_other() -> None:
    assert rig_fingerprint(rig("a"), {}, SUITE) != rig_fingerprint(rig("b"), {}, SUITE)
