"""The structure that CONTRIBUTING.md promises: small modules, short functions, few imports, no circle."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("space", "kd", "studies", "reports", "search")
MODULES = [ROOT / "wunderkind.py", *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))]
MODULE_LINES, FUNCTION_LINES, PARAMETERS = 300, 50, 7
IMPORTS_WITHIN_FOLDERS = 123
"""Most pairs of files or sub-packages of one folder of which one imports the other."""


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))


def imported(path: Path) -> Iterator[str]:
    """Modules of the project that a module imports, by dotted name."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name for name in names if (ROOT / f"{name.replace('.', '/')}.py").is_file())


def neighbours(folder: Path) -> dict[str, set[str]]:
    """For each file or sub-package of a folder those beside it that it imports."""
    place = folder.relative_to(ROOT).parts
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        name = path.relative_to(folder).parts[0].removesuffix(".py")
        for module in imported(path):
            parts = module.split(".")
            if tuple(parts[: len(place)]) == place and parts[len(place)] != name:
                found.setdefault(name, set()).add(parts[len(place)])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MODULE_LINES
    for function in functions(path):
        assert (function.end_lineno or 0) - function.lineno <= FUNCTION_LINES, function.name
        names = [a.arg for a in (*function.args.args, *function.args.kwonlyargs) if a.arg not in ("self", "cls")]
        # what typer calls has a parameter an option
        assert len(names) <= PARAMETERS or path.parent.name == "cli", function.name


def test_no_files_or_folders_import_each_other_in_a_circle() -> None:
    folders = {path.parent for path in MODULES} - {ROOT}
    for folder in folders:
        TopologicalSorter(neighbours(folder)).prepare()


def test_a_folder_has_few_imports_between_its_parts() -> None:
    arrows = {folder: sum(map(len, neighbours(ROOT / folder).values())) for folder in FOLDERS}
    assert sum(arrows.values()) <= IMPORTS_WITHIN_FOLDERS, arrows
