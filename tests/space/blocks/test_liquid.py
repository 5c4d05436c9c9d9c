from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ncps.torch.cfc_cell import CfCCell
from ncps.torch.ltc_cell import LTCCell
from ncps.wirings import FullyConnected
from torch import Tensor, nn

from space.architecture import Architecture
from space.blocks.cells import ClosedFormCell, LiquidTimeConstantCell
from space.blocks.liquid import CellKind, LiquidConvolution, LiquidScan, Scan

sizes = st.integers(1, 9)
seeds = st.integers(0, 2**31)


def jitter(module: nn.Module) -> None:
    """Move all weights off their initial values, so that none is a neutral 0 or 1."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))


@given(sizes, sizes, sizes, st.integers(1, 4), seeds)
def test_ltc_is_that_of_its_authors(inputs: int, hidden: int, steps: int, unfolds: int, seed: int) -> None:
    torch.manual_seed(seed)
    ours = LiquidTimeConstantCell(inputs, hidden, unfolds)
    jitter(ours)
    theirs = LTCCell(
        FullyConnected(hidden), inputs, output_mapping="none", ode_unfolds=unfolds, implicit_param_constraints=True
    )
    copied = {
        "gleak": ours.leak,
        "vleak": ours.leak_potential,
        "cm": ours.capacity,
        "w": ours.recurrent["weight"],
        "sigma": ours.recurrent["steepness"],
        "mu": ours.recurrent["threshold"],
        "erev": ours.recurrent["reversal"],
        "sensory_w": ours.sensory["weight"],
        "sensory_sigma": ours.sensory["steepness"],
        "sensory_mu": ours.sensory["threshold"],
        "sensory_erev": ours.sensory["reversal"],
        "input_w": ours.input_scale,
        "input_b": ours.input_shift,
    }
    missing, unexpected = theirs.load_state_dict(copied, strict=False)
    assert set(missing) == {"sparsity_mask", "sensory_sparsity_mask"}
    assert not unexpected
    assert all(bool((getattr(theirs, mask) == 1).all()) for mask in missing)
    assert len(copied) == len(list(ours.parameters()))
    sequence = torch.randn(3, steps, inputs)
    state: Tensor = torch.zeros(3, hidden)
    for step in range(steps):
        _, state = theirs(sequence[:, step], state)
    torch.testing.assert_close(ours(sequence), state, rtol=1e-5, atol=1e-5)


@given(sizes, sizes, sizes, seeds)
def test_cfc_is_that_of_its_authors(inputs: int, hidden: int, steps: int, seed: int) -> None:
    torch.manual_seed(seed)
    ours = ClosedFormCell(inputs, hidden)
    theirs = CfCCell(inputs, hidden, mode="default", backbone_layers=0)
    jitter(theirs)
    # at a constant step of 1 their two time layers add up
    weight = torch.cat([theirs.ff1.weight, theirs.ff2.weight, theirs.time_a.weight + theirs.time_b.weight])
    bias = torch.cat([theirs.ff1.bias, theirs.ff2.bias, theirs.time_a.bias + theirs.time_b.bias])
    ours.load_state_dict(
        {"input.weight": weight[:, :inputs], "input.bias": bias, "recurrent.weight": weight[:, inputs:]}
    )
    sequence = torch.randn(3, steps, inputs)
    state: Tensor = torch.zeros(3, hidden)
    for step in range(steps):
        _, state = theirs(sequence[:, step], state, 1.0)
    torch.testing.assert_close(ours(sequence), state, rtol=1e-5, atol=1e-5)


def test_ltc_cost_by_hand() -> None:
    block, shape = LiquidScan(cell="ltc", hidden=3, unfolds=2), (2, 4, 5)
    # rows: 4 steps of 2·5 features; 10·3 sensory and 3·3 recurrent synapses of 4 numbers, 3 a state, 2 an input
    assert block.cost(shape).parameters == 4 * (30 + 9) + 3 * 3 + 2 * 10
    # three multiplications a synapse; sensory once a step, recurrent once an unfold
    assert block.cost(shape).macs == 4 * 3 * (30 + 2 * 9)
    both = LiquidScan(cell="ltc", hidden=3, unfolds=2, both_directions=True)
    assert both.cost(shape).parameters == 2 * block.cost(shape).parameters
    assert both.cost(shape).macs == 2 * block.cost(shape).macs


class Trace(nn.Module):
    """A cell that gives back the whole sequence it was shown."""

    def forward(self, sequence: Tensor) -> Tensor:
        return sequence.flatten(1)


def test_a_scan_reads_rows_columns_or_positions_forwards_and_backwards() -> None:
    x = torch.arange(2 * 3 * 4.0).view(1, 2, 3, 4)
    rows = Scan([Trace(), Trace()], "rows")(x).flatten().view(2, 3, 2, 4)
    columns = Scan([Trace()], "columns")(x).flatten().view(4, 2, 3)
    positions = Scan([Trace()], "positions")(x).flatten().view(3, 4, 2)
    assert torch.equal(positions, x[0].permute(1, 2, 0))
    for row in range(3):
        assert torch.equal(rows[0, row], x[0, :, row])
        assert torch.equal(rows[1, row], x[0, :, 2 - row])
    for column in range(4):
        assert torch.equal(columns[column], x[0, :, :, column])


@pytest.mark.parametrize("make", [lambda m: LiquidTimeConstantCell(3, 4, 2, m), lambda m: ClosedFormCell(3, 4, m)])
def test_the_mean_readout_is_the_mean_of_the_last_states_of_all_beginnings(make: Callable[[bool], nn.Module]) -> None:
    last, mean = make(False), make(True)
    mean.load_state_dict(last.state_dict())
    sequence = torch.randn(2, 5, 3)
    states = [last(sequence[:, : step + 1]) for step in range(5)]
    torch.testing.assert_close(mean(sequence), torch.stack(states).mean(0))


def test_unfolds_mean_nothing_to_a_closed_form_cell() -> None:
    def digest(cell: CellKind, unfolds: int) -> str:
        blocks = (LiquidScan(cell=cell, hidden=3, unfolds=unfolds),)
        return Architecture(family="liquid", shape=(1, 6, 6), classes=3, blocks=blocks).digest

    assert digest("cfc", 1) == digest("cfc", 2)
    assert digest("ltc", 1) != digest("ltc", 2)


@given(seeds)
def test_one_unfold_of_liquid_maps_is_the_fused_step(seed: int) -> None:
    torch.manual_seed(seed)
    module = LiquidConvolution(unfolds=1).build((3, 5, 4)).eval()
    x = torch.randn(2, 3, 5, 4)
    gate = torch.sigmoid(module.norms[0](module.synapse(x)))  # type: ignore[index, operator]
    expected = (x + gate * module.reversal) / (1 + nn.functional.softplus(module.rate) + gate)  # type: ignore[operator, arg-type]
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("unfolds", [1, 5])
def test_liquid_maps_stay_between_the_state_and_the_reversal(unfolds: int) -> None:
    torch.manual_seed(0)
    module = LiquidConvolution(unfolds=unfolds).build((4, 6, 6)).eval()
    x = torch.randn(8, 4, 6, 6) * 10
    limit = max(float(x.abs().max()), float(module.reversal.detach().abs().max()))  # type: ignore[operator]
    assert module(x).abs().max() <= limit
