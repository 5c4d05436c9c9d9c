"""From liquid cells to what programs hold of them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from kd.deploy import program as ops
from space.blocks.base import Shape
from space.blocks.cells import EPSILON, ClosedFormCell, LiquidTimeConstantCell
from space.blocks.liquid import Axis


def _order(source: Shape, axis: Axis) -> Tensor:
    """For each feature of a step in memory, where channels come last, its place among the cell's features."""
    channels, height, width = source
    positions = {"rows": width, "columns": height, "positions": 1}[axis]
    return torch.arange(channels * positions).reshape(channels, positions).T.flatten()


def lower_cell(cell: nn.Module, source: Shape, axis: Axis) -> ops.ClosedForm | ops.TimeConstant:
    """A cell that reads maps of shape `source`, its features in the order of memory."""
    order = _order(source, axis)
    if isinstance(cell, ClosedFormCell):
        assert cell.input.bias is not None
        return ops.ClosedForm(input=cell.input.weight[:, order], recurrent=cell.recurrent.weight, bias=cell.input.bias)
    assert isinstance(cell, LiquidTimeConstantCell)
    leak = functional.softplus(cell.leak)
    return ops.TimeConstant(
        scale=cell.input_scale[order],
        shift=cell.input_shift[order],
        sensory=_synapses(cell.sensory, order),
        recurrent=_synapses(cell.recurrent, torch.arange(cell.hidden)),
        capacity=functional.softplus(cell.capacity) * cell.unfolds,
        leak=leak + EPSILON,
        rest=leak * cell.leak_potential,
        unfolds=cell.unfolds,
    )


def _synapses(synapses: Any, order: Tensor) -> ops.Synapses:
    steepness, conductance = synapses["steepness"], functional.softplus(synapses["weight"])
    return ops.Synapses(
        steepness=steepness[order],
        offset=(steepness * synapses["threshold"])[order],
        conductance=conductance[order],
        drive=(conductance * synapses["reversal"])[order],
    )
