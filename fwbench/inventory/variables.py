"""Turn the variables of one host into a `Host`, and check them."""

import difflib
import math
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from fwbench.errors import InventoryError
from fwbench.inventory import refused_variables
from fwbench.inventory.ssh_arguments import SshRoute, parse_ssh_arguments
from fwbench.model.host import Host, JumpHost

OWN_VARIABLES = (
    "fwbench_instance_type",
    "fwbench_known_hosts",
    "fwbench_load_address",
    "fwbench_price_per_hour",
    "fwbench_region",
    "fwbench_rig",
)
# Synonyms: the last one that is set counts, as in Ansible.
_ADDRESSES = ("ansible_host", "ansible_ssh_host")
_PORTS = ("ansible_port", "ansible_ssh_port")
_USERS = ("ansible_user", "ansible_ssh_user")
_KEY_FILES = ("ansible_private_key_file", "ansible_ssh_private_key_file")
# In their order on ssh's command line.
_SSH_ARGUMENTS = ("ansible_ssh_common_args", "ansible_ssh_extra_args")
_TRUE = frozenset({"y", "yes", "on", "1", "true", "t"})
_FALSE = frozenset({"n", "no", "off", "0", "false", "f"})


class Variables:
    """The variables of a host. All errors are `InventoryError` and name the inventory `source`."""

    def __init__(self, source: str, name: str, values: Mapping[object, object]) -> None:
        self._source = source
        self._name = name
        self._values = values

    def host(self) -> Host:
        """Return the host that the variables describe."""
        self._check_text(self._name, "a host's name")
        self._check_spelling()
        self._check_refused()
        user, become, route = self._last_text(_USERS), self._become(), self._ssh_route()
        if not become and user not in (None, "root"):
            raise self._error(
                f"{self._label('ansible_become')} is false, and its user {user!r:.80} is not root:"
                " remove ansible_become, or log in as root"
            )
        known_hosts = self._path("fwbench_known_hosts")
        if known_hosts is None and route.known_hosts:
            known_hosts = self._expand(route.known_hosts, "UserKnownHostsFile")
        return Host(
            name=self._name,
            address=self._last_text(_ADDRESSES) or self._name,
            port=self._port(),
            user=user,
            key_file=next((p for key in reversed(_KEY_FILES) if (p := self._path(key))), None),
            known_hosts=known_hosts,
            jump_hosts=route.jump,
            become=become,
            instance_type=self.text("fwbench_instance_type"),
            region=self.text("fwbench_region"),
            price_per_hour=self._price(),
        )

    def text(self, key: str) -> str | None:
        """Return the text of a variable, or None if it is not set."""
        value = self._value(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._error(f"{self._label(key)} must be text, not {value!r:.80}")
        self._check_text(value, self._label(key))
        return value

    def name(self, key: str) -> str | None:
        """Return a name, which may be a number: Ansible reads `fwbench_rig=1` as one."""
        value = self._value(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.text(key)

    def _value(self, key: str) -> object:
        return _unwrap(self._values.get(key))

    def _last_text(self, keys: tuple[str, ...]) -> str | None:
        texts = [text for key in keys if (text := self.text(key)) is not None]
        return texts[-1] if texts else None

    def _port(self) -> int | None:
        key = next((key for key in reversed(_PORTS) if self._value(key) is not None), None)
        if key is None:
            return None
        value = self._value(key)
        if isinstance(value, str) and re.fullmatch("[0-9]{1,5}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
            raise self._error(
                f"{self._label(key)} must be a number from 1 to 65535, not {value!r:.80}"
            )
        return value

    def _price(self) -> float | None:
        key = "fwbench_price_per_hour"
        value = self._value(key)
        if value is None:
            return None
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,12})?", value):
            value = float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
            return float(value)
        raise self._error(
            f"{self._label(key)} must be a number, 0 or more and without a currency,"
            f" not {value!r:.80}"
        )

    def _path(self, key: str) -> Path | None:
        text = self.text(key)
        return None if text is None else self._expand(text, key)

    def _expand(self, text: str, key: str) -> Path:
        try:
            return Path(text).expanduser()
        except RuntimeError as error:
            raise self._error(
                f"{self._label(key)}: {text!r:.80} names an unknown user: write the full path"
            ) from error

    def _ssh_route(self) -> SshRoute:
        jump: tuple[JumpHost, ...] | None = None
        known_hosts: str | None = None
        for key in _SSH_ARGUMENTS:
            value = self._value(key)
            if value is None or value == "":
                continue
            if not isinstance(value, str):
                raise self._error(f"{self._label(key)} must be text")
            self._check_ssh_arguments(value, self._label(key))
            try:
                route = parse_ssh_arguments(value)
            except ValueError as error:
                raise self._error(f"{self._label(key)} {error}") from error
            jump = route.jump if jump is None else jump
            known_hosts = known_hosts or route.known_hosts
        return SshRoute(jump, known_hosts)

    def _become(self) -> bool:
        value = self._value("ansible_become")
        if value is None:
            return True
        word = str(value).strip().lower()
        if word not in _TRUE | _FALSE:
            raise self._error(f"{self._label('ansible_become')} must be true or false")
        return word in _TRUE

    def _check_refused(self) -> None:
        for key, rule in refused_variables.RULES.items():
            value = self._value(key)
            if value is not None and value not in rule.allowed:
                raise self._error(f"{self._label(key)} {rule.message}")
        for key in refused_variables.SHELL_VARIABLES:
            value = self._value(key)
            if value is not None and not refused_variables.PLAIN_VALUE.fullmatch(str(value)):
                raise self._error(f"{self._label(key)} must be a plain path or word")
        for variable, value in self._values.items():
            if variable in _SSH_ARGUMENTS:
                continue  # `_check_ssh_arguments` checks these
            if refused_variables.has_template(variable, value):
                raise self._error(
                    f"{self._label(f'{variable!s:.80}')}: fwbench does not evaluate templates;"
                    " write the value"
                )

    def _check_text(self, text: str, what: str) -> None:
        if not text.strip():
            raise self._error(f"{what} is empty")
        if text.startswith("-"):
            raise self._error(f"{what} is {text!r:.80}: ssh would take it for an option")
        if any(unicodedata.category(character) in _INVISIBLE_CATEGORIES for character in text):
            raise self._error(f"{what} is {text!r:.80}: remove the control character")
        if _is_template(text):
            raise self._error(
                f"{what} is {text!r:.80}: fwbench does not evaluate templates; write the value"
            )

    def _check_ssh_arguments(self, text: str, what: str) -> None:
        """Check arguments without quoting them in the error: they may contain a password."""
        if _is_template(text):
            raise self._error(
                f"{what} is a template, which fwbench does not evaluate: write the value"
            )
        if any(unicodedata.category(character) in _INVISIBLE_CATEGORIES for character in text):
            raise self._error(f"{what} has a control character: remove it")

    def _check_spelling(self) -> None:
        for key in self._values:
            matches = difflib.get_close_matches(str(key), OWN_VARIABLES, n=1, cutoff=0.85)
            if matches and key not in OWN_VARIABLES:
                raise self._error(
                    f"host {self._name!r:.80} has the variable {key!r:.80};"
                    f" did you mean {matches[0]!r}?"
                )

    def _label(self, key: str) -> str:
        return f"{key} of host {self._name!r:.80}"

    def _error(self, problem: str) -> InventoryError:
        return InventoryError(f"{self._source}: {problem}")


# Control characters, invisible formatting (including reversals of the writing direction),
# surrogates, and line separators.
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _unwrap(value: object) -> object:
    """Return the text itself: Ansible wraps text from outside, such as a cloud's addresses."""
    if isinstance(value, Mapping) and set(value) == {"__ansible_unsafe"}:
        return value["__ansible_unsafe"]
    return value
