import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("space", "kd", "studies", "reports", "search")
STRANGERS = {
    "space": {"optuna", "sqlalchemy", "distributed", "dask", "plotly"},
    "kd": {"optuna", "sqlalchemy", "distributed", "dask", "plotly"},
    "studies": {"distributed", "dask", "plotly"},
    "reports": {"distributed", "dask"},
    "search": set[str](),
}
MODULES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Top-level packages that a module imports, at whatever depth the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively: write the full name"
            yield str(node.module).partition(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_folder_imports_only_from_folders_left_of_it(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    forbidden = set(FOLDERS[FOLDERS.index(folder) + 1 :]) | STRANGERS[folder] | {"tests"}
    assert not forbidden & set(imported(path))


def test_every_folder_is_looked_at() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_init_is_one_docstring(folder: str) -> None:
    (docstring,) = ast.parse((ROOT / folder / "__init__.py").read_text()).body
    assert isinstance(docstring, ast.Expr)
