"""All formats: every module of `report.formats`."""

import inspect
from importlib import import_module
from pkgutil import iter_modules

from fwbench.report import formats
from fwbench.report.format import Format

_MODULES = [
    import_module(f"{formats.__name__}.{module.name}") for module in iter_modules(formats.__path__)
]

# By name, in alphabetical order.
FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in _MODULES}
# What each format is for, by name: the docstring of its module.
DESCRIPTIONS: dict[str, str] = {
    module.FORMAT.name: inspect.cleandoc(module.__doc__ or "") for module in _MODULES
}
