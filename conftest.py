"""Checks the shapes in signatures, such as Float[Tensor, "batch classes"], while tests run.

jaxtyping's own import hook would wrap every function of a module; closed-form costs are called so often that drawing
students would then take twenty times as long. Here only functions with a shape in their signature are wrapped.
"""

import ast
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

CHECKED = ("space.blocks", "space.network", "kd.losses", "kd.data.mixup")
SETUP = "import beartype as _beartype, jaxtyping as _jaxtyping"
DECORATOR = "_jaxtyping.jaxtyped(typechecker=_beartype.beartype(conf=_beartype.BeartypeConf(is_pep484_tower=True)))"
"""With the numeric tower an int is a float, as it is for mypy."""


def has_shapes(function: ast.FunctionDef) -> bool:
    """Whether an annotation of a function's arguments or result is an array type with a shape."""
    annotations = [argument.annotation for argument in function.args.args] + [function.returns]
    return any(
        isinstance(part, ast.Subscript) and isinstance(part.value, ast.Name) and part.value.id in ("Float", "Int64")
        for annotation in annotations
        if annotation is not None
        for part in ast.walk(annotation)
    )


class Loader(SourceFileLoader):
    """Compiles a module with a decorator on its functions that have shapes; no bytecode is kept."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the module with its decorators."""
        tree = ast.parse(self.get_data(self.path), self.path)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and has_shapes(node):
                node.decorator_list.append(ast.parse(DECORATOR, mode="eval").body)
        tree.body[1:1] = ast.parse(SETUP).body  # behind the docstring
        code: CodeType = compile(ast.fix_missing_locations(tree), self.path, "exec")
        return code


class Finder(MetaPathFinder):
    """Loads the modules that are checked with `Loader`."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return how to load a module that is checked, None for all others."""
        if not any(name == checked or name.startswith(f"{checked}.") for checked in CHECKED):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = Loader(name, spec.origin)
        return spec


sys.meta_path.insert(0, Finder())
