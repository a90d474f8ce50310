import ast
import io
import sys
import zipfile

from fwbench.agent.archive import build_archive

OLDEST_PYTHON = (3, 9)


def modules() -> dict[str, ast.Module]:
    with zipfile.ZipFile(io.BytesIO(build_archive())) as archive:
        return {
            name: ast.parse(archive.read(name), name, feature_version=OLDEST_PYTHON)
            for name in archive.namelist()
        }


def imported_modules(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or ".")
    return names


def test_archive_imports_only_itself_and_the_standard_library() -> None:
    contents = modules()
    own = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in contents
    }
    for name, tree in contents.items():
        others = imported_modules(tree) - own
        assert {other.split(".")[0] for other in others} <= sys.stdlib_module_names, name


def test_main_module_starts_the_commands() -> None:
    assert imported_modules(modules()["__main__.py"]) == {"sys", "fwbench.agent.commands"}


def test_archive_contains_only_the_agent() -> None:
    names = set(modules())
    assert {"__main__.py", "fwbench/__init__.py"} < names
    assert all(
        name.startswith("fwbench/agent/") for name in names - {"__main__.py", "fwbench/__init__.py"}
    )
