"""Open teachers: from pixels to logits, whatever kind of file or code a teacher is."""

import importlib
import io
import zipfile
import zlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from kd.data.dataset import DataSet, values
from kd.students.file import Deployed, load_student
from kd.teachers import network as teachers
from kd.teachers.source import STORED, TeacherSource, module_of
from space.errors import InputError, first_line

PROBED = 8
"""Training samples that a teacher is tried on before a study starts."""


class LogitFunction(Protocol):
    """An open teacher."""

    def __call__(self, pixels: Tensor, places: Tensor | None = None, /) -> Tensor:
        """Logits (batch, classes) for `kd.data.dataset.values`, float32 (batch, *shape).

        A file of logits looks only at the samples' `places` in the training split, int64 (batch,).
        """


MapConsumer = Callable[[Tensor], None]
"""Is handed the maps of a teacher's stage."""


def open_teacher(
    source: TeacherSource,
    data: DataSet,
    device: torch.device,
    keep: MapConsumer = lambda maps: None,
    module: nn.Module | None = None,
) -> LogitFunction:
    """Open all teachers of a source and try them on a few training images.

    The logits of several teachers are the logarithm of the mean of their probabilities (Hinton et al. 2015, section
    2.1). With a stage, every call, also those of the trial, first hands its maps (batch, channels, height, width) to
    `keep`, float32, both sides at most `source.cells`. A `module` is the one teacher itself, which is then only named
    by `source`; it is copied.

    Raises:
        InputError: for a missing or unreadable file, code that cannot be called, logits of a wrong shape, NaN or beyond
            float16, an unknown stage or one that gives no maps.
    """
    source = source.resolved()
    if module is not None:
        copy = deepcopy(module).to(device).eval()
        return _checked(source.models[0], _of_module(copy, source, device, keep), source, data, device)
    weights = source.weights or ("",) * len(source.models)
    functions = [
        _open(model, file, source, data, device, keep) for model, file in zip(source.models, weights, strict=True)
    ]
    if len(functions) == 1:
        return functions[0]

    def ensemble(pixels: Tensor, places: Tensor | None = None) -> Tensor:
        return torch.stack([function(pixels, places).log_softmax(1) for function in functions]).logsumexp(0)

    return ensemble


def _open(
    model: str, weights: str, source: TeacherSource, data: DataSet, device: torch.device, keep: MapConsumer
) -> LogitFunction:
    if weights and ":" not in model:
        raise InputError(f"teacher {model} brings its own weights: leave {weights} out")
    if model.endswith(".safetensors"):
        function = _of_module(_own(Path(model), data, device), source, device, keep)
        source = replace(source, standardised=False)  # it standardises by itself
    elif model.endswith(".onnx"):
        function = _of_onnx(Path(model), device)
    elif model.endswith(STORED):
        function = _of_logits(Path(model), data, device)
    else:
        module = _make(model, data.classes)
        if weights:
            _fill(module, Path(weights), model)
        function = _of_module(module.to(device).eval(), source, device, keep)
    return _checked(model, function, source, data, device)


def _checked(
    model: str, function: LogitFunction, source: TeacherSource, data: DataSet, device: torch.device
) -> LogitFunction:
    """The function with its input standardised where the source says so, tried on a few samples."""
    if source.standardised:
        plain = function
        mean, std = data.moments(device)

        def function(pixels: Tensor, places: Tensor | None = None) -> Tensor:
            return plain((pixels - mean) / std, places)

    _probe(model, function, data, device)
    return function


def _own(path: Path, data: DataSet, device: torch.device) -> nn.Module:
    try:
        with safe_open(path, framework="pt") as archive:
            is_student = "student" in (archive.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot read a teacher from {path} ({first_line(error)}): make one with wunderkind teach"
        ) from error
    if is_student:
        return Deployed(load_student(path)).to(device)
    teacher = teachers.load(path, device)
    teachers.check(teacher, data)
    return teachers.fused(teacher)


def _of_module(module: nn.Module, source: TeacherSource, device: torch.device, keep: MapConsumer) -> LogitFunction:
    def logits_of(pixels: Tensor, _places: Tensor | None = None) -> Tensor:
        return teachers.teacher_logits(module, pixels.to(device)).float()

    if not source.stage:
        return logits_of
    stages = dict(module.named_modules())
    if source.stage not in stages:
        near = ", ".join(get_close_matches(source.stage, filter(None, stages), n=6, cutoff=0))
        raise InputError(f"teacher.stage = '{source.stage}': {source.models[0]} has no such submodule, but {near}")
    seen: list[Tensor] = []
    # pooled at once, because the next module may work in place
    stages[source.stage].register_forward_hook(lambda _m, _i, output: seen.append(_pooled(output, source.cells)))

    def logits_and_maps(pixels: Tensor, places: Tensor | None = None) -> Tensor:
        seen.clear()
        logits = logits_of(pixels, places)
        if not seen:
            raise InputError(f"teacher.stage = '{source.stage}' is not run: name another")
        keep(seen[-1])
        return logits

    return logits_and_maps


def _pooled(output: object, cells: int) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim not in (2, 4):
        what = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise InputError(f"teacher.stage gives {what}: name one that gives (batch, channels, height, width) or vectors")
    maps = output.float() if output.ndim == 4 else output.float()[:, :, None, None]
    height, width = (min(cells, side) for side in maps.shape[2:])
    return functional.adaptive_avg_pool2d(maps, (height, width))


def _of_onnx(path: Path, device: torch.device) -> LogitFunction:
    import onnxruntime

    wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    available = onnxruntime.get_available_providers()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, [p for p in [*wanted, "CPUExecutionProvider"] if p in available]
        )
    except Exception as error:  # onnxruntime has a dozen unrelated classes for a model it cannot read
        raise InputError(f"cannot read a teacher from {path} ({first_line(error)}): export it again") from error
    first, *others = session.get_inputs()
    if others:
        raise InputError(f"{path} has {1 + len(others)} inputs: a teacher takes one, the pixels")

    def logits_of(pixels: Tensor, _places: Tensor | None = None) -> Tensor:
        logits = session.run(None, {first.name: pixels.cpu().numpy().astype(np.float32)})[0]
        return torch.from_numpy(np.asarray(logits, np.float32)).to(device)

    return logits_of


def _of_logits(path: Path, data: DataSet, device: torch.device) -> LogitFunction:
    content = path.read_bytes()
    try:
        stored = np.load(io.BytesIO(content), allow_pickle=False)
        logits = np.asarray(stored["logits"] if path.suffix == ".npz" else stored)
    except (zipfile.BadZipFile, zlib.error, KeyError, IndexError, TypeError, ValueError, EOFError, OSError) as error:
        raise InputError(
            f"cannot read logits from {path} ({first_line(error)}): use numpy.save, or numpy.savez with the name logits"
        ) from error
    if logits.shape != (data.given, data.classes) or not np.issubdtype(logits.dtype, np.floating):
        raise InputError(
            f"{path} holds {logits.dtype} of shape {logits.shape}: {data.name} needs floating logits of shape "
            f"({data.given}, {data.classes}), one row for each training sample, held-out ones included"
        )
    with np.errstate(over="ignore"):
        broken = np.flatnonzero(~np.isfinite(logits.astype(np.float16)).all(1))
    if len(broken):
        raise InputError(f"{path} holds logits that are not finite as float16, first in row {broken[0]}: replace them")
    table = torch.from_numpy(logits.astype(np.float32))[data.rows].to(device)

    def logits_of(_pixels: Tensor, places: Tensor | None = None) -> Tensor:
        assert places is not None
        return table[places.to(device)]

    return logits_of


def _make(model: str, classes: int) -> nn.Module:
    place, _, name = model.partition(":")
    if not name:
        raise InputError(
            f"teacher {model}: name a .safetensors, .onnx, .npy or .npz file, "
            "torchvision:NAME or package.module:callable"
        )
    try:
        if place == "torchvision":
            import torchvision  # takes two seconds, which no other teacher needs

            module = torchvision.models.get_model(name, weights=None, num_classes=classes)
        else:
            module_of(model)
            module = getattr(importlib.import_module(place), name)()
    except InputError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            f"teacher {model}: {first_line(error)}: name an importable module and a callable in it"
        ) from error
    if not isinstance(module, nn.Module):
        raise InputError(f"teacher {model} gives a {type(module).__name__}: it must give a torch.nn.Module")
    return module


def _fill(module: nn.Module, path: Path, model: str) -> None:
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(state)
    except (OSError, RuntimeError, TypeError, ValueError, AttributeError, SafetensorError, EOFError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"weights {path} do not fit teacher {model} ({reason}): check both") from error
    except Exception as error:  # pickle's errors, among them torch's refusal of anything but tensors
        raise InputError(
            f"cannot read weights from {path} ({first_line(error)}): save a state dict of tensors"
        ) from error


def _probe(model: str, function: LogitFunction, data: DataSet, device: torch.device) -> None:
    pixels = values(data.train.images[:PROBED].to(device))
    try:
        logits = function(pixels, torch.arange(len(pixels)))
        function(pixels[1:], torch.arange(1, len(pixels)))  # the last batch of a view is a smaller one
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            f"teacher {model} cannot take pixels of shape {tuple(pixels.shape)}, or for one image less "
            f"({first_line(error)})"
        ) from error
    if tuple(logits.shape) != (len(pixels), data.classes):
        raise InputError(
            f"teacher {model} gives logits of shape {tuple(logits.shape)} for {len(pixels)} images, "
            f"{data.name} has {data.classes} classes: it must give ({len(pixels)}, {data.classes})"
        )
    if not bool(logits.isfinite().all()):
        raise InputError(f"teacher {model} gives logits that are not finite: check its weights and `standardised`")
    if not bool(logits.half().isfinite().all()):
        raise InputError(
            f"teacher {model} gives logits up to {float(logits.abs().max()):g}, which float16 cannot hold: scale them "
            "down to 65,504 at most"
        )
