"""Test how cloud metadata services are read, with servers on loopback in their place."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fwbench.agent import cloud

MARKERS = cloud.CONTAINER_MARKERS  # the real paths, which tests replace
UNKNOWN = {"instance_type": None, "region": None}
NITRO = {"sys_vendor": "Amazon EC2"}
XEN = {"sys_vendor": "Xen", "bios_version": "4.11.amazon"}
GOOGLE = {"sys_vendor": "Google", "product_name": "Google Compute Engine"}
AZURE = {
    "sys_vendor": "Microsoft Corporation",
    "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77",
}
LAPTOP = {"sys_vendor": "LENOVO", "product_name": "20XW", "bios_version": "N32ET75W"}

Answer = tuple[int, bytes]
Requests = list[tuple[str, str, dict[str, str]]]
AnswerFunction = Callable[[str, str, dict[str, str]], Answer]
Machine = Callable[[dict[str, str]], None]
Service = Callable[[AnswerFunction], tuple[Requests, tuple[str, int]]]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a function that writes the firmware's fields. There is no container marker."""
    monkeypatch.setattr(cloud, "DMI", tmp_path)
    monkeypatch.setattr(cloud, "CONTAINER_MARKERS", ())

    def write_fields(fields: dict[str, str]) -> None:
        for name, value in fields.items():
            (tmp_path / name).write_text(f"{value}\n")

    return write_fields


@pytest.fixture
def service() -> Iterator[Service]:
    """Yield a function that starts a server, and returns its requests and its address.

    The argument is a function that returns the answer to a request.
    """
    servers = []

    def start(answer: AnswerFunction) -> tuple[Requests, tuple[str, int]]:
        requests: Requests = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                header = {key.lower(): value for key, value in self.headers.items()}
                requests.append((self.command, self.path, header))
                status, body = answer(self.command, self.path, header)
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(body)

            do_PUT = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        servers.append((server, thread))
        return requests, ("127.0.0.1", server.server_port)

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def amazon(method: str, path: str, header: dict[str, str]) -> Answer:
    if (method, path) == ("PUT", "/latest/api/token"):
        ttl = header.get("x-aws-ec2-metadata-token-ttl-seconds")
        return (200, b"TOKEN==") if ttl else (400, b"")
    if header.get("x-aws-ec2-metadata-token") != "TOKEN==":
        return 401, b""
    values = {
        "/latest/meta-data/instance-type": b"c7g.xlarge",
        "/latest/meta-data/placement/region": b"eu-central-1",
    }
    return (200, values[path]) if path in values else (404, b"")


def old_amazon(method: str, path: str, header: dict[str, str]) -> Answer:
    if method == "PUT":
        return 404, b""
    return amazon(method, path, {**header, "x-aws-ec2-metadata-token": "TOKEN=="})


def google(_: str, path: str, header: dict[str, str]) -> Answer:
    if header.get("metadata-flavor") != "Google":
        return 403, b""
    values = {
        "/computeMetadata/v1/instance/machine-type": b"projects/12/machineTypes/e2-medium",
        "/computeMetadata/v1/instance/zone": b"projects/12/zones/europe-west3-c",
    }
    return (200, values[path]) if path in values else (404, b"")


def azure(_: str, path: str, header: dict[str, str]) -> Answer:
    if header.get("metadata") != "true" or "api-version=" not in path:
        return 400, b""
    values = {"vmSize": b"Standard_D2s_v5", "location": b"westeurope"}
    return 200, values[path.partition("?")[0].rpartition("/")[2]]


@pytest.mark.parametrize(
    ("firmware", "answer", "instance_type", "region"),
    [
        (NITRO, amazon, "c7g.xlarge", "eu-central-1"),
        (XEN, amazon, "c7g.xlarge", "eu-central-1"),
        (NITRO, old_amazon, "c7g.xlarge", "eu-central-1"),
        (GOOGLE, google, "e2-medium", "europe-west3"),
        (AZURE, azure, "Standard_D2s_v5", "westeurope"),
        ({"sys_vendor": "Hetzner"}, lambda *_: (200, b"eu-central\n"), None, "eu-central"),
        ({"sys_vendor": "DigitalOcean"}, lambda *_: (200, b"fra1"), None, "fra1"),
    ],
    ids=["nitro", "xen", "without tokens", "google", "azure", "hetzner", "digitalocean"],
)
def test_metadata_service_of_each_cloud_is_read(
    machine: Machine,
    service: Service,
    firmware: dict[str, str],
    answer: AnswerFunction,
    instance_type: str | None,
    region: str | None,
) -> None:
    machine(firmware)
    _, address = service(answer)
    assert cloud.cloud_facts(address) == {"instance_type": instance_type, "region": region}


@pytest.mark.parametrize(
    "firmware", [{}, LAPTOP, {"sys_vendor": "QEMU"}, {"bios_vendor": "Google"}]
)
def test_machine_outside_clouds_sends_no_request(
    machine: Machine, service: Service, firmware: dict[str, str]
) -> None:
    machine(firmware)
    requests, address = service(amazon)
    assert cloud.cloud_facts(address) == UNKNOWN
    assert requests == []


@pytest.mark.parametrize(
    "marker",
    [
        ".dockerenv",
        "run/.containerenv",
        "run/systemd/container",
        "run/host/container-manager",
        "dev/lxd",
        "run/secrets/kubernetes.io",
    ],
)
def test_container_sends_no_request(
    machine: Machine, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marker: str
) -> None:
    """The answer would describe the container's host."""
    machine(NITRO)
    (tmp_path / marker).mkdir(parents=True)
    monkeypatch.setattr(
        cloud, "CONTAINER_MARKERS", [tmp_path / path.relative_to("/") for path in MARKERS]
    )
    requests, address = service(amazon)
    assert cloud.cloud_facts(address) == UNKNOWN
    assert requests == []


@pytest.mark.parametrize("firmware", [NITRO, GOOGLE, AZURE, {"sys_vendor": "Hetzner"}])
def test_only_type_and_region_are_requested(
    machine: Machine, service: Service, firmware: dict[str, str]
) -> None:
    """Credentials and user data are never requested: a container without a marker asks too."""
    machine(firmware)
    requests, address = service(lambda *_: (200, b"word"))
    cloud.cloud_facts(address)
    assert {path.partition("?")[0].rpartition("/")[2] for _, path, _ in requests} <= {
        *("token", "instance-type", "region", "machine-type", "zone", "vmSize", "location")
    }
    assert requests


def test_refused_token_is_not_circumvented(machine: Machine, service: Service) -> None:
    machine(NITRO)
    requests, address = service(lambda method, *_: (403, b"") if method == "PUT" else (200, b"x"))
    assert cloud.cloud_facts(address) == UNKNOWN
    assert [method for method, *_ in requests] == ["PUT"]


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"\x1b[2Jc7i.large"),
        (200, b"c7i.large\nregion"),
        (200, b"<html>"),
        (200, b"../../etc/passwd"),
        (200, b"{{ 7 * 7 }}"),
        (200, b"\xff\xfe"),
        (200, "zürich".encode()),
        (200, b"x" * 65),
        (200, b"x" * 10_000_000),
        (200, b""),
        (302, b"c7i.large"),
        (500, b"c7i.large"),
    ],
    ids=range(12),
)
def test_malformed_answer_is_none(machine: Machine, service: Service, answer: Answer) -> None:
    machine(NITRO)
    _, address = service(lambda method, *_: (200, b"TOKEN") if method == "PUT" else answer)
    assert cloud.cloud_facts(address) == UNKNOWN


@pytest.mark.parametrize("token", [b"T\r\nX-Evil: 1", b"T\x00", b"\x7f"])
def test_token_cannot_inject_headers(machine: Machine, service: Service, token: bytes) -> None:
    machine(NITRO)
    requests, address = service(lambda method, *_: (200, token) if method == "PUT" else (200, b"x"))
    cloud.cloud_facts(address)
    assert not any("x-evil" in header for _, _, header in requests)


def test_missing_service_is_no_error(machine: Machine) -> None:
    machine(NITRO)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert cloud.cloud_facts(taken.getsockname()) == UNKNOWN


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_slow_service_times_out(machine: Machine, head: bytes) -> None:
    """A byte now and then resets a socket's timeout, but not the total timeout."""
    machine(NITRO)
    stop = threading.Event()

    def drip() -> None:
        with suppress(OSError), server.accept()[0] as connection:
            connection.sendall(head)
            while head and not stop.wait(0.05):
                connection.sendall(b"x")
            stop.wait(5)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        assert (
            cloud.cloud_facts(server.getsockname(), timeout_s=0.2, total_timeout_s=0.5) == UNKNOWN
        )
        assert time.monotonic() - began < 3
        stop.set()
        thread.join()
