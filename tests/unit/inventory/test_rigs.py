import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repository import ROOT

from fwbench.errors import InventoryError
from fwbench.inventory.refused_variables import RULES
from fwbench.inventory.rigs import OWN_VARIABLES, parse_rigs
from fwbench.model.host import Client, Host, JumpHost, Rig, Target

Hosts = dict[str, dict[str, Any]]


def listing(targets: Hosts, clients: Hosts) -> dict[str, Any]:
    return {
        "_meta": {"hostvars": {**targets, **clients}},
        "all": {"children": ["ungrouped", "targets", "clients"]},
        "targets": {"hosts": list(targets)},
        "clients": {"hosts": list(clients)},
    }


def rigs_of(targets: Hosts, clients: Hosts) -> tuple[Rig, ...]:
    return parse_rigs(listing(targets, clients), "hosts.yml")


def error_message(inventory: dict[str, Any]) -> str:
    with pytest.raises(InventoryError) as caught:
        parse_rigs(inventory, "hosts.yml")
    message = str(caught.value)
    assert message.startswith("hosts.yml: ")
    assert "\n" not in message
    return message


def names(rigs: tuple[Rig, ...]) -> list[tuple[str, str, list[str]]]:
    return [(rig.name, rig.target.name, [c.name for c in rig.clients]) for rig in rigs]


def test_host_without_variables_has_its_name_as_address() -> None:
    (rig,) = rigs_of({"t": {}}, {"c": {}})
    assert rig.target == Target(name="t", address="t", load_address="t")
    assert rig.clients == (Client(name="c", address="c"),)


def test_variables_set_address_port_user_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_load_address_defaults_to_the_ssh_address() -> None:
    (rig,) = rigs_of({"t": {"ansible_host": "203.0.113.1"}}, {"c": {}})
    assert rig.target.load_address == "203.0.113.1"


def test_text_that_ansible_marked_as_unsafe_is_text() -> None:
    (rig,) = rigs_of({"t": {"ansible_host": {"__ansible_unsafe": "203.0.113.1"}}}, {"c": {}})
    assert rig.target.address == "203.0.113.1"


def test_nested_groups_keep_the_order_of_the_inventory() -> None:
    inventory = {
        "_meta": {"hostvars": {}},
        "targets": {"hosts": ["t1"], "children": ["fast", "slow"]},
        "fast": {"hosts": ["t3"], "children": ["fastest", "targets"]},
        "fastest": {"hosts": ["t4"]},
        "slow": {"hosts": ["t2", "t1"]},
        "clients": {"children": ["empty", "many"]},
        "many": {"hosts": ["c1", "c2", "c3", "c4"]},
    }
    assert names(parse_rigs(inventory, "x")) == [
        ("t1", "t1", ["c1"]),
        ("t3", "t3", ["c2"]),
        ("t4", "t4", ["c3"]),
        ("t2", "t2", ["c4"]),
    ]


# Pairing


def test_single_target_has_all_clients() -> None:
    assert names(rigs_of({"t": {}}, {"c1": {}, "c2": {}})) == [("t", "t", ["c1", "c2"])]


def test_equal_numbers_of_targets_and_clients_pair_in_order() -> None:
    rigs = rigs_of({"t2": {}, "t1": {}}, {"c1": {}, "c2": {}})
    assert names(rigs) == [("t2", "t2", ["c1"]), ("t1", "t1", ["c2"])]


def test_hosts_with_the_same_rig_variable_form_a_rig() -> None:
    rigs = rigs_of(
        {"t1": {"fwbench_rig": "a"}, "t2": {"fwbench_rig": "b"}},
        {"c1": {"fwbench_rig": "b"}, "c2": {"fwbench_rig": "a"}, "c3": {"fwbench_rig": "b"}},
    )
    assert names(rigs) == [("a", "t1", ["c2"]), ("b", "t2", ["c1", "c3"])]


@pytest.mark.parametrize(
    ("targets", "clients", "error"),
    [
        ({"t1": {}, "t2": {}}, {"c": {}}, "targets (2) and clients (1) cannot be paired in order"),
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
def test_hosts_that_cannot_be_paired_are_refused(
    targets: Hosts, clients: Hosts, error: str
) -> None:
    message = error_message(listing(targets, clients))
    assert error in message


# Refused inventories


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
def test_inventory_without_a_rig_is_refused(targets: Hosts, clients: Hosts, error: str) -> None:
    assert error in error_message(listing(targets, clients))


def test_empty_listing_has_no_hosts() -> None:
    assert "has no hosts" in error_message({})


def test_two_ports_of_one_address_are_two_hosts() -> None:
    """The lab on a Mac has these hosts: containers with SSH ports published on 127.0.0.1."""
    address = "127.0.0.1"
    targets = {"t": {"ansible_host": address, "ansible_port": 2201}}
    clients = {"c": {"ansible_host": address, "ansible_port": 2202}}
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
        ("ansible_host", "{{ ip }}", "does not evaluate templates"),
        ("ansible_host", "-oProxyCommand=touch x", "ssh would take it for an option"),
        ("ansible_host", "a\nb", "remove the control character"),
        ("ansible_host", "a\u202eb", "remove the control character"),
        ("ansible_host", "a\ud800b", "remove the control character"),
        ("ansible_host", " ", "is empty"),
        ("ansible_user", "-lroot", "ssh would take it for an option"),
        ("ansible_user", "root\0", "remove the control character"),
        ("fwbench_load_address", "--help", "ssh would take it for an option"),
        ("ansible_ssh_private_key_file", "~nobody-of-this-name/key", "names an unknown user"),
        ("ansible_ssh_private_key_file", ["a"], "must be text, not ['a']"),
        ("fwbench_rigs", "a", "has the variable 'fwbench_rigs'; did you mean 'fwbench_rig'?"),
        ("fwbench_load_adress", "a", "did you mean 'fwbench_load_address'?"),
        ("fwbench_knownhosts", "a", "did you mean 'fwbench_known_hosts'?"),
        ("fwbench_instancetype", "a", "did you mean 'fwbench_instance_type'?"),
        ("fwbench_price_per_hours", 1, "did you mean 'fwbench_price_per_hour'?"),
        ("fwbench_regions", "a", "did you mean 'fwbench_region'?"),
        ("fwbench_instance_type", 7, "fwbench_instance_type of host 't' must be text, not 7"),
        ("fwbench_price_per_hour", -1, "must be a number, 0 or more and without a currency"),
        ("fwbench_price_per_hour", "-0.1", "must be a number, 0 or more"),
        ("fwbench_price_per_hour", "$0.10", "without a currency, not '$0.10'"),
        ("fwbench_price_per_hour", True, "must be a number"),
        ("fwbench_price_per_hour", float("nan"), "must be a number"),
        ("fwbench_price_per_hour", float("inf"), "must be a number"),
        ("ansible_ssh_port", 0, "ansible_ssh_port of host 't' must be a number"),
        ("ansible_become", "perhaps", "ansible_become of host 't' must be true or false"),
        ("ansible_ssh_common_args", ["-J", "x"], "ansible_ssh_common_args of host 't' must be tex"),
        ("ansible_ssh_common_args", "-J {{ x }}", "is a template, which fwbench does not evaluate"),
        ("ansible_ssh_extra_args", "-J x\n", "ansible_ssh_extra_args of host 't' has a control"),
        (
            "ansible_ssh_common_args",
            "-J 'x",
            "ansible_ssh_common_args of host 't' has a quotation mark",
        ),
    ],
)
def test_invalid_variable_is_refused(variable: str, value: object, error: str) -> None:
    assert error in error_message(listing({"t": {variable: value}}, {"c": {}}))


@pytest.mark.parametrize("name", ["", "  ", "-oProxyCommand=x", "a\nb", "a\x1b[2Jb", "{{ x }}"])
def test_invalid_host_name_is_refused(name: str) -> None:
    error_message(listing({name: {}}, {"c": {}}))
    error_message(listing({"t": {}}, {name: {}}))


@pytest.mark.parametrize("text", ["a b", "it's", 'a"b', "a; reboot", "$(reboot)", "`id`", "zürich"])
def test_name_with_shell_syntax_is_data(text: str) -> None:
    (rig,) = rigs_of({text: {"ansible_user": text, "fwbench_load_address": text}}, {"c": {}})
    assert (rig.target.name, rig.target.address, rig.target.user) == (text, text, text)
    assert rig.target.load_address == text


def test_other_variables_are_ignored() -> None:
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
def test_malformed_listing_is_refused(inventory: dict[str, Any]) -> None:
    error_message(inventory)


# Ansible's variables


def host_of(**variables: object) -> Host:
    return rigs_of({"t": {}}, {"c": variables})[0].clients[0]


def test_older_variable_names_have_precedence_as_in_ansible() -> None:
    """If both names are set, Ansible uses the older one."""
    old = {"ansible_ssh_host": "203.0.113.1", "ansible_ssh_port": 2222, "ansible_ssh_user": "old"}
    expected = Client(name="c", address="203.0.113.1", port=2222, user="old")
    assert host_of(**old) == expected
    new = {"ansible_host": "203.0.113.2", "ansible_port": 22, "ansible_user": "new"}
    assert host_of(**new, **old) == expected


def test_host_has_an_instance_type_a_region_and_a_price() -> None:
    host = host_of(
        fwbench_instance_type="c7i.large", fwbench_region="eu-west-1", fwbench_price_per_hour=0.1
    )
    assert (host.instance_type, host.region, host.price_per_hour) == ("c7i.large", "eu-west-1", 0.1)


@pytest.mark.parametrize(("value", "price"), [(0, 0.0), (2, 2.0), ("0.0416", 0.0416), ("3", 3.0)])
def test_price_may_be_a_number_or_text(value: object, price: float) -> None:
    assert host_of(fwbench_price_per_hour=value).price_per_hour == price


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), ("yes", True), (1, True), (False, False), ("False", False), ("no", False)],
)
def test_become_may_be_false_for_root(value: object, expected: bool) -> None:
    assert host_of(ansible_become=value, ansible_user="root").become is expected


def test_become_may_not_be_false_for_another_user() -> None:
    variables = {"ansible_become": False, "ansible_user": "admin"}
    message = error_message(listing({"t": variables}, {"c": {}}))
    assert "ansible_become of host 't' is false, and its user 'admin' is not root" in message


def test_hosts_behind_two_bastions_may_share_a_private_address() -> None:
    address = {"ansible_host": "10.0.0.5"}
    targets = {"t": address | {"ansible_ssh_common_args": "-J one"}}
    clients = {"c": address | {"ansible_ssh_common_args": "-J two"}}
    assert len(rigs_of(targets, clients)) == 1
    assert "are the same machine" in error_message(listing(targets, {"c": targets["t"]}))


def test_jump_host_comes_from_the_first_arguments_with_one() -> None:
    host = host_of(ansible_ssh_common_args="-C -J one", ansible_ssh_extra_args="-J two")
    assert host.jump_hosts == (JumpHost(address="one"),)
    assert host_of(ansible_ssh_extra_args="-J two").jump_hosts == (JumpHost(address="two"),)
    assert host_of(ansible_ssh_common_args="").jump_hosts is None


def test_known_hosts_file_comes_from_ssh_arguments() -> None:
    arguments = "-o UserKnownHostsFile=/lab/keys"
    assert host_of(ansible_ssh_common_args=arguments).known_hosts == Path("/lab/keys")
    both = host_of(ansible_ssh_common_args=arguments, fwbench_known_hosts="/own")
    assert both.known_hosts == Path("/own")


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        ("ansible_password", "hunter2", "fwbench logs in with keys alone"),
        ("ansible_ssh_pass", "hunter2", "ansible_ssh_private_key_file"),
        ("ansible_ssh_password", {"__ansible_vault": "hunter2"}, "remove the password"),
        ("ansible_become_password", "hunter2", "NOPASSWD in sudoers"),
        ("ansible_become_pass", "hunter2", "NOPASSWD in sudoers"),
        ("ansible_sudo_pass", "hunter2", "NOPASSWD in sudoers"),
        ("ansible_ssh_private_key", "hunter2", "fwbench reads keys from files"),
        ("ansible_private_key_passphrase", "hunter2", "load the key into ssh-agent"),
        ("ansible_ssh_args", "-o hunter2", "use ansible_ssh_common_args"),
        ("ansible_ssh_executable", "/tmp/hunter2", "on this machine: remove it"),
        ("ansible_sftp_extra_args", "-o ProxyCommand=hunter2", "on this machine: remove it"),
        ("ansible_connection", "local", "is not ssh, and fwbench reaches hosts over SSH alone"),
        ("ansible_become_user", "postgres", "is not root, and fwbench must become root"),
        ("ansible_become_method", "doas", "is not sudo, with which fwbench becomes root"),
        ("ansible_become_exe", "hunter2", "is not sudo"),
        ("ansible_become_flags", "-u hunter2", "has other options than fwbench gives sudo"),
    ],
)
def test_unsupported_variable_is_refused_without_its_secret(
    variable: str, value: object, advice: str
) -> None:
    message = error_message(listing({"t": {variable: value}}, {"c": {}}))
    assert f"{variable} of host 't' " in message
    assert advice in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ansible_connection", "ssh"),
        ("ansible_connection", "ansible.builtin.ssh"),
        ("ansible_become_method", "sudo"),
        ("ansible_become_user", "root"),
        ("ansible_password", None),
        ("ansible_python_interpreter", "/usr/bin/python3"),
        ("ansible_host_key_checking", False),
    ],
)
def test_variable_without_effect_is_accepted(variable: str, value: object) -> None:
    assert host_of(**{variable: value}) == host_of()


DOCS = (ROOT / "docs" / "inventory.md").read_text()


@pytest.mark.parametrize("variable", [*OWN_VARIABLES, *RULES])
def test_every_variable_is_documented(variable: str) -> None:
    assert f"`{variable}`" in DOCS


# Any JSON

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(["t", "c", "-x", "", "a b"]) | st.text(max_size=3)
VARIABLES = st.dictionaries(
    st.sampled_from(
        [
            *OWN_VARIABLES,
            "ansible_host",
            "ansible_port",
            "ansible_user",
            "ansible_become",
            "ansible_ssh_common_args",
            "ansible_ssh_private_key_file",
            "fwbench_ri",
        ]
    )
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
        rigs = parse_rigs(inventory, "hosts.yml")
    except InventoryError as error:
        message = str(error)
        assert message.startswith("hosts.yml: ")
    else:
        hosts = [host for rig in rigs for host in rig.hosts]
        assert len({host.name for host in hosts}) == len(hosts)
        json.dumps([rig.model_dump(mode="json") for rig in rigs]).encode()


def test_rigs_may_be_numbered() -> None:
    listing = {
        "_meta": {
            "hostvars": {
                "t1": {"fwbench_rig": 1},
                "t2": {"fwbench_rig": "2"},
                "c1": {"fwbench_rig": 1},
                "c2": {"fwbench_rig": 2},
            }
        },
        "targets": {"hosts": ["t1", "t2"]},
        "clients": {"hosts": ["c2", "c1"]},
    }
    rigs = parse_rigs(listing, "hosts.ini")
    assert [(rig.name, rig.clients[0].name) for rig in rigs] == [("1", "c1"), ("2", "c2")]
