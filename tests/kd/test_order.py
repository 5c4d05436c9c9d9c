"""A sub-package of kd imports only from itself and those left of it."""

import ast
from pathlib import Path

import pytest

KD = Path(__file__).parents[2] / "kd"
ORDER = ("data", "optim", "losses", "students", "teachers", "distil", "deploy", "measure")


@pytest.mark.parametrize("path", sorted(KD.glob("*/*.py")), ids=lambda path: str(path.relative_to(KD)))
def test_imports_go_leftwards(path: Path) -> None:
    allowed = ORDER[: ORDER.index(path.parent.name) + 1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("kd."):
            package = str(node.module).split(".")[1]
            assert package in allowed or (KD / f"{package}.py").is_file(), f"line {node.lineno}: {node.module}"
