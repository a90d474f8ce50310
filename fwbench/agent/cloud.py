"""Ask the cloud's metadata service for the machine's instance type and region."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from fwbench.agent.counters import read_text

DMI = Path("/sys/class/dmi/id")
# Files of containers. (Virtual machines of LXD have /dev/lxd too; they are in no cloud.)
CONTAINER_MARKERS = (
    Path("/.dockerenv"),
    Path("/run/.containerenv"),  # podman
    Path("/run/systemd/container"),  # LXC, nspawn and others, if systemd is their init
    Path("/run/host/container-manager"),  # nspawn
    Path("/dev/lxd"),
    Path("/run/secrets/kubernetes.io"),
)
METADATA_SERVICE = ("169.254.169.254", 80)
RESPONSE_LIMIT_BYTES = 1 << 10
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_AZURE = "7783-7084-3265-9085-8269-3286-77"

Facts = dict[str, Optional[str]]
_Get = Callable[..., Optional[str]]


def cloud_facts(
    service: tuple[str, int] = METADATA_SERVICE,
    timeout_s: float = 1.0,
    total_timeout_s: float = 4.0,
) -> Facts:
    """Return the machine's `instance_type` and `region` as its cloud names them; None if unknown.

    The firmware's entries (DMI) decide which cloud is asked. A machine outside the known clouds
    sends nothing. A container sends nothing either, if a marker shows that it is one: it sees the
    firmware of its host. (One without a marker asks what its host would ask, and changes nothing.)
    Only answers of one plain word are used. All requests together may take `total_timeout_s`
    seconds.
    """
    facts: Facts = {"instance_type": None, "region": None}
    query_metadata = (
        None if any(path.exists() for path in CONTAINER_MARKERS) else _query_for(firmware())
    )
    if query_metadata is None:
        return facts
    # In a thread: each byte restarts a socket's timeout, so a slow answer could take for ever.
    answers: Facts = {}
    thread = threading.Thread(
        target=lambda: answers.update(query_metadata(_MetadataService(service, timeout_s).get)),
        daemon=True,
    )
    thread.start()
    thread.join(total_timeout_s)
    for key, value in dict(answers).items():
        if value is not None and _WORD.fullmatch(value):
            facts[key] = value
    return facts


def firmware() -> dict[str, str]:
    """Return the DMI entries that identify a cloud's machines."""
    names = ("sys_vendor", "product_name", "bios_vendor", "bios_version", "chassis_asset_tag")
    return {name: read_text(DMI / name).strip() for name in names}


def _query_for(dmi: dict[str, str]) -> Callable[[_Get], Facts] | None:
    if "Amazon EC2" in (dmi["sys_vendor"], dmi["bios_vendor"]):
        return _amazon
    if "amazon" in dmi["bios_version"].lower():  # Amazon's older machines, on Xen
        return _amazon
    if dmi["sys_vendor"] == "Google" and dmi["product_name"] == "Google Compute Engine":
        return _google
    if dmi["chassis_asset_tag"] == _AZURE:
        return _azure
    if dmi["sys_vendor"] == "Hetzner":
        return lambda get: {"region": get("/hetzner/v1/metadata/region")}
    if dmi["sys_vendor"] == "DigitalOcean":
        return lambda get: {"region": get("/metadata/v1/region")}
    return None


def _amazon(get: _Get) -> Facts:
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    error_statuses: list[int] = []
    token = get("/latest/api/token", ttl, method="PUT", error_statuses=error_statuses)
    # These statuses come from a service without tokens (IMDSv1), which is then asked without one.
    if token is None and not set(error_statuses) & {404, 405, 501}:
        return {}
    header = {} if token is None else {"X-aws-ec2-metadata-token": token}
    return {
        "instance_type": get("/latest/meta-data/instance-type", header),
        "region": get("/latest/meta-data/placement/region", header),
    }


def _google(get: _Get) -> Facts:
    header = {"Metadata-Flavor": "Google"}
    folder = "/computeMetadata/v1/instance"
    machine, zone = get(f"{folder}/machine-type", header), get(f"{folder}/zone", header)
    return {
        "instance_type": machine and machine.rpartition("/")[2],
        "region": zone and zone.rpartition("/")[2].rpartition("-")[0],
    }


def _azure(get: _Get) -> Facts:
    header, parameters = {"Metadata": "true"}, "api-version=2021-02-01&format=text"
    folder = "/metadata/instance/compute"
    return {
        "instance_type": get(f"{folder}/vmSize?{parameters}", header),
        "region": get(f"{folder}/location?{parameters}", header),
    }


class _MetadataService:
    """The metadata service, requested without a proxy and without following redirects."""

    def __init__(self, address: tuple[str, int], timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s

    def get(
        self,
        path: str,
        header: dict[str, str] | None = None,
        *,
        method: str = "GET",
        error_statuses: list[int] | None = None,
    ) -> str | None:
        """Return the answer if it is a short text; else add the status to `error_statuses`."""
        connection = http.client.HTTPConnection(*self._address, timeout=self._timeout_s)
        try:
            connection.request(method, path, headers=header or {})
            response = connection.getresponse()
            body = response.read(RESPONSE_LIMIT_BYTES + 1)
            status = response.status
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()
        if status == 200 and len(body) <= RESPONSE_LIMIT_BYTES and body.isascii():
            return body.decode().strip()
        if error_statuses is not None:
            error_statuses.append(status)
        return None
