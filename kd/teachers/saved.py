"""What PyTorch saves: weights inside state dicts and checkpoints, and TorchScript networks; never unpickled code."""

import argparse
import pathlib
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from space.errors import InputError, first_line

HARMLESS = [argparse.Namespace, pathlib.PosixPath, pathlib.PurePosixPath, np.dtype, np.ndarray, type(np.dtype("f8"))]
"""Classes that checkpoints hold beside weights and that run nothing when they are read."""

State = Mapping[str, Tensor]


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive: a zip with code in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name or name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def open_torchscript(path: Path) -> nn.Module:
    """A TorchScript network; raises InputError for any other file, with the way to use what it is."""
    if not is_torchscript(path):
        raise InputError(_no_torchscript(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that newer formats exist
            module: nn.Module = torch.jit.load(str(path), map_location="cpu")
    except Exception as error:  # torch raises RuntimeError, ValueError and others for damaged archives
        raise InputError(f"cannot read a teacher from {path} ({first_line(error)}): save it again") from error
    return module


def fill(module: nn.Module, path: Path, model: str) -> None:
    """Load a file's weights into a network, found wherever the file has them.

    A state dict may lie inside a checkpoint (`state_dict`, `model`, …), and every name may have a prefix that the
    network's names have not (`module.`, `model.`, `_orig_mod.`), beside other weights.

    Raises:
        InputError: for a file without weights, one that holds pickled code, and weights that do not fit.
    """
    if not path.is_file():
        raise InputError(f"no weights at {path}: check --weights")
    states = list(_states(_content(path)))
    if not states:
        raise InputError(f"{path} holds no weights: save the network's state_dict()")
    wanted = module.state_dict()
    fitting = [found for state in states if (found := _without_prefix(state, wanted)) is not None]
    try:
        module.load_state_dict(fitting[0] if fitting else max(states, key=len))
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"weights {path} do not fit teacher {model} ({reason}): check both") from error


def _content(path: Path) -> object:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if is_torchscript(path):
            return open_torchscript(path).state_dict()
        with torch.serialization.safe_globals([*HARMLESS, *_numpy_scalars()]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # pickle's errors, among them torch's refusal of anything but tensors
        raise InputError(f"cannot read weights from {path} ({_reason(error)}): save a state dict of tensors") from error


def _numpy_scalars() -> list[Any]:
    """What a numpy number, like a best accuracy, is pickled with."""
    from numpy._core.multiarray import scalar

    return [scalar, (scalar, "numpy.core.multiarray.scalar"), type(np.dtype("f4")), type(np.dtype("i8"))]


def _reason(error: Exception) -> str:
    """What is wrong, in a line; torch's own goes on to say how to switch its safety off."""
    text = str(error)
    if "Unsupported global" in text or "weights_only" in text or "WeightsUnpickler" in text:
        words = text.partition("GLOBAL ")[2].split()
        what = f"an object of {words[0]}" if words else "an object"
        return f"it pickles {what}, which would run code when it is opened"
    return first_line(error)


def _no_torchscript(path: Path) -> str:
    with path.open("rb") as file:
        if file.read(64).lstrip().startswith(b"<"):
            return f"{path} is a web page: download the file itself"
    try:
        content = _content(path)
    except InputError as error:
        if "pickles" not in str(error):
            return f"cannot read a teacher from {path}: it is no TorchScript file: save it again"
        return (
            f"{path} is a pickled module, which would run code when it is opened: save its state_dict() and name its "
            "code with --teacher package.module:callable --weights FILE, or save torch.jit.script(module)"
        )
    if next(_states(content), None) is None:
        return f"{path} holds no network: save torch.jit.script(module), or export it to ONNX"
    return f"{path} holds weights without a network: use --teacher package.module:callable --weights {path}"


def _states(content: object) -> Iterator[State]:
    """State dicts in what a file holds, the outermost first."""
    if not isinstance(content, Mapping):
        return
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if tensors:
        yield tensors
    names = sorted(content, key=lambda name: "optim" in str(name).lower() or "ema" in str(name).lower())
    for name in names:
        if "optim" not in str(name).lower():
            yield from _states(content[name])


def _without_prefix(state: State, wanted: State) -> dict[str, Tensor] | None:
    """The weights that a network wants by its own names, from a state whose names may all have a prefix more.

    None where names or shapes do not fit. Counters of batch norm, which old files lack, are not missed.
    """
    names = [name for name in wanted if not name.endswith("num_batches_tracked")] or list(wanted)
    if not names:
        return None
    prefixes = sorted({name.removesuffix(names[0]) for name in state if name.endswith(names[0])}, key=len)
    for prefix in prefixes:
        found = {name: state[prefix + name] for name in wanted if prefix + name in state}
        extra = set(state) - {prefix + name for name in wanted} if not prefix else set()
        if not extra and all(name in found and found[name].shape == wanted[name].shape for name in names):
            return dict(wanted) | found
    return None
