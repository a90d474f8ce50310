import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.errors import InventoryError
from fwbench.inventory import OWN_VARIABLES, rigs
from fwbench.model.host import Client, Rig, Target

Hosts = dict[str, dict[str, Any]]


def listing(targets: Hosts, clients: Hosts) -> dict[str, Any]:
    return {
        "_meta": {"hostvars": {**targets, **clients}},
        "all": {"children": ["ungrouped", "targets", "clients"]},
        "targets": {"hosts": list(targets)},
        "clients": {"hosts": list(clients)},
    }


def rigs_of(targets: Hosts, clients: Hosts) -> tuple[Rig, ...]:
    return rigs(listing(targets, clients), "hosts.yml")


def error_of(inventory: dict[str, Any]) -> str:
    with pytest.raises(InventoryError) as caught:
        rigs(inventory, "hosts.yml")
    message = str(caught.value)
    assert message.startswith("hosts.yml: ")
    assert "\n" not in message
    return message


def names(found: tuple[Rig, ...]) -> list[tuple[str, str, list[str]]]:
    return [(rig.name, rig.target.name, [c.name for c in rig.clients]) for rig in found]


def test_a_host_without_variables_is_reached_by_its_name() -> None:
    (rig,) = rigs_of({"t": {}}, {"c": {}})
    assert rig.target == Target(name="t", address="t", load_address="t")
    assert rig.clients == (Client(name="c", address="c"),)


def test_variables_say_how_a_host_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    (rig,) = rigs_of(
        {
            "t": {
                "ansible_host": "203.0.113.1",
                "ansible_port": 2222,
                "ansible_user": "admin",
                "ansible_ssh_private_key_file": "~/.ssh/key",
                "fwbench_load_address": "10.0.0.1",
                "fwbench_known_hosts": "~/hosts",
            }
        },
        {"c": {"ansible_port": "22", "ansible_private_key_file": "/keys/c"}},
    )
    assert rig.target == Target(
        name="t",
        address="203.0.113.1",
        port=2222,
        user="admin",
        key_file=Path("/home/me/.ssh/key"),
        known_hosts=Path("/home/me/hosts"),
        load_address="10.0.0.1",
    )
    assert rig.clients[0].port == 22
    assert rig.clients[0].key_file == Path("/keys/c")


def test_the_load_address_is_where_ssh_answers_unless_given() -> None:
    (rig,) = rigs_of({"t": {"ansible_host": "203.0.113.1"}}, {"c": {}})
    assert rig.target.load_address == "203.0.113.1"


def test_text_that_ansible_marked_as_foreign_is_text() -> None:
    (rig,) = rigs_of({"t": {"ansible_host": {"__ansible_unsafe": "203.0.113.1"}}}, {"c": {}})
    assert rig.target.address == "203.0.113.1"


def test_groups_within_groups_count_in_the_inventorys_order() -> None:
    inventory = {
        "_meta": {"hostvars": {}},
        "targets": {"hosts": ["t1"], "children": ["fast", "slow"]},
        "fast": {"hosts": ["t3"], "children": ["fastest", "targets"]},
        "fastest": {"hosts": ["t4"]},
        "slow": {"hosts": ["t2", "t1"]},
        "clients": {"children": ["empty", "many"]},
        "many": {"hosts": ["c1", "c2", "c3", "c4"]},
    }
    assert names(rigs(inventory, "x")) == [
        ("t1", "t1", ["c1"]),
        ("t3", "t3", ["c2"]),
        ("t4", "t4", ["c3"]),
        ("t2", "t2", ["c4"]),
    ]


# Pairs


def test_a_single_target_has_all_the_clients() -> None:
    assert names(rigs_of({"t": {}}, {"c1": {}, "c2": {}})) == [("t", "t", ["c1", "c2"])]


def test_as_many_clients_as_targets_are_paired_in_order() -> None:
    found = rigs_of({"t2": {}, "t1": {}}, {"c1": {}, "c2": {}})
    assert names(found) == [("t2", "t2", ["c1"]), ("t1", "t1", ["c2"])]


def test_hosts_with_the_same_rig_belong_together() -> None:
    found = rigs_of(
        {"t1": {"fwbench_rig": "a"}, "t2": {"fwbench_rig": "b"}},
        {"c1": {"fwbench_rig": "b"}, "c2": {"fwbench_rig": "a"}, "c3": {"fwbench_rig": "b"}},
    )
    assert names(found) == [("a", "t1", ["c2"]), ("b", "t2", ["c1", "c3"])]


@pytest.mark.parametrize(
    ("targets", "clients", "error"),
    [
        ({"t1": {}, "t2": {}}, {"c": {}}, "targets (2) and clients (1) do not pair by themselves"),
        (
            {"t1": {"fwbench_rig": "a"}, "t2": {"fwbench_rig": "a"}},
            {"c": {"fwbench_rig": "a"}},
            "rig 'a' has 2 targets",
        ),
        ({"t": {"fwbench_rig": "a"}}, {"c": {"fwbench_rig": "b"}}, "rig 'b' has no targets"),
        (
            {"t1": {"fwbench_rig": "a"}, "t2": {"fwbench_rig": "b"}},
            {"c": {"fwbench_rig": "a"}},
            "rig 'b' has no client",
        ),
        ({"t": {"fwbench_rig": "a"}}, {"c": {}}, "host 'c' has no fwbench_rig"),
    ],
)
def test_what_does_not_pair_is_told_to_name_its_rigs(
    targets: Hosts, clients: Hosts, error: str
) -> None:
    message = error_of(listing(targets, clients))
    assert error in message


# What is refused


@pytest.mark.parametrize(
    ("targets", "clients", "error"),
    [
        ({}, {}, "has no hosts"),
        ({}, {"c": {}}, "group 'targets' has no host"),
        ({"t": {}}, {}, "group 'clients' has no host"),
        ({"both": {}}, {"both": {}}, "host 'both' is in targets and in clients"),
        (
            {"t": {"ansible_host": "203.0.113.1"}},
            {"c": {"ansible_host": "203.0.113.1", "ansible_port": 22}},
            "hosts 't' and 'c' are the same machine (203.0.113.1 port 22)",
        ),
    ],
)
def test_an_inventory_that_gives_no_rig_is_refused(
    targets: Hosts, clients: Hosts, error: str
) -> None:
    assert error in error_of(listing(targets, clients))


def test_an_empty_listing_has_no_hosts() -> None:
    assert "has no hosts" in error_of({})


def test_hosts_behind_two_ports_of_one_address_are_two() -> None:
    """The lab's hosts on a Mac: containers whose SSH ports are published on 127.0.0.1."""
    at = "127.0.0.1"
    targets = {"t": {"ansible_host": at, "ansible_port": 2201}}
    clients = {"c": {"ansible_host": at, "ansible_port": 2202}}
    assert len(rigs_of(targets, clients)) == 1


@pytest.mark.parametrize(
    ("variable", "value", "error"),
    [
        ("ansible_port", "ssh", "ansible_port of host 't' must be a number from 1 to 65535"),
        ("ansible_port", 0, "ansible_port of host 't' must be a number"),
        ("ansible_port", 65536, "ansible_port of host 't' must be a number"),
        ("ansible_port", True, "ansible_port of host 't' must be a number"),
        ("ansible_port", "９９", "ansible_port of host 't' must be a number"),
        ("ansible_host", 7, "ansible_host of host 't' must be text, not 7"),
        ("ansible_host", "{{ ip }}", "templates are not resolved"),
        ("ansible_host", "-oProxyCommand=touch x", "ssh would take it for an option"),
        ("ansible_host", "a\nb", "it has a control character"),
        ("ansible_host", "a\u202eb", "it has a control character"),
        ("ansible_host", "a\ud800b", "it has a control character"),
        ("ansible_host", " ", "is empty"),
        ("ansible_user", "-lroot", "ssh would take it for an option"),
        ("ansible_user", "root\0", "it has a control character"),
        ("fwbench_load_address", "--help", "ssh would take it for an option"),
        ("ansible_ssh_private_key_file", "~nobody-of-this-name/key", "has no such user"),
        ("ansible_ssh_private_key_file", ["a"], "must be text, not ['a']"),
        ("fwbench_rigs", "a", "has the variable 'fwbench_rigs'; did you mean 'fwbench_rig'?"),
        ("fwbench_load_adress", "a", "did you mean 'fwbench_load_address'?"),
        ("fwbench_knownhosts", "a", "did you mean 'fwbench_known_hosts'?"),
    ],
)
def test_a_variable_that_cannot_be_meant_is_refused(
    variable: str, value: object, error: str
) -> None:
    assert error in error_of(listing({"t": {variable: value}}, {"c": {}}))


@pytest.mark.parametrize("name", ["", "  ", "-oProxyCommand=x", "a\nb", "a\x1b[2Jb", "{{ x }}"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    error_of(listing({name: {}}, {"c": {}}))
    error_of(listing({"t": {}}, {name: {}}))


@pytest.mark.parametrize("text", ["a b", "it's", 'a"b', "a; reboot", "$(reboot)", "`id`", "zürich"])
def test_a_name_that_only_a_shell_would_misread_is_data(text: str) -> None:
    (rig,) = rigs_of({text: {"ansible_user": text, "fwbench_load_address": text}}, {"c": {}})
    assert (rig.target.name, rig.target.address, rig.target.user) == (text, text, text)
    assert rig.target.load_address == text


def test_other_variables_are_not_looked_at() -> None:
    rigs_of({"t": {"ansible_become": True, "my_rig": "{{ x }}", "fwbench": [1]}}, {"c": {}})


@pytest.mark.parametrize(
    "inventory",
    [
        {"_meta": []},
        {"_meta": {"hostvars": [1]}},
        {"targets": ["t"], "clients": {"hosts": ["c"]}},
        {"targets": {"hosts": "t"}, "clients": {"hosts": ["c"]}},
        {"targets": {"hosts": [1]}, "clients": {"hosts": ["c"]}},
        {"_meta": {"hostvars": {"t": "x"}}, "targets": {"hosts": ["t"]}},
    ],
)
def test_what_is_no_listing_is_refused(inventory: dict[str, Any]) -> None:
    error_of(inventory)


# Any JSON

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(["t", "c", "-x", "", "a b"]) | st.text(max_size=3)
VARIABLES = st.dictionaries(
    st.sampled_from([*OWN_VARIABLES, "ansible_host", "ansible_port", "ansible_user", "fwbench_ri"])
    | st.text(max_size=4),
    SCALARS | st.sampled_from(["a", "~/k", "~", 22, "22", {"__ansible_unsafe": "a"}]) | JSON,
    max_size=4,
)
GROUP = st.fixed_dictionaries(
    {},
    optional={
        "hosts": st.lists(NAMES, max_size=3) | JSON,
        "children": st.lists(st.sampled_from(["targets", "clients", "x"]), max_size=3) | JSON,
    },
)
LISTINGS = st.fixed_dictionaries(
    {},
    optional={
        "_meta": st.fixed_dictionaries({"hostvars": st.dictionaries(NAMES, VARIABLES)}) | JSON,
        "targets": GROUP | JSON,
        "clients": GROUP | JSON,
        "x": GROUP,
    },
)


@given(LISTINGS)
def test_any_json_gives_rigs_or_an_inventory_error(inventory: dict[str, Any]) -> None:
    try:
        found = rigs(inventory, "hosts.yml")
    except InventoryError as error:
        message = str(error)
        assert message.startswith("hosts.yml: ")
    else:
        hosts = [host for rig in found for host in rig.hosts]
        assert len({host.name for host in hosts}) == len(hosts)
        json.dumps([rig.model_dump(mode="json") for rig in found]).encode()
