"""Every private part of another library that is used, by name: it is there, and an upper bound keeps it there."""

import ast
import importlib
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import optuna
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
FOLDERS = ("space", "kd", "studies", "reports", "search")
PRIVATE = {
    "numpy": {"numpy._core.multiarray.scalar"},
    "optuna": {"_study_id", "_trial_id", "optuna.study._frozen.FrozenStudy"},
    "optuna-dashboard": {
        "optuna_dashboard._custom_plot_data.split_plot_data",
        "optuna_dashboard._note.note_str_key_prefix",
        "optuna_dashboard._note.note_ver_key",
        "optuna_dashboard._note.split_body",
    },
    "torch": {
        "torch._foreach_add_",
        "torch._foreach_addcmul_",
        "torch._foreach_div_",
        "torch._foreach_lerp_",
        "torch._foreach_mul",
        "torch._foreach_mul_",
        "torch._foreach_sqrt",
        "torch._foreach_sub",
        "torch._higher_order_ops.scan.scan",
        "torch._sample_dirichlet",
        "torch.cpu._is_amx_tile_supported",
    },
}


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def used(path: Path) -> Iterator[str]:
    """Private parts of other libraries in a module: those of modules by full name, those of objects by attribute."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] not in FOLDERS:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in names if any(map(private, name.split("."))))
        if isinstance(node, ast.Attribute) and private(node.attr):
            owner = ast.unparse(node.value)
            if owner.partition(".")[0] == "torch":
                yield f"{owner}.{node.attr}"
            elif owner not in ("self", "cls", "super()"):
                yield node.attr


def resolve(name: str) -> object:
    """The object of a full name: an attribute of a module."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_every_private_part_that_is_used_is_named_and_there() -> None:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert {name for path in paths for name in used(path)} == set().union(*PRIVATE.values())
    study = optuna.create_study()
    study.add_trial(optuna.create_trial(value=0.0))
    assert hasattr(study, "_storage") and hasattr(study, "_study_id")
    assert hasattr(study.get_trials()[0], "_trial_id") and hasattr(study.ask(), "_trial_id")
    for name in PRIVATE["numpy"] | PRIVATE["optuna-dashboard"] | PRIVATE["torch"]:
        assert callable(resolve(name)), name


@pytest.mark.parametrize("library", PRIVATE)
def test_a_library_with_private_parts_in_use_has_an_upper_bound(library: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (requirement,) = (r for r in map(Requirement, project["dependencies"]) if r.name == library)
    assert any(specifier.operator == "<" for specifier in requirement.specifier)
    assert requirement.specifier.contains(version(library).partition("+")[0])
