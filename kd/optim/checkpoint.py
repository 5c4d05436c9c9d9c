"""A network in training, as bytes: weights, averaged weights, optimizer state, a guide's; always safetensors."""

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def pack(
    model: nn.Module,
    averaged: AveragedModel,
    optimizer: torch.optim.Optimizer,
    metadata: dict[str, str] | None = None,
    guide: nn.Module | None = None,
) -> bytes:
    """Everything needed to go on training, as safetensors bytes."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"averaged.{name}": tensor for name, tensor in averaged.state_dict().items()}
    if guide is not None:
        tensors |= {f"guide.{name}": tensor for name, tensor in guide.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    return save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, metadata)


def unpack(
    content: bytes,
    model: nn.Module,
    averaged: AveragedModel,
    optimizer: torch.optim.Optimizer,
    guide: nn.Module | None = None,
) -> None:
    """Restore what `pack` stored, in place."""
    tensors = load(content)
    model.load_state_dict(_below(tensors, "model."))
    averaged.load_state_dict(_below(tensors, "averaged."))
    if guide is not None:
        guide.load_state_dict(_below(tensors, "guide."))
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below(tensors, "optimizer.").items():
        index, part = name.split(".", 1)
        state.setdefault(int(index), {})[part] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def averaged_weights(content: bytes) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint: the network that is evaluated and kept."""
    return _below(load(content), "averaged.module.")


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
