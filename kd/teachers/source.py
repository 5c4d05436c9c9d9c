"""Which teachers give the logits of a view: shipped ones, ones trained here, and the user's own."""

import hashlib
import importlib.util
import os
import sys
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from kd.teachers import network as teachers
from space.errors import InputError, did_you_mean

STORED = (".npy", ".npz")
"""Suffixes of files of logits."""

SAVED = (".pt", ".pth", ".ts", ".torchscript", ".bin", ".ckpt", ".pkl", ".pickle")
"""Suffixes of what PyTorch saves: only TorchScript can teach by itself."""

FOREIGN = (".h5", ".hdf5", ".keras", ".tflite", ".pb", ".pt2", ".mlmodel", ".mlpackage", ".engine", ".joblib", ".gguf")
"""Suffixes of other programs' models, which must be exported to ONNX first."""

Scale = Literal["0..1", "0..255", "-1..1", "standardised", "imagenet"]
Layout = Literal["auto", "nchw", "nhwc", "ncwh", "nhw", "flat", "nhwc-flat", "nlc", "ncl"]
Channels = Literal["rgb", "bgr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherSource:
    """One teacher, or several whose probabilities are averaged.

    >>> TeacherSource(models=("mnist", "mnist-1")).stored
    False
    >>> TeacherSource(models=("mnist",), stage="features.18").resolved().stage
    'features.18'
    """

    models: Annotated[tuple[str, ...], Field(min_length=1)] = ("mnist",)
    """Each the name of a shipped teacher (`mnist`, `mnist-1`, `fashion-mnist`, `fashion-mnist-1`, `mnist-1d`), a
    `.safetensors` file that `wunderkind teach` or a retraining wrote, an `.onnx` file, a TorchScript file (`.pt`,
    `.ts`), `torchvision:NAME`, or `package.module:callable`, which is called without arguments and gives a module. Or
    one file of logits or probabilities, `.npy` or the array `logits` of an `.npz`: floating, (n, classes), a row each
    sample of the data's training split in the order of their file, held-out ones included; it knows samples as they
    are, so nothing may be augmented."""
    weights: tuple[str, ...] = ()
    """A file for each of `models` that is code: `.safetensors`, or a state dict or checkpoint saved by torch; empty for
    code that loads its own, and for files."""
    scale: Scale = "0..1"
    """Pixels that ONNX, TorchScript and code take: `standardised` ones have the zero mean and unit deviation of the
    training data, `imagenet` ones ImageNet's statistics. Sequences are taken as they are (`0..1`) or standardised.
    `.safetensors` files know what they take."""
    layout: Layout = "auto"
    """Axes that ONNX, TorchScript and code take: of images `nchw` (batch, channels, height, width), `nhwc`, `ncwh`
    (width before height), `nhw` (grey, without a channel), `flat` rows of `nchw` or `nhwc-flat`; of sequences `nlc`
    (batch, time, features), `ncl` or `flat`. `auto` is what the file tells, else the first of these that works."""
    channels: Channels = "rgb"
    """Order of the colours that ONNX, TorchScript and code take."""
    classes: tuple[str | int, ...] = ()
    """Class of each of the teacher's columns, by its name in the data or its index from 0, `""` for a column to leave
    out; without it the columns are in the order of the data's classes."""
    output: str = ""
    """Which output is taken where there are several: its name in an ONNX file, the key of a dict, or the position in a
    tuple. Without it, the only one of shape (n, classes), `logits`, or the first of a tuple."""
    check: bool = True
    """Whether a study is refused whose teacher is no better than chance on labelled samples."""
    stage: str = ""
    """Submodule of the one teacher, as `named_modules` names it, whose output is kept in the views for
    `recipe.feature_loss`: maps (batch, channels, height, width) or vectors. Those of a teacher that `wunderkind teach`
    wrote are `features.2`, `features.5`, …, one a convolution; those of a student `module.blocks.0`, …."""
    cells: Annotated[int, Field(ge=1)] = 4
    """Cells a side that the stage's maps are averaged over at most [cells]."""

    @property
    def stored(self) -> bool:
        """Whether the logits are read from a file."""
        return any(model.endswith(STORED) for model in self.models)

    def resolved(self, missing_ok: bool = False) -> "TeacherSource":
        """The same with absolute paths, for workers that may run elsewhere.

        Raises:
            InputError: for weights or a stage that do not go with the models, and for a missing file unless that is ok.
        """
        if self.weights and len(self.weights) != len(self.models):
            raise InputError(
                f"{len(self.models)} teachers, {len(self.weights)} files of weights: give one file a teacher, in order"
            )
        if self.stored and len(self.models) > 1:
            raise InputError(
                f"teachers {', '.join(self.models)}: a file of logits is the one teacher, average logits before"
            )
        if self.stage and (len(self.models) > 1 or self.models[0].endswith((".onnx", *STORED, *SAVED))):
            raise InputError(
                f"teacher.stage = '{self.stage}': {', '.join(self.models)} has no stages to name: "
                "use one teacher that is a PyTorch module, or leave the stage away"
            )
        models = tuple(str(_path(model, missing_ok)) if _is_file(model) else model for model in self.models)
        for name in filter(None, self.weights):
            if not (missing_ok or Path(name).is_file()):
                raise InputError(f"no file of weights at {name}: check the path")
        weights = tuple(name and str(Path(name).resolve()) for name in self.weights)
        for model, given in zip(models, weights or ("",) * len(models), strict=True):
            if model.startswith("torchvision:") and not given:
                raise InputError(
                    f"teacher {_known_model(model)} has learnt nothing: give its weights, a state dict, with --weights"
                )
        return replace(self, models=models, weights=weights)

    def files_fingerprint(self) -> str:
        """SHA-256 of the files' content, for code of its name and its module's file, and of the settings.

        Not of what code imports, or loads by itself: see `kd.teachers.fingerprint`.

        Raises:
            InputError: as `resolved`.
        """
        models = self.resolved().models
        parts = [_file_hash(Path(name)) if _is_file(name) else _code_hash(name) for name in models]
        parts += [name and _file_hash(Path(name)) for name in self.weights]
        settings = ("scale", "layout", "channels", "classes", "output")
        parts += [f"{name} {getattr(self, name)}" for name in settings if getattr(self, name) != getattr(DEFAULT, name)]
        parts += [f"{self.stage} in {self.cells}"] if self.stage else []
        return parts[0] if len(parts) == 1 else hashlib.sha256(" ".join(parts).encode()).hexdigest()

    @property
    def code(self) -> bool:
        """Whether any of the models is code, whose files do not tell all that it does."""
        return not all(_is_file(model) or model.startswith("torchvision:") for model in self.models)


DEFAULT = TeacherSource()


def _is_file(model: str) -> bool:
    return teachers.shipped(model).is_file() or model.lower().endswith(
        (".safetensors", ".onnx", *STORED, *SAVED, *FOREIGN)
    )


def _path(model: str, missing_ok: bool) -> Path:
    own = teachers.shipped(model)
    return own if own.is_file() else _absolute(Path(model), missing_ok)


def _known_model(model: str) -> str:
    """A model of torchvision; raises InputError for one that it does not have."""
    import torchvision  # takes two seconds, which no other teacher needs

    names, name = torchvision.models.list_models(), model.partition(":")[2]
    if name not in names:
        alike = did_you_mean(get_close_matches(name, names))
        raise InputError(f"teacher {model}: torchvision has no model '{name}': {alike}see torchvision.models")
    return model


def _absolute(path: Path, missing_ok: bool = False) -> Path:
    if path.parts and path.parts[0].lower() in ("http:", "https:", "s3:", "hf:") and not path.is_file():
        raise InputError(f"no teacher at {path}: it is an address: download what is there and give its path")
    if not (missing_ok or path.is_file()):
        raise InputError(f"no teacher at {path}: make one with wunderkind teach, or check the path")
    return path.resolve()


def _file_hash(path: Path) -> str:
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (path, *_outside(path))]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def _code_hash(model: str) -> str:
    """Of the name and the module's file; the name itself for torchvision's and where there is no file."""
    if model.startswith("torchvision:"):
        return model
    found = module_of(model)
    if found.origin is None or not Path(found.origin).is_file():
        return model
    return hashlib.sha256(f"{model} {_file_hash(Path(found.origin))}".encode()).hexdigest()


def module_of(model: str) -> ModuleSpec:
    """Where the module of `package.module:callable` is, also in the current folder; raises InputError without one."""
    place = model.partition(":")[0]
    if os.getcwd() not in sys.path:  # a console script does not look there, python does
        sys.path.append(os.getcwd())
    try:
        found = importlib.util.find_spec(place)
    except (ImportError, ValueError):  # of the package that it is in
        found = None
    if found is None:
        raise InputError(f"no teacher {model}: {_hint(model, place)}")
    return found


def _hint(model: str, place: str) -> str:
    """What is wrong with the name of a teacher that is neither a file nor code, and what to do."""
    if not place.strip():
        return "name a file, torchvision:NAME or package.module:callable"
    if "://" in model:
        return "it is an address: download what is there and give its path"
    if Path(model).exists():
        return "it is no file of a network: name an .onnx, TorchScript (.pt), .safetensors, .npy or .npz file"
    if place.endswith(".py"):
        parts = [part for part in Path(place.removesuffix(".py")).parts if part not in (os.sep, os.curdir)]
        return f"name the module, not its file: {'.'.join(parts)}:{model.partition(':')[2] or 'callable'}"
    if ":" not in model and callable(getattr(importlib.import_module("torchvision.models"), place, None)):
        return f"torchvision's is torchvision:{place}, with --weights"
    return f"there is no module {place} to import: check the name, or PYTHONPATH"


def _outside(path: Path) -> list[Path]:
    """Files beside an ONNX file that hold weights of it."""
    if path.suffix != ".onnx":
        return []
    import onnx  # takes a while, which no other teacher needs
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    try:
        tensors = onnx.load(path, load_external_data=False).graph.initializer
    except Exception:  # protobuf's; whoever opens the file gives the reason
        return []
    names = {ExternalDataInfo(tensor).location for tensor in tensors if uses_external_data(tensor)}
    return [_absolute(path.parent / name) for name in sorted(names)]
