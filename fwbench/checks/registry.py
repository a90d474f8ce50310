"""All checks: every module of `checks` that is one."""

import inspect
from importlib import import_module
from pkgutil import iter_modules

from fwbench import checks
from fwbench.checks.support.check import Check
from fwbench.checks.support.thresholds import Threshold

_OTHER_MODULES = {"evaluate", "registry"}

_MODULES = [
    import_module(f"{checks.__name__}.{module.name}")
    for module in iter_modules(checks.__path__)
    if not module.ispkg and module.name not in _OTHER_MODULES
]

# In the order in which findings are reported.
CHECKS: tuple[Check, ...] = tuple(
    sorted((module.CHECK for module in _MODULES), key=lambda check: check.order)
)
CHECKS_BY_CODE: dict[str, Check] = {check.code: check for check in CHECKS}
THRESHOLDS: dict[str, Threshold] = {
    threshold.name: threshold for check in CHECKS for threshold in check.thresholds
}
# What each finding means, by code: the docstring of the check's module.
EXPLANATIONS: dict[str, str] = {
    module.CHECK.code: inspect.cleandoc(module.__doc__ or "") for module in _MODULES
}
