"""What an installed wunderkind holds: every package, every data file, and the mark that it is typed."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("space", "kd", "studies", "reports", "search")
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
BESIDE_CODE = {"reports/evidence", "reports/mnist-quick.png"}
"""Documents that lie in a package's folder and are not installed."""


def test_every_package_is_listed() -> None:
    found = {".".join(path.parent.relative_to(ROOT).parts) for f in FOLDERS for path in (ROOT / f).rglob("__init__.py")}
    assert set(SETUPTOOLS["packages"]) == found


def test_every_data_file_is_listed() -> None:
    patterns = SETUPTOOLS["package-data"]
    globs = [(package, glob) for package in FOLDERS for glob in [*patterns["*"], *patterns.get(package, ())]]
    installed = {path for package, glob in globs for path in (ROOT / package).glob(glob)}
    files = {path for f in FOLDERS for path in (ROOT / f).rglob("*") if path.is_file()}
    code = {path for path in files if path.suffix == ".py" or "__pycache__" in path.parts}
    beside = {path for path in files if any(path.is_relative_to(ROOT / name) for name in BESIDE_CODE)}
    assert installed == files - code - beside


def test_every_package_is_marked_as_typed() -> None:
    assert all((ROOT / folder / "py.typed").is_file() for folder in FOLDERS)
