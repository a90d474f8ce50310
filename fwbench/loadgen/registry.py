"""All load generators: every module of `loadgen` that is one."""

from importlib import import_module
from pkgutil import iter_modules

from fwbench import loadgen
from fwbench.loadgen.generator import LoadGenerator, UnsuitableLoadError
from fwbench.model.load import Load

_OTHER_MODULES = {"generator", "merge", "registry", "shares"}

LOADGENS: dict[str, LoadGenerator] = {
    generator.name: generator
    for generator in (
        import_module(f"{loadgen.__name__}.{module.name}").GENERATOR
        for module in iter_modules(loadgen.__path__)
        if module.name not in _OTHER_MODULES
    )
}


def generator_of(load: Load) -> LoadGenerator:
    """Return the load generator of a load. Raise `UnsuitableLoadError` if there is none."""
    if load.generator not in LOADGENS:
        reason = f"no load generator is called {load.generator!r}; fwbench has "
        raise UnsuitableLoadError("generator", reason + ", ".join(LOADGENS))
    return LOADGENS[load.generator]
