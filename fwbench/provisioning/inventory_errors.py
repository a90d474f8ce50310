"""Find the reason in what `ansible-inventory` prints when it cannot read an inventory."""

import re

_FAILURE = re.compile(r"^\[WARNING\]: Failed to parse inventory with '([\w.]+)' plugin: ", re.M)
_SOURCE = re.compile(r"^\[ERROR\]: Completely failed to parse inventory source (.*)$", re.M)
_ORIGIN = re.compile(r"^Origin: (?!<)(.*)$", re.M)
_SCRIPT_ERRORS = re.compile(r"^Standard error from inventory script:\n(.*)", re.M | re.S)
_LOADING = re.compile(r"^\[WARNING\]: Error loading plugin (.*)$", re.M)
_YAML_SUFFIXES = (".json", ".yaml", ".yml")
MAX_CHARACTERS = 400


def failure_reason(stderr: str) -> str:
    """Return the reason that the responsible plugin gives, on one line.

    Ansible tries one plugin after the other and ends with `ini`, whose complaint is seldom the
    reason. The first that failed is responsible, because Ansible tries specific plugins first: but
    `yaml` also tries files without a suffix, which are usually meant for `ini`. If nothing is
    recognised, return the end of `stderr`.
    """
    source = _SOURCE.search(stderr)
    text = stderr[: source.start()] if source else stderr
    failures = list(_FAILURE.finditer(text))
    if not failures:
        return _one_line(stderr.replace("ERROR!", ""))[-MAX_CHARACTERS:]
    ends = [*(failure.start() for failure in failures[1:]), len(text)]
    sections = {
        failure[1]: text[failure.end() : end]
        for failure, end in reversed(list(zip(failures, ends, strict=True)))
    }
    plugin = failures[0][1]
    if plugin == "yaml" and source and not source[1].endswith(_YAML_SUFFIXES):
        plugin = failures[-1][1]
    section = sections[plugin]
    reason = section.partition("\n\n")[0]
    if origin := _ORIGIN.search(section):
        reason += f" ({origin[1]})"
    if printed := _SCRIPT_ERRORS.search(section):
        reason += f" It printed: {printed[1]}"
    if loading := _LOADING.search(text[: failures[0].start()]):
        reason += f" (cannot load {loading[1]})"
    return _one_line(reason)[:MAX_CHARACTERS]


def _one_line(text: str) -> str:
    return " ".join(text.split())
