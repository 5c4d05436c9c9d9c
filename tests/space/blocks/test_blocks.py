import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from space.architecture import Architecture
from space.blocks.base import Activation, Block, activate
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable, SqueezeExcite, TiedInverted
from space.blocks.liquid import LiquidConvolution, LiquidScan
from space.blocks.mlp import Bilinear, Dense, Matrix, Mixer, Patches
from space.network import build
from space.sampling.builder import ACTIVATIONS

seeds = st.integers(0, 2**31)


def settled(module: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """Give batch norms statistics and weights of their own, then switch to evaluation."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "norm" in name or name.startswith("1."):
                parameter.add_(torch.randn_like(parameter) * 0.3)
        module.train()
        for _ in range(3):
            module(torch.randn(16, *shape) * 2 + 1)
    return module.eval()


@given(seeds, st.sampled_from(ACTIVATIONS))
def test_one_repeat_is_an_ordinary_residual_block(seed: int, activation: Activation) -> None:
    torch.manual_seed(seed)
    shape = (4, 6, 5)
    module = settled(ResidualConvolution(repeats=1, activation=activation).build(shape), shape)
    x = torch.randn(3, *shape)
    y: Tensor = module.norms[0](module.body(x))  # type: ignore[index, operator]
    torch.testing.assert_close(module(x), x + module.activation(y))  # type: ignore[operator]


@pytest.mark.parametrize("block", [ResidualConvolution, ResidualSeparable])
def test_repeats_are_the_block_applied_again_with_the_next_norm(
    block: type[ResidualConvolution | ResidualSeparable],
) -> None:
    torch.manual_seed(0)
    shape = (4, 6, 5)
    module = settled(block(repeats=3).build(shape), shape)
    x = y = torch.randn(3, *shape)
    for norm in module.norms:  # type: ignore[union-attr]
        y = y + torch.relu(norm(module.body(y)))  # type: ignore[operator]
    torch.testing.assert_close(module(x), y)


@pytest.mark.parametrize("block", [ResidualConvolution, ResidualSeparable, InvertedResidual])
def test_repeats_cost_norms_but_no_weights(
    block: type[ResidualConvolution | ResidualSeparable | InvertedResidual],
) -> None:
    shape = (4, 6, 5)
    once, twice, thrice = (block(repeats=n).cost(shape) for n in (1, 2, 3))
    norms = twice.parameters - once.parameters
    assert norms < 0.5 * once.parameters
    assert thrice.parameters - twice.parameters == norms
    assert thrice.macs == 3 * once.macs


@given(seeds)
def test_an_inverted_residual_with_its_last_norm_at_zero_is_the_identity(seed: int) -> None:
    torch.manual_seed(seed)
    module = InvertedResidual(repeats=1).build((4, 6, 5)).eval()
    for norm in module.project_norms:  # type: ignore[union-attr]
        nn.init.zeros_(norm.weight)
    x = torch.randn(3, 4, 6, 5)
    torch.testing.assert_close(module(x), x)


@given(st.integers(1, 12), st.sampled_from((1, 3, 5)), st.sampled_from(ACTIVATIONS))
def test_deployed_parameters_are_left_when_batch_norm_is_folded(
    width: int, kernel: int, activation: Activation
) -> None:
    block, shape = Convolution(width=width, kernel=kernel, activation=activation), (2, 6, 6)
    module = settled(block.build(shape), shape)
    convolution, norm, nonlinearity = module.children()
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    folded = nn.Sequential(fuse_conv_bn_eval(convolution, norm), nonlinearity)
    assert block.cost(shape).deployed_parameters == sum(p.numel() for p in folded.parameters())
    x = torch.randn(3, *shape)
    torch.testing.assert_close(folded(x), module(x), rtol=1e-4, atol=1e-4)


def test_a_row_column_layer_is_a_dense_layer_with_a_kronecker_product_for_weights() -> None:
    torch.manual_seed(0)
    module = Bilinear(rows=3, columns=2).build((1, 5, 4)).eval()
    weights = torch.kron(module.row_factor, module.column_factor.T.contiguous())  # type: ignore[arg-type, operator]
    x = torch.randn(6, 1, 5, 4)
    expected = torch.relu(module.norm(x.flatten(1) @ weights.T))  # type: ignore[operator]
    torch.testing.assert_close(module(x).flatten(1), expected)


def test_a_row_column_layer_that_keeps_the_shape_is_residual() -> None:
    module = Bilinear(rows=5, columns=4).build((2, 5, 4)).eval()
    nn.init.zeros_(module.row_factor)  # type: ignore[arg-type]
    x = torch.randn(6, 2, 5, 4)
    torch.testing.assert_close(module(x), x)


def test_a_mixer_with_closed_projections_is_the_identity() -> None:
    module = Mixer(token_width=3, channel_width=5, repeats=2).build((4, 3, 3)).eval()
    for last in (module.token_mixing[2], module.channel_mixing[2]):  # type: ignore[index]
        nn.init.zeros_(last.weight)  # type: ignore[union-attr]
        nn.init.zeros_(last.bias)  # type: ignore[union-attr]
    x = torch.randn(6, 4, 3, 3)
    torch.testing.assert_close(module(x), x)


def test_patches_wider_than_the_map_shrink_to_it() -> None:
    assert Patches(side=7, width=3).output((1, 5, 4)) == (3, 1, 1)


@pytest.mark.parametrize(("shape", "pooled"), [((3, 4, 4), (3, 2, 2)), ((3, 5, 1), (3, 2, 1)), ((3, 1, 1), (3, 1, 1))])
def test_pools_never_run_out_of_pixels(shape: tuple[int, int, int], pooled: tuple[int, int, int]) -> None:
    assert Pool().output(shape) == pooled
    assert Pool(mode="average").build(shape)(torch.ones(1, *shape)).shape[1:] == pooled


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_keep_zero(activation: Activation) -> None:
    assert activate(activation, 3)(torch.zeros(1, 3, 2, 2)).abs().max() == 0


def test_a_student_by_hand() -> None:
    student = Architecture(
        family="cnn", shape=(1, 28, 28), classes=10, blocks=(Convolution(width=4, stride=2), Pool(), GlobalAverage())
    )
    cost = student.cost()
    assert cost.parameters == (9 * 4 + 2 * 4) + (4 * 10 + 10)
    assert cost.deployed_parameters == (9 * 4 + 4) + (4 * 10 + 10)
    assert cost.macs == 9 * 4 * 14 * 14 + 40
    # the last row of the convolution is written when the three last rows of the input are still needed
    assert cost.memory_bytes == 28 * 28 + 14 * 14 * 4 - 25 * 28
    assert cost.int8_bytes == (9 * 4 + 40) + 4 * 2 * (4 + 10)
    assert student.shapes() == [(1, 28, 28), (4, 14, 14), (4, 7, 7), (4, 1, 1)]


HELD: dict[str, tuple[Block, tuple[int, int, int], int, int, int]] = {
    # block, input, bytes of int8 activations, vectors (biases, scales, slopes) after folding, and multipliers that no
    # vector holds: one a channel with weights of its own scale; by hand
    "convolution: in, and a row of out": (Convolution(width=3, stride=2), (2, 6, 6), 72 + 9, 3, 3),
    "tied: the state, and two rows": (ResidualConvolution(repeats=3), (2, 6, 6), 72 + 24, 3 * 2 * 2, 0),
    "once: its norm folds": (ResidualConvolution(repeats=1), (2, 6, 6), 72 + 24, 2, 2),
    "separable: out, two rows of in, a position": (Separable(width=5), (2, 6, 6), 180 + 24 + 2, 5, 5 + 2),
    "tied separable: state, two rows, a position": (ResidualSeparable(repeats=2), (2, 6, 6), 72 + 24 + 2, 2 * 2 * 2, 2),
    "inverted: state, wide maps, a position": (
        InvertedResidual(expansion=3),
        (2, 6, 6),
        72 + 3 * 72 + 6,
        6 + 6 + 2,
        6 + 6 + 2,
    ),
    "tied inverted: as often scales and shifts, shifts of the last norm folded but one": (
        InvertedResidual(expansion=3, repeats=2),
        (2, 6, 6),
        72 + 3 * 72 + 6,
        2 * (2 * 6 + 2 * 6 + 2) + 2,
        0,
    ),
    "gates: state, two means, one hidden": (SqueezeExcite(width=1), (2, 6, 6), 72 + 2 * 3, 1 + 2, 1 + 2),
    "pool: in": (Pool(), (2, 6, 6), 72, 0, 0),
    "mean: in": (GlobalAverage(), (2, 6, 6), 72, 0, 0),
    "dense: in and out": (Dense(width=7), (2, 6, 6), 72 + 7, 7, 7),
    "row-column: in, out, a column": (Bilinear(rows=3, columns=4), (2, 6, 6), 72 + 24 + 2 * 6, 2 * 24, 4),
    "row-column, residual: the same": (Bilinear(rows=6, columns=6), (2, 6, 6), 72 + 72 + 2 * 6, 2 * 72, 6),
    "matrix: as it lies": (Matrix(), (2, 6, 6), 72, 0, 0),
    "patches: in, and a row of out": (Patches(side=3, width=5), (2, 6, 6), 72 + 10, 5, 5),
    "mixer: state, a vector of tokens, hidden; the second norm folds": (
        Mixer(token_width=4, channel_width=3),
        (2, 3, 3),
        18 + 9 + 4,
        (4 + 9) + (3 + 2) + 2 * 2,
        (4 + 9) + (3 + 2),
    ),
    "tied mixer": (
        Mixer(token_width=4, channel_width=3, repeats=2),
        (2, 3, 3),
        18 + 9 + 4,
        (4 + 9) + (3 + 2) + 2 * 2 * 2 * 2,
        (4 + 9) + (3 + 2),
    ),
    "CfC: in, out, two states": (LiquidScan(cell="cfc", hidden=5), (2, 6, 6), 72 + 5 + 2 * 2 * 5, 3 * 5, 2 * 3 * 5),
    "CfC both ways: two out, and the sum": (
        LiquidScan(cell="cfc", hidden=5, both_directions=True, readout="mean"),
        (2, 6, 6),
        72 + 2 * 5 + 2 * 2 * 5 + 4 * 5,
        2 * 3 * 5,
        2 * 2 * 3 * 5,
    ),
    "LTC: in, out, two states": (
        LiquidScan(cell="ltc", hidden=5),
        (2, 6, 6),
        72 + 5 + 2 * 2 * 5,
        3 * 5 + 2 * 12,
        2 * 3 * 5,
    ),
    "LTC: and what the inputs give to numerator and denominator": (
        LiquidScan(cell="ltc", hidden=5, unfolds=2),
        (2, 6, 6),
        72 + 5 + 2 * 2 * 5 + 2 * 4 * 5,
        3 * 5 + 2 * 12,
        2 * 3 * 5,
    ),
    "liquid maps: the state, and two rows": (LiquidConvolution(unfolds=2), (2, 6, 6), 72 + 24, 2 * 2 * 2 + 2 * 2, 0),
    "liquid maps once: the norm folds": (LiquidConvolution(unfolds=1), (2, 6, 6), 72 + 24, 2 + 2 * 2, 2),
}


@pytest.mark.parametrize("name", HELD)
def test_memory_and_deployed_size_by_hand(name: str) -> None:
    block, shape, memory, kept, multipliers = HELD[name]
    cost = block.cost(shape)
    assert cost.memory_bytes == memory
    spent = 3 * kept + 4 * multipliers
    assert cost.int8_bytes - cost.deployed_parameters == spent, "a byte a weight, four a bias or scale"


@torch.no_grad()
def test_shifts_of_a_tied_inverted_residual_fold_into_the_next_norm() -> None:
    torch.manual_seed(0)
    shape = (4, 6, 5)
    module = InvertedResidual(expansion=2, repeats=3, activation="silu").build(shape)
    assert isinstance(module, TiedInverted)
    settled(module, shape)
    x = torch.randn(3, *shape)
    expected, shift = module(x), torch.zeros(4)
    for entry, end in zip(module.expand_norms, module.project_norms, strict=True):
        entry.running_mean -= module.expand.weight[:, :, 0, 0] @ shift  # type: ignore[operator]
        shift = shift - end.running_mean * end.weight / (end.running_var + end.eps).sqrt()  # type: ignore[operator]
        end.running_mean.zero_()  # type: ignore[operator]
    assert float(shift.abs().min()) > 1e-3
    torch.testing.assert_close(module(x) + shift[:, None, None], expected, rtol=1e-4, atol=1e-4)


def test_the_same_seed_builds_the_same_student() -> None:
    student = Architecture(family="cnn", shape=(1, 8, 8), classes=3, blocks=(Convolution(width=4), GlobalAverage()))
    modules = []
    for _ in range(2):
        torch.manual_seed(3)
        modules.append(build(student))
    first, second = (module.state_dict() for module in modules)
    assert all(torch.equal(first[name], second[name]) for name in first)


@given(seeds, st.integers(1, 3), st.integers(1, 3))
def test_heads_are_row_column_layers_of_every_channel_side_by_side(seed: int, channels: int, heads: int) -> None:
    torch.manual_seed(seed)
    module = Bilinear(rows=3, columns=2, heads=heads, activation="silu").build((channels, 5, 4)).eval()
    x = torch.randn(6, channels, 5, 4)
    rows = module.row_factor.view(channels, heads, 3, 5)  # type: ignore[operator]
    columns = module.column_factor.view(channels, 4, heads, 2)  # type: ignore[operator]
    expected = [rows[c, h] @ x[:, c] @ columns[c, :, h] for c in range(channels) for h in range(heads)]
    y = module.norm(torch.stack(expected, 1).flatten(1)).view(6, channels * heads, 3, 2)  # type: ignore[operator]
    torch.testing.assert_close(module(x), nn.functional.silu(y))


def test_one_head_on_one_map_is_the_layer_without_heads() -> None:
    shape = (1, 5, 4)
    plain, headed = Bilinear(rows=3, columns=2), Bilinear(rows=3, columns=2, heads=1)
    assert plain.cost(shape) == headed.cost(shape)
    digests = [Architecture(family="mlp", shape=shape, classes=3, blocks=(block,)).digest for block in (plain, headed)]
    assert digests[0] == digests[1]
    weights = [[p.shape for p in block.build(shape).parameters()] for block in (plain, headed)]
    assert weights[0] == weights[1]


def test_squeeze_excite_with_closed_gates_halves_every_channel() -> None:
    module = SqueezeExcite(width=2).build((4, 3, 5)).eval()
    nn.init.zeros_(module.excite.weight)  # type: ignore[union-attr, arg-type]
    nn.init.zeros_(module.excite.bias)  # type: ignore[union-attr, arg-type]
    x = torch.randn(2, 4, 3, 5)
    torch.testing.assert_close(module(x), x / 2)


def test_squeeze_excite_by_hand() -> None:
    cost = SqueezeExcite(width=2, activation="prelu").cost((4, 3, 5))
    assert cost.parameters == cost.deployed_parameters == 2 * 4 * 2 + 2 + 4 + 2
    assert cost.macs == 2 * 4 * 2


def test_a_matrix_has_positions_as_rows_and_channels_as_columns() -> None:
    x = torch.randn(2, 3, 4, 5)
    matrix = Matrix().build((3, 4, 5))(x)
    assert matrix.shape == (2, *Matrix().output((3, 4, 5)))
    assert torch.equal(matrix[1, 0, 2 * 5 + 4], x[1, :, 2, 4])
