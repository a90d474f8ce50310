"""Filters of the role `contender_images`: why a target could not build, as one message."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LAST_OUTPUT = " Last output: "
KEPT_OUTPUT_CHARACTERS = 1500
KEPT_REASON_CHARACTERS = 500
NETWORK_ERRORS = (
    *["could not resolve", "name resolution", "connection", "timed out", "unreachable"],
    *["certificate", "no matching distribution"],
)


class FilterModule:
    """The entry point of Ansible."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "contender_images_failure": failure,
            "contender_images_base_failure": base_failure,
            "contender_images_reasons": reasons,
        }


def failure(result: Mapping[str, Any], host: str, names: Sequence[str], hide_output: bool) -> str:
    """Return which contenders a host could not build, advice, and the end of the output.

    `result` is that of the failed task. Its output is left out on request: it may hold credentials.
    """
    output = _output(result)
    shown = "(hidden, since it may contain credentials)" if hide_output else _end(output)
    return f"{host} could not build {', '.join(names)}.{_advice(output, host)}{LAST_OUTPUT}{shown}"


def base_failure(result: Mapping[str, Any], host: str, base: str) -> str:
    """Return that a host could neither pull nor make the base, advice, and the end of the output.

    `result` is that of the failed task.
    """
    return (
        f"{host} could neither pull {base} nor make a base from Debian packages. Check that it "
        "reaches a registry or its package mirror, and provision again."
        f"{LAST_OUTPUT}{_end(_output(result))}"
    )


def reasons(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[str]:
    """Return for each host why it could not provide images: one message without its output."""
    messages = (
        hostvars[host].get("contender_images_build_error") or f"{host} could not provide images."
        for host in dict.fromkeys(hosts)
    )
    return [_shortened(message.split(LAST_OUTPUT)[0]) for message in messages]


def _shortened(text: str) -> str:
    fits = len(text) <= KEPT_REASON_CHARACTERS
    return text if fits else text[: KEPT_REASON_CHARACTERS - 1] + "…"


def _output(result: Mapping[str, Any]) -> str:
    """Return what a failed task printed. Of a loop this is the first item that failed."""
    failed = next((item for item in result.get("results", [result]) if item.get("failed")), result)
    return " ".join(str(text) for key in ("stdout", "stderr", "msg") if (text := failed.get(key)))


def _end(output: str) -> str:
    return output[-KEPT_OUTPUT_CHARACTERS:]


def _advice(output: str, host: str) -> str:
    lower = output.lower()
    if "no space left" in lower:
        return " Free disk space there and provision again."
    if "oci runtime" in lower:
        return " Its engine cannot start containers: run `docker run` there to see why."
    if any(words in lower for words in NETWORK_ERRORS):
        return (
            f" Check that {host} reaches its package index, and that fwbench_ca_certs lists the "
            "certificate authorities of its network. Then provision again."
        )
    return ""
