"""Collect from the events of an Ansible run what fwbench needs of them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

_CLOSED = re.compile(r"^Shared connection to .* closed\.\r?\n?", re.M)


class EventCollector:
    """The handler for ansible_runner's events.

    `errors` has a message for each host on which a task failed, `kept_engines` what each engine
    holds that a teardown kept, and `output` what Ansible printed about itself.
    """

    def __init__(self, on_task: Callable[[str], None]) -> None:
        self.errors: dict[str, str] = {}
        self.kept_engines: dict[str, list[str]] = {}
        self.output: list[str] = []
        self._on_task = on_task

    def handle(self, event: Mapping[str, Any]) -> bool:
        """Record an event. Return True, with which ansible_runner keeps the event as well."""
        kind, data = event["event"], event.get("event_data", {})
        if kind == "playbook_on_task_start":
            self._on_task(str(data.get("name") or data.get("task", "")))
        elif kind in ("runner_on_failed", "runner_on_unreachable"):
            if not data.get("ignore_errors"):
                # The last message counts: a rescue explains why the task before it failed.
                self.errors[str(data["host"])] = failure_message(data)
        elif kind == "playbook_on_stats":
            # The roles set this by `set_stats`.
            self.kept_engines.update(data.get("artifact_data", {}).get("kept_engines", {}))
        elif kind in ("verbose", "error") and event.get("stdout"):
            self.output.append(str(event["stdout"]))
        return True


def failure_message(data: Mapping[str, Any]) -> str:
    """Return one line about a failed task: its name, its messages, and the end of its output."""
    result = data.get("res", {})
    messages = [str(result.get("msg") or "failed").strip()]
    items = [item for item in result.get("results", []) if isinstance(item, dict)]
    # ansible-core 2.19 marks a failed item as `failed`; 2.21 only adds its exception.
    failed = [item for item in items if item.get("failed") or "exception" in item]
    messages += [str(item.get("msg", "")) for item in failed]
    stderr = _CLOSED.sub("", str(result.get("stderr") or "")).strip()
    # On the terminal of a raw command, both outputs are one.
    if output := stderr or str(result.get("stdout") or "").strip():
        messages.append(output[-600:])
    return f"{data.get('task', 'a task')}: {' '.join(' '.join(messages).split())[:1200]}"
