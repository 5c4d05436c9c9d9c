"""Networks from code: torchvision's by name and the user's own, whatever importing it does."""

import importlib
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import torch
from torch import nn

from kd.teachers.source import module_of
from space.errors import InputError, first_line


def make_module(model: str, classes: int, seed: int = 0) -> nn.Module:
    """The network that `torchvision:NAME` or `package.module:callable` stands for, with whatever weights it has.

    First weights are drawn from a `seed` of its own, so that every process gets the same; what the code prints is not
    shown, and what it sets of PyTorch is set back.

    Raises:
        InputError: where there is no such code, where it fails or ends the program, and where it gives no network.
    """
    place, _, name = model.partition(":")
    if not name:
        raise InputError(
            f"teacher {model}: name a .safetensors, .onnx, TorchScript (.pt), .npy or .npz file, "
            "torchvision:NAME or package.module:callable"
        )
    with _quiet(seed) as printed:
        try:
            if place == "torchvision":
                import torchvision  # takes two seconds, which no other teacher needs

                module = torchvision.models.get_model(name, weights=None, num_classes=classes)
            else:
                module_of(model)
                module = getattr(importlib.import_module(place), name)()
        except InputError:
            raise
        except SystemExit as error:
            said = (printed.getvalue().strip().splitlines() or [""])[-1][:80]
            raise InputError(
                f"teacher {model}: importing {place} ended the program{f' ({said})' if said else ''}: put the network "
                'in a module where importing runs nothing, or the rest below if __name__ == "__main__"'
            ) from error
        except Exception as error:  # the user's code may raise anything
            raise InputError(
                f"teacher {model}: {first_line(error)}: name an importable module and a callable in it that takes no "
                "arguments"
            ) from error
    if not isinstance(module, nn.Module):
        raise InputError(f"teacher {model} gives a {type(module).__name__}: it must give a torch.nn.Module")
    return module


def drawn_weights(model: str, classes: int) -> list[str]:
    """Names of the weights that code draws anew whenever it is called, so that they have learnt nothing."""
    first, other = (make_module(model, classes, seed).state_dict() for seed in (0, 1))
    return [name for name, tensor in first.items() if not torch.equal(tensor, other[name])]


@contextmanager
def _quiet(seed: int) -> Iterator[io.StringIO]:
    """Nothing is printed or asked for, and PyTorch is left as it was; gives what was printed."""
    printed, dtype, threads, keyboard = io.StringIO(), torch.get_default_dtype(), torch.get_num_threads(), sys.stdin
    grad = torch.is_grad_enabled()
    sys.stdin = io.StringIO()  # who asks a question at import gets no answer, rather than to wait for one
    try:
        with redirect_stdout(printed), redirect_stderr(printed), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield printed
    finally:
        sys.stdin = keyboard
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
        torch.set_grad_enabled(grad)
