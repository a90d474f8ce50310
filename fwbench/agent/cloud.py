"""What a cloud tells its machine about itself, where there is a cloud."""

import http.client
import re
import threading
from collections.abc import Callable
from pathlib import Path

from fwbench.agent.counters import text_of

DMI = Path("/sys/class/dmi/id")
CONTAINERS = (Path("/.dockerenv"), Path("/run/.containerenv"))  # Docker's, podman's
SERVICE = ("169.254.169.254", 80)
ANSWER_BYTES = 1 << 10
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_AZURE = "7783-7084-3265-9085-8269-3286-77"

Facts = dict[str, str | None]
_Ask = Callable[..., str | None]


def cloud(service: tuple[str, int] = SERVICE, timeout_s: float = 1.0, for_s: float = 4.0) -> Facts:
    """The machine's `instance_type` and `region` in its cloud's words; None where unknown.

    What the firmware says decides which cloud is asked: a machine that is in none sends nothing. A
    container shares the firmware with a machine that it is only a part of, and sends nothing
    either. An answer counts if it is one plain word; all of them together get `for_s` seconds.
    """
    found: Facts = {"instance_type": None, "region": None}
    asked = None if any(path.exists() for path in CONTAINERS) else _of(firmware())
    if asked is None:
        return found
    # A thread of its own, since a service that answers a byte now and then keeps no timeout.
    told: Facts = {}
    thread = threading.Thread(
        target=lambda: told.update(asked(_Service(service, timeout_s).get)), daemon=True
    )
    thread.start()
    thread.join(for_s)
    for key, value in dict(told).items():
        if value is not None and _WORD.fullmatch(value):
            found[key] = value
    return found


def firmware() -> dict[str, str]:
    """What the machine's makers say that it is."""
    names = ("sys_vendor", "product_name", "bios_vendor", "bios_version", "chassis_asset_tag")
    return {name: text_of(DMI / name).strip() for name in names}


def _of(says: dict[str, str]) -> Callable[[_Ask], Facts] | None:
    if "Amazon EC2" in (says["sys_vendor"], says["bios_vendor"]):
        return _amazon
    if "amazon" in says["bios_version"].lower():  # its older machines, on Xen
        return _amazon
    if says["sys_vendor"] == "Google" and says["product_name"] == "Google Compute Engine":
        return _google
    if says["chassis_asset_tag"] == _AZURE:
        return _azure
    if says["sys_vendor"] == "Hetzner":
        return lambda ask: {"region": ask("/hetzner/v1/metadata/region")}
    if says["sys_vendor"] == "DigitalOcean":
        return lambda ask: {"region": ask("/metadata/v1/region")}
    return None


def _amazon(ask: _Ask) -> Facts:
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    refused: list[int] = []
    token = ask("/latest/api/token", ttl, method="PUT", refused=refused)
    if token is None and not set(refused) & {404, 405, 501}:  # the old way where there is no other
        return {}
    header = {} if token is None else {"X-aws-ec2-metadata-token": token}
    return {
        "instance_type": ask("/latest/meta-data/instance-type", header),
        "region": ask("/latest/meta-data/placement/region", header),
    }


def _google(ask: _Ask) -> Facts:
    header = {"Metadata-Flavor": "Google"}
    at = "/computeMetadata/v1/instance"
    machine, zone = ask(f"{at}/machine-type", header), ask(f"{at}/zone", header)
    return {
        "instance_type": machine and machine.rpartition("/")[2],
        "region": zone and zone.rpartition("/")[2].rpartition("-")[0],
    }


def _azure(ask: _Ask) -> Facts:
    header, given = {"Metadata": "true"}, "api-version=2021-02-01&format=text"
    at = "/metadata/instance/compute"
    return {
        "instance_type": ask(f"{at}/vmSize?{given}", header),
        "region": ask(f"{at}/location?{given}", header),
    }


class _Service:
    """The metadata service, asked without any proxy, and following it nowhere else."""

    def __init__(self, address: tuple[str, int], timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s

    def get(
        self,
        path: str,
        header: dict[str, str] | None = None,
        *,
        method: str = "GET",
        refused: list[int] | None = None,
    ) -> str | None:
        """What it answers, if it is a short text; otherwise the status goes to `refused`."""
        connection = http.client.HTTPConnection(*self._address, timeout=self._timeout_s)
        try:
            connection.request(method, path, headers=header or {})
            answer = connection.getresponse()
            body = answer.read(ANSWER_BYTES + 1)
            status = answer.status
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()
        if status == 200 and len(body) <= ANSWER_BYTES and body.isascii():
            return body.decode().strip()
        if refused is not None:
            refused.append(status)
        return None
