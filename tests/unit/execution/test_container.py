from ipaddress import ip_address
from typing import Any

import pytest
from builders import FLASK, HELLO, TIMED
from fakes import FakeHost
from hypothesis import given
from hypothesis import strategies as st

from fwbench.errors import HostError, NotReadyError, RunError
from fwbench.execution.container import endpoint_url, remove, run_argv, start
from fwbench.model.setting import Concurrency, Limits, Network, Setting

IMAGE = "sha256:0123456789abcdef"


PLAIN = Setting(endpoint="hello", load=TIMED)


def argv(setting: Setting = PLAIN, address: str = "192.0.2.1") -> list[str]:
    return run_argv("fwbench-s-r1", FLASK, IMAGE, setting, address, "s", (0, 1, 3))


def argv_with_limits(**limits: Any) -> list[str]:
    return argv(PLAIN.model_copy(update={"limits": Limits(**limits)}))


def test_docker_run_command_with_cpu_quota_and_memory_limit() -> None:
    assert argv_with_limits(cpus=1, cpu_mode="quota", memory="512m") == [
        "docker",
        "run",
        "--detach",
        "--pull=never",
        "--name=fwbench-s-r1",
        "--label=fwbench.session=s",
        "--publish=192.0.2.1:8001:8001",
        "--log-driver=local",
        "--log-opt=max-size=4m",
        "--log-opt=max-file=2",
        "--pids-limit=16384",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--read-only",
        "--tmpfs=/tmp:size=256m",
        "--env=FWBENCH_WORKERS=4",
        "--env=FWBENCH_THREADS=32",
        "--cpus=1",
        "--memory=512m",
        "--memory-swap=512m",
        IMAGE,
    ]


def test_no_limit_options_without_limits() -> None:
    assert not [argument for argument in argv() if argument.startswith(("--cpu", "--memory"))]


@pytest.mark.parametrize(
    ("limits", "option"),
    [
        ({"cpus": 0.5}, "--cpus=0.5"),
        ({"cpus": 2.0, "cpu_mode": "quota"}, "--cpus=2"),
        ({"cpus": 1}, "--cpuset-cpus=3"),
        ({"cpus": 2}, "--cpuset-cpus=1,3"),
        ({"cpus": 3, "cpu_mode": "pinned"}, "--cpuset-cpus=0,1,3"),
    ],
)
def test_cpu_limit_pins_the_last_cpus_or_sets_a_quota(limits: dict[str, Any], option: str) -> None:
    assert [
        argument for argument in argv_with_limits(**limits) if argument.startswith("--cpu")
    ] == [option]


def test_workers_and_threads_come_from_the_suite() -> None:
    concurrency = Concurrency(workers=2, threads=8)
    arguments = argv(PLAIN.model_copy(update={"concurrency": concurrency}))
    assert {"--env=FWBENCH_WORKERS=2", "--env=FWBENCH_THREADS=8"} <= set(arguments)


@pytest.mark.parametrize(
    ("address", "bind"), [("192.0.2.1", "192.0.2.1"), ("fd00::1", "[fd00::1]")]
)
def test_host_network_binds_to_the_load_address_only(address: str, bind: str) -> None:
    arguments = argv(PLAIN.model_copy(update={"network": Network.HOST}), address)
    assert {"--network=host", f"--env=FWBENCH_BIND={bind}"} <= set(arguments)
    assert not [argument for argument in arguments if argument.startswith("--publish")]


def test_ipv6_address_is_in_brackets() -> None:
    assert "--publish=[fd00::1]:8001:8001" in argv(address="fd00::1")
    assert endpoint_url("fd00::1", FLASK, HELLO) == "http://[fd00::1]:8001/"


def test_url_has_the_contenders_port_and_the_contracts_path() -> None:
    contract = HELLO.model_copy(update={"path": "/json?a=1"})
    assert endpoint_url("192.0.2.1", FLASK, contract) == "http://192.0.2.1:8001/json?a=1"


@given(address=st.ip_addresses().filter(lambda a: "%" not in str(a)))
def test_container_is_published_on_one_address_only(address: object) -> None:
    published = [
        argument for argument in argv(address=str(address)) if argument.startswith("--publish=")
    ]
    (option,) = published
    host = option.removeprefix("--publish=").removesuffix(":8001:8001")
    assert ip_address(host.strip("[]")) == address


@given(name=st.text(min_size=1), session=st.text(min_size=1))
def test_hostile_names_stay_single_arguments(name: str, session: str) -> None:
    arguments = run_argv(name, FLASK, IMAGE, PLAIN, "192.0.2.1", session, (0,))
    assert len(arguments) == len(argv())
    assert arguments[4:6] == [f"--name={name}", f"--label=fwbench.session={session}"]
    assert arguments[-1] == IMAGE


def test_start_runs_the_command_as_root() -> None:
    target = FakeHost("target")
    start(target, FLASK, argv())
    assert target.containers == {"fwbench-s-r1"}


@pytest.mark.parametrize(
    ("stderr", "error_type", "sentence"),
    [
        (
            "docker: Error response from daemon: driver failed programming external connectivity"
            " on endpoint x: Bind for 192.0.2.1:8001 failed: port is already allocated.",
            RunError,
            "target: port 8001 is in use, flask needs it; "
            "`ss -ltnp` on that host shows which program uses it",
        ),
        (
            "docker: Error response from daemon: failed to set up container networking: failed to"
            " bind host port for 192.0.2.1:8001: listen tcp4 192.0.2.1:8001: bind: address"
            " already in use",
            RunError,
            "target: port 8001 is in use, flask needs it; "
            "`ss -ltnp` on that host shows which program uses it",
        ),
        (
            "docker: Error response from daemon: listen tcp4 192.0.2.1:8001: bind: cannot assign"
            " requested address.",
            RunError,
            "target: the load address does not belong to this host (.*); set fwbench_load_address",
        ),
        (
            "docker: Error response from daemon: No such image: sha256:0123456789abcdef.",
            NotReadyError,
            "target: the image of flask is missing; run `fwbench provision`",
        ),
        (
            "docker: Error response from daemon: No command specified.\nSee 'docker run --help'.",
            RunError,
            "target: Docker could not start flask: docker: .* specified. See 'docker run",
        ),
    ],
    ids=["allocated", "in-use", "address", "image", "other"],
)
def test_engine_error_becomes_one_sentence(
    stderr: str, error_type: type[Exception], sentence: str
) -> None:
    target = FakeHost("target")
    target.engine_says = stderr
    with pytest.raises(error_type) as caught:
        start(target, FLASK, argv())
    assert type(caught.value) is error_type
    assert_matches(str(caught.value), sentence)


def assert_matches(text: str, sentence: str) -> None:
    """Assert that `text` begins with `sentence`, where `.*` matches any text."""
    start_at = 0
    for number, fragment in enumerate(sentence.split(".*")):
        position = text.find(fragment, start_at)
        assert position == 0 if number == 0 else position >= start_at, text
        start_at = position + len(fragment)
    assert "\n" not in text


def test_engine_failure_without_output_is_reported() -> None:
    class SilentHost(FakeHost):
        def _perform(self, _argv: list[str], _sudo: bool) -> tuple[int, str]:
            return 124, ""

    with pytest.raises(RunError, match=r"target: Docker could not start flask: .*124"):
        start(SilentHost("target"), FLASK, argv())


def test_container_is_removed_with_its_volumes() -> None:
    target = FakeHost("target")
    start(target, FLASK, argv())
    remove(target, "fwbench-s-r1")
    assert target.containers == set()
    assert target.asked[-1] == "docker rm --force --volumes fwbench-s-r1"


def test_lost_host_raises_host_error() -> None:
    target = FakeHost("target")
    target.lost = True
    with pytest.raises(HostError, match="target: the connection was lost"):
        start(target, FLASK, argv())
