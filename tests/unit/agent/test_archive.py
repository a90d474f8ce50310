import ast
import io
import sys
import zipfile

from fwbench.agent.archive import build_archive

OLDEST = (3, 9)  # the Python of the oldest systems that hosts may have


def trees() -> dict[str, ast.Module]:
    with zipfile.ZipFile(io.BytesIO(build_archive())) as packed:
        return {
            name: ast.parse(packed.read(name), name, feature_version=OLDEST)
            for name in packed.namelist()
        }


def imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or ".")
    return names


def test_all_of_it_needs_the_standard_library_and_itself_alone() -> None:
    packed = trees()
    own = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in packed}
    for name, tree in packed.items():
        others = imported(tree) - own
        assert {other.split(".")[0] for other in others} <= sys.stdlib_module_names, name


def test_it_starts_with_what_the_driver_asks() -> None:
    assert imported(trees()["__main__.py"]) == {"sys", "fwbench.agent.commands"}


def test_nothing_else_of_the_project_is_in_it() -> None:
    names = set(trees())
    assert {"__main__.py", "fwbench/__init__.py"} < names
    assert all(
        name.startswith("fwbench/agent/") for name in names - {"__main__.py", "fwbench/__init__.py"}
    )
