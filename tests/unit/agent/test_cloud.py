"""The metadata services of clouds, stood for by servers on loopback."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fwbench.agent import cloud as clouds

MARKERS = clouds.CONTAINER_MARKERS  # of this machine; tests replace them
NOTHING = {"instance_type": None, "region": None}
NITRO = {"sys_vendor": "Amazon EC2"}
XEN = {"sys_vendor": "Xen", "bios_version": "4.11.amazon"}
GOOGLE = {"sys_vendor": "Google", "product_name": "Google Compute Engine"}
AZURE = {
    "sys_vendor": "Microsoft Corporation",
    "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77",
}
HOME = {"sys_vendor": "LENOVO", "product_name": "20XW", "bios_version": "N32ET75W"}

Answer = tuple[int, bytes]
Asked = list[tuple[str, str, dict[str, str]]]
Answering = Callable[[str, str, dict[str, str]], Answer]
Machine = Callable[[dict[str, str]], None]
Service = Callable[[Answering], tuple[Asked, tuple[str, int]]]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Lays out the firmware's words; by default this is no container."""
    monkeypatch.setattr(clouds, "DMI", tmp_path)
    monkeypatch.setattr(clouds, "CONTAINER_MARKERS", ())

    def says(words: dict[str, str]) -> None:
        for name, word in words.items():
            (tmp_path / name).write_text(f"{word}\n")

    return says


@pytest.fixture
def service() -> Iterator[Service]:
    """Starts a server that answers as a function says, and keeps what it was asked."""
    servers = []

    def start(answer: Answering) -> tuple[Asked, tuple[str, int]]:
        asked: Asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                header = {key.lower(): value for key, value in self.headers.items()}
                asked.append((self.command, self.path, header))
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
        return asked, ("127.0.0.1", server.server_port)

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def amazon(method: str, path: str, header: dict[str, str]) -> Answer:
    if (method, path) == ("PUT", "/latest/api/token"):
        given = header.get("x-aws-ec2-metadata-token-ttl-seconds")
        return (200, b"TOKEN==") if given else (400, b"")
    if header.get("x-aws-ec2-metadata-token") != "TOKEN==":
        return 401, b""
    told = {
        "/latest/meta-data/instance-type": b"c7g.xlarge",
        "/latest/meta-data/placement/region": b"eu-central-1",
    }
    return (200, told[path]) if path in told else (404, b"")


def old_amazon(method: str, path: str, header: dict[str, str]) -> Answer:
    if method == "PUT":
        return 404, b""
    return amazon(method, path, {**header, "x-aws-ec2-metadata-token": "TOKEN=="})


def google(_: str, path: str, header: dict[str, str]) -> Answer:
    if header.get("metadata-flavor") != "Google":
        return 403, b""
    told = {
        "/computeMetadata/v1/instance/machine-type": b"projects/12/machineTypes/e2-medium",
        "/computeMetadata/v1/instance/zone": b"projects/12/zones/europe-west3-c",
    }
    return (200, told[path]) if path in told else (404, b"")


def azure(_: str, path: str, header: dict[str, str]) -> Answer:
    if header.get("metadata") != "true" or "api-version=" not in path:
        return 400, b""
    told = {"vmSize": b"Standard_D2s_v5", "location": b"westeurope"}
    return 200, told[path.partition("?")[0].rpartition("/")[2]]


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
def test_each_cloud_is_asked_in_its_own_way(
    machine: Machine,
    service: Service,
    firmware: dict[str, str],
    answer: Answering,
    instance_type: str | None,
    region: str | None,
) -> None:
    machine(firmware)
    _, address = service(answer)
    assert clouds.cloud_facts(address) == {"instance_type": instance_type, "region": region}


@pytest.mark.parametrize("firmware", [{}, HOME, {"sys_vendor": "QEMU"}, {"bios_vendor": "Google"}])
def test_a_machine_in_no_cloud_asks_nobody(
    machine: Machine, service: Service, firmware: dict[str, str]
) -> None:
    machine(firmware)
    asked, address = service(amazon)
    assert clouds.cloud_facts(address) == NOTHING
    assert asked == []


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
def test_a_container_asks_nobody(
    machine: Machine, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marker: str
) -> None:
    """What it would hear is about the machine that it is a part of."""
    machine(NITRO)
    (tmp_path / marker).mkdir(parents=True)
    monkeypatch.setattr(
        clouds, "CONTAINER_MARKERS", [tmp_path / path.relative_to("/") for path in MARKERS]
    )
    asked, address = service(amazon)
    assert clouds.cloud_facts(address) == NOTHING
    assert asked == []


@pytest.mark.parametrize("firmware", [NITRO, GOOGLE, AZURE, {"sys_vendor": "Hetzner"}])
def test_what_is_asked_is_type_and_region_alone(
    machine: Machine, service: Service, firmware: dict[str, str]
) -> None:
    """No user data, no credentials: a container that nothing marks as one asks this too."""
    machine(firmware)
    asked, address = service(lambda *_: (200, b"word"))
    clouds.cloud_facts(address)
    assert {path.partition("?")[0].rpartition("/")[2] for _, path, _ in asked} <= {
        *("token", "instance-type", "region", "machine-type", "zone", "vmSize", "location")
    }
    assert asked


def test_a_token_that_is_refused_is_not_gone_round(machine: Machine, service: Service) -> None:
    machine(NITRO)
    asked, address = service(lambda method, *_: (403, b"") if method == "PUT" else (200, b"x"))
    assert clouds.cloud_facts(address) == NOTHING
    assert [method for method, *_ in asked] == ["PUT"]


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
def test_an_answer_that_is_no_word_is_none(
    machine: Machine, service: Service, answer: Answer
) -> None:
    machine(NITRO)
    _, address = service(lambda method, *_: (200, b"TOKEN") if method == "PUT" else answer)
    assert clouds.cloud_facts(address) == NOTHING


@pytest.mark.parametrize("token", [b"T\r\nX-Evil: 1", b"T\x00", b"\x7f"])
def test_a_token_cannot_write_headers(machine: Machine, service: Service, token: bytes) -> None:
    machine(NITRO)
    asked, address = service(lambda method, *_: (200, token) if method == "PUT" else (200, b"x"))
    clouds.cloud_facts(address)
    assert not any("x-evil" in header for _, _, header in asked)


def test_a_service_that_is_not_there_is_no_error(machine: Machine) -> None:
    machine(NITRO)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert clouds.cloud_facts(taken.getsockname()) == NOTHING


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_a_service_that_takes_its_time_is_not_waited_for(machine: Machine, words: bytes) -> None:
    """Not even where it sends a byte now and then, which no timeout of a socket notices."""
    machine(NITRO)
    done = threading.Event()

    def drip() -> None:
        with suppress(OSError), server.accept()[0] as connection:
            connection.sendall(words)
            while words and not done.wait(0.05):
                connection.sendall(b"x")
            done.wait(5)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        assert (
            clouds.cloud_facts(server.getsockname(), timeout_s=0.2, total_timeout_s=0.5) == NOTHING
        )
        assert time.monotonic() - began < 3
        done.set()
        thread.join()
