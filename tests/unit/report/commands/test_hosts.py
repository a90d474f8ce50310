from builders import client_facts, rig, target_facts

from fwbench.model.host_check import NOT_YET, HostCheck
from fwbench.model.lab import LabHost
from fwbench.model.play import HostResult, PlayResult
from fwbench.model.record import HostFacts
from fwbench.providers.lab.size import parse_size
from fwbench.report.commands import hosts


def of(text: str, host: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{host} ")]
    return line


def examined(number: int, facts: HostFacts | None, **changes: str) -> HostCheck:
    host = rig().hosts[number]
    return HostCheck(host=host, rig=rig().name, is_target=number == 0, facts=facts, **changes)


def test_a_host_that_was_examined_has_its_instance_type_where_it_is_known() -> None:
    target, client = rig().hosts
    told = hosts.host_check_table(
        [
            examined(0, target_facts(target.name, cpus=0.5, instance_type="small")),
            examined(1, client_facts(client.name)),
        ]
    )
    assert " small: 0.5 CPUs, 8.0 GiB " in of(told, target.name)
    assert "  2 CPUs, 8.0 GiB " in of(told, client.name)


def test_a_host_is_provisioned_or_not_yet_or_lacks_what_stands_below() -> None:
    target, client = rig().hosts
    bare = client_facts(client.name, versions={})
    told = hosts.host_check_table(
        [examined(0, target_facts(target.name)), examined(1, bare, missing=NOT_YET)]
    )
    assert of(told, target.name).endswith("  yes")
    assert of(told, client.name).split()[-3:] == ["nothing", "not", "yet"]
    assert len(told.splitlines()) == 4

    told = hosts.host_check_table(
        [examined(0, None, error="no route"), examined(1, bare, missing="No h2load\nhere.")]
    )
    assert of(told, target.name).endswith("failed: see below")
    assert of(told, client.name).endswith("  incomplete: see below")
    assert told.splitlines()[4:] == ["", f"{client.name}: No h2load here."]
    named = examined(1, bare, missing=f"{client.name} lacks h2load.")
    assert hosts.host_check_table([named]).endswith(f"\n\n{client.name} lacks h2load.")


def test_what_became_of_each_host_is_told_one_by_one() -> None:
    target, client = rig().hosts
    results = (
        HostResult(host=target.name, changed=4, error="Install: no network"),
        HostResult(host=client.name, changed=0, error="does not answer", skipped=True),
    )
    told = hosts.play_table(PlayResult(hosts=results), [rig()])
    assert " ".join(of(told, target.name).split()[1:]) == "one failed: see below 4"
    assert " ".join(of(told, client.name).split()[1:]) == "one skipped: see below 0"


def test_a_host_of_the_lab_has_its_size_if_it_has_one() -> None:
    def host(name: str, size: str | None) -> LabHost:
        return LabHost(
            name=name,
            system="debian:13",
            running=True,
            ssh_port=2201,
            load_address="192.0.2.2",
            size=parse_size(size) if size else None,
        )

    told = hosts.lab_table([host("target-1", "small=0.5,512m,0.01"), host("client-1", None)])
    assert of(told, "target-1").split()[1:4] == ["debian:13", "small=0.5,512m,0.01", "up"]
    assert of(told, "client-1").split()[1:4] == ["debian:13", "–", "up"]
    assert "fwbench lab up" in hosts.lab_table([])
