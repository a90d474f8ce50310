from builders import client_facts, rig, target_facts

from fwbench.model.host_check import NOT_YET, HostCheck
from fwbench.model.lab import LabHost
from fwbench.model.play import HostResult, PlayResult
from fwbench.model.record import HostFacts
from fwbench.providers.lab.size import parse_size
from fwbench.report.commands import hosts


def row_of(text: str, host: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{host} ")]
    return line


def host_check(number: int, facts: HostFacts | None, **changes: str) -> HostCheck:
    host = rig().hosts[number]
    return HostCheck(host=host, rig=rig().name, is_target=number == 0, facts=facts, **changes)


def test_host_row_has_the_instance_type_if_known() -> None:
    target, client = rig().hosts
    table = hosts.host_check_table(
        [
            host_check(0, target_facts(target.name, cpus=0.5, instance_type="small")),
            host_check(1, client_facts(client.name)),
        ]
    )
    assert " small: 0.5 CPUs, 8.0 GiB " in row_of(table, target.name)
    assert "  2 CPUs, 8.0 GiB " in row_of(table, client.name)


def test_host_row_has_the_provisioning_state() -> None:
    target, client = rig().hosts
    unprovisioned = client_facts(client.name, versions={})
    table = hosts.host_check_table(
        [host_check(0, target_facts(target.name)), host_check(1, unprovisioned, missing=NOT_YET)]
    )
    assert row_of(table, target.name).endswith("  yes")
    assert row_of(table, client.name).split()[-3:] == ["nothing", "not", "yet"]
    assert len(table.splitlines()) == 4

    table = hosts.host_check_table(
        [
            host_check(0, None, error="no route"),
            host_check(1, unprovisioned, missing="No h2load\nhere."),
        ]
    )
    assert row_of(table, target.name).endswith("failed: see below")
    assert row_of(table, client.name).endswith("  incomplete: see below")
    assert table.splitlines()[4:] == ["", f"{client.name}: No h2load here."]
    named_in_message = host_check(1, unprovisioned, missing=f"{client.name} lacks h2load.")
    assert hosts.host_check_table([named_in_message]).endswith(f"\n\n{client.name} lacks h2load.")


def test_play_table_has_the_result_of_each_host() -> None:
    target, client = rig().hosts
    results = (
        HostResult(host=target.name, changed=4, error="Install: no network"),
        HostResult(host=client.name, changed=0, error="does not answer", skipped=True),
    )
    table = hosts.play_table(PlayResult(hosts=results), [rig()])
    assert " ".join(row_of(table, target.name).split()[1:]) == "one failed: see below 4"
    assert " ".join(row_of(table, client.name).split()[1:]) == "one skipped: see below 0"


def test_lab_table_has_the_size_of_a_host_if_set() -> None:
    def host(name: str, size: str | None) -> LabHost:
        return LabHost(
            name=name,
            system="debian:13",
            running=True,
            ssh_port=2201,
            load_address="192.0.2.2",
            size=parse_size(size) if size else None,
        )

    table = hosts.lab_table([host("target-1", "small=0.5,512m,0.01"), host("client-1", None)])
    assert row_of(table, "target-1").split()[1:4] == ["debian:13", "small=0.5,512m,0.01", "up"]
    assert row_of(table, "client-1").split()[1:4] == ["debian:13", "–", "up"]
    assert "fwbench lab up" in hosts.lab_table([])


def test_hosts_that_show_the_same_host_key_are_named() -> None:
    target, client = rig().hosts
    key = "ssh-ed25519 SHA256:AAAA"
    checks = [
        host_check(0, target_facts(target.name), host_key=key),
        host_check(1, client_facts(client.name), host_key=key),
    ]
    note = hosts.host_check_table(checks).partition("\n\n")[2]
    assert note.startswith(f"{target.name}, {client.name} show the same host key ({key})")
    checks[1] = host_check(1, client_facts(client.name), host_key="ssh-ed25519 SHA256:BBBB")
    assert len(hosts.host_check_table(checks).splitlines()) == 4
