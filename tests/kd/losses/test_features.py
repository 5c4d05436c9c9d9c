"""Feature losses by hand, and students that follow a stage of MNIST's teacher."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as tensors_of
from torch import Tensor

from kd.data.augmentation import Augmentation
from kd.data.dataset import DataSet, DataSource, load
from kd.distil.train import RungResult, RungTask, train_rung
from kd.distil.views import UNAUGMENTED, ViewSource, make_view, open_view, view_source
from kd.losses.features import LOSSES, Guide, attention, guided_block, hint, similarity
from kd.optim.checkpoint import averaged_weights
from kd.optim.recipe import FeatureLoss, Recipe
from kd.students.evaluate import normalise
from kd.teachers import network as teachers
from kd.teachers.source import TeacherSource
from space.architecture import FAMILIES, AnyBlock, Architecture, Family
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable
from space.blocks.liquid import LiquidConvolution, LiquidScan
from space.blocks.mlp import Bilinear, Dense, Matrix, Mixer
from space.errors import InputError
from space.network import build

CPU = torch.device("cpu")
FEATURE_LOSSES: tuple[FeatureLoss, ...] = ("hint", "attention", "similarity")
RECIPE = Recipe(epochs=4, views=1, batch=50, warmup=0.125, unaugmented=0.25)
SMALL = Convolution(width=4, kernel=5, stride=2, activation="silu")
BLOCKS: dict[Family, tuple[AnyBlock, ...]] = {
    "cnn": (SMALL, ResidualConvolution(repeats=2), GlobalAverage()),
    "depthwise": (SMALL, ResidualSeparable(repeats=2), Separable(width=6, stride=2), InvertedResidual()),
    "mlp": (Matrix(), Bilinear(rows=5, columns=2), Dense(width=16)),
    "liquid": (SMALL, Pool(), LiquidConvolution(), LiquidScan(cell="ltc", hidden=6)),
    "hybrid": (SMALL, Pool(), Mixer(token_width=6, channel_width=6), LiquidScan(cell="cfc", hidden=8)),
}


def rung(
    architecture: Architecture,
    recipe: Recipe,
    seed: int,
    start: float,
    stop: float,
    views: ViewSource,
    state: bytes | None = None,
) -> RungResult:
    task = RungTask(architecture=architecture, recipe=recipe, seed=seed, start=start, stop=stop, views=views)
    return train_rung(task, state)


def student(*blocks: AnyBlock, shape: tuple[int, ...] = (1, 28, 28), family: Family = "cnn") -> Architecture:
    return Architecture(family=family, shape=shape, classes=10, blocks=blocks)


CNN = student(*BLOCKS["cnn"])
FLAT = student(Dense(width=20), family="mlp")


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory, small_data: DataSet) -> ViewSource:
    """A view and the clean one of the small data, with the maps of the fourth convolution of MNIST's teacher."""
    teacher = TeacherSource(stage="features.11", cells=3)
    source = view_source(tmp_path_factory.mktemp("views"), small_data, teacher, Augmentation())
    for index in (UNAUGMENTED, 0):
        make_view(source, index, "cpu")
    return source


def feature_loss(loss: FeatureLoss, checkpoint: bytes, source: ViewSource, data: DataSet) -> float:
    """Of the weights in a checkpoint, over 500 images of the first view."""
    view, model = open_view(source, 0), build(CNN)
    assert view.features is not None
    guide = Guide(model, CNN, loss, view.features)
    tensors = tensors_of(checkpoint)
    for prefix, module in (("model.", model), ("guide.", guide)):
        module.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
    model.eval()
    with torch.no_grad():
        model(normalise(view.images[:500], data, CPU))
        return float(guide(view.features[:500].float()))


def test_hint_by_hand() -> None:
    student, teacher = torch.tensor([1.0, 2, 3, 4]).view(2, 2, 1, 1), torch.tensor([1.0, 0, 0, 4]).view(2, 2, 1, 1)
    assert float(hint(student, teacher)) == pytest.approx((4 + 9) / 4)


def test_attention_by_hand() -> None:
    # Q of the first samples is (3, 4) and (1, 0): lengths 5 and 1, a gap of (−0.4, 0.8); the second samples agree
    student = torch.tensor([[[1.0, 2], [2**0.5, 0]], [[1.0, 0], [0, 3]]]).view(2, 2, 1, 2)
    teacher = torch.tensor([[[-1.0, 0]], [[1.0, 3]]]).view(2, 1, 1, 2)
    assert float(attention(student, teacher)) == pytest.approx((0.16 + 0.64) / 2)


def test_similarity_by_hand() -> None:
    # AAᵀ = [[1, 1], [1, 2]], BBᵀ = [[1, 0], [0, 4]]
    student = torch.tensor([[1.0, 0], [1, 1]]).view(2, 1, 1, 2)
    teacher = torch.tensor([[1.0, 0, 0], [0, 2, 0]]).view(2, 3, 1, 1)
    expected = (1 - 1 / math.sqrt(2)) ** 2 + 1 / 2 + 1 / 5 + (1 - 2 / math.sqrt(5)) ** 2
    assert float(similarity(student, teacher)) == pytest.approx(expected / 4)


@pytest.mark.parametrize("loss", FEATURE_LOSSES)
def test_equal_maps_lose_nothing_and_dead_ones_stay_finite(loss: FeatureLoss) -> None:
    maps = torch.randn(6, 3, 4, 4)
    assert float(LOSSES[loss](maps, maps)) == 0
    dead = torch.zeros(6, 3, 4, 4, requires_grad=True)
    LOSSES[loss](dead, maps).backward()
    assert dead.grad is not None
    assert bool(dead.grad.isfinite().all())


def test_attention_and_similarity_know_no_scale_and_stay_below_their_bounds() -> None:
    maps, others = torch.randn(6, 3, 4, 4), torch.randn(6, 3, 4, 4)
    for loss, bound in ((attention, 2), (similarity, 4 / 6)):
        assert float(loss(7 * maps, others)) == pytest.approx(float(loss(maps, others)), rel=1e-4)
        assert 0 < float(loss(maps, others)) < bound
        assert float(loss(maps, -maps)) == pytest.approx(0, abs=1e-6)
    assert float(attention(maps[..., :1, :1], others[..., :1, :1])) == 0


@pytest.mark.parametrize(
    ("architecture", "positions", "block"),
    [
        (CNN, 16, 1),  # 14×14, 14×14, 1×1
        (CNN, 196, 1),
        (CNN, 400, 1),
        (CNN, 1, 2),
        (student(SMALL, Pool(), Pool(), Dense(width=8)), 16, 1),  # 14×14, 7×7, 3×3, 1×1
        (student(SMALL, Pool(), Pool(), Dense(width=8)), 9, 2),
        (student(SMALL, Pool(), Pool(), Dense(width=8)), 784, 0),
        (student(Dense(width=8), Dense(width=4)), 16, 1),
        (student(Convolution(width=4, stride=3), LiquidScan(cell="cfc", hidden=6), shape=(28, 12)), 4, 0),
    ],
)
def test_the_guided_block_is_the_last_with_positions_enough(
    architecture: Architecture, positions: int, block: int
) -> None:
    assert guided_block(architecture, positions) == block


def test_larger_maps_are_averaged_to_the_smaller() -> None:
    architecture = student(Convolution(width=2, kernel=1, stride=7), shape=(1, 28, 28))  # 4×4
    model = build(architecture)
    maps: list[Tensor] = []
    for height, width in ((2, 4), (4, 2), (1, 1)):
        teacher = torch.randn(5, 2, height, width)
        guide = Guide(model, architecture, "similarity", teacher)
        model.blocks[0].register_forward_hook(lambda _m, _i, output: maps.append(output))
        model(torch.randn(5, 1, 28, 28))
        cells = maps[-1].view(5, 2, height, 4 // height, width, 4 // width).mean((3, 5))
        torch.testing.assert_close(guide(teacher), similarity(cells, teacher))
    large = torch.randn(5, 2, 8, 8)
    guide = Guide(model, architecture, "similarity", large)
    model(torch.randn(5, 1, 28, 28))
    torch.testing.assert_close(guide(large), similarity(maps[-1], large.view(5, 2, 4, 2, 4, 2).mean((3, 5))))


def test_flat_students_follow_the_mean_of_the_teachers_maps(staged: ViewSource) -> None:
    view, model = open_view(staged, 0), build(FLAT)
    assert view.features is not None
    features = view.features[:50].float()
    for loss in FEATURE_LOSSES:
        guide = Guide(model, FLAT, loss, features)
        model(view.images[:50].float())
        value = guide(features)
        if loss == "attention":
            assert value.item() == 0
        else:
            means = features.mean((2, 3), keepdim=True)
            torch.testing.assert_close(value, LOSSES[loss](guide.projection(guide.maps), means))


def test_a_guide_needs_maps_of_a_teacher() -> None:
    with pytest.raises(InputError, match=r"the views hold no maps of a teacher: set teacher\.stage"):
        Guide(build(CNN), CNN, "hint", None)
    with pytest.raises(InputError, match="maps have one position: choose a stage with maps"):
        Guide(build(CNN), CNN, "attention", torch.zeros(5, 8, 1, 1))


@pytest.mark.parametrize("loss", FEATURE_LOSSES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_follows_a_stage(family: Family, loss: FeatureLoss, staged: ViewSource) -> None:
    architecture = student(*BLOCKS[family], family=family)
    result = rung(architecture, replace(RECIPE, feature_loss=loss), 0, 0, 0.1, staged)
    assert result.failure is None
    assert math.isfinite(result.curve[-1].train_loss)


@pytest.mark.parametrize("loss", FEATURE_LOSSES)
def test_students_of_sequences_follow_a_stage(loss: FeatureLoss, sequences: DataSet, tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = teachers.TeacherRecipe(widths=(4, 8))
    teacher = teachers.Teacher(sequences.shape, 10, sequences.mean, sequences.std, recipe.widths)
    teachers.save(teacher, tmp_path / "teacher.safetensors", recipe, sequences)
    named = TeacherSource(models=(str(tmp_path / "teacher.safetensors"),), stage="features.5")
    source = view_source(tmp_path, sequences, named, Augmentation(rotation=0, shift=0, scale=0, shear=0))
    make_view(source, UNAUGMENTED, "cpu")
    features = open_view(source, UNAUGMENTED).features
    assert features is not None
    assert features.shape == (1_000, 8, 4, 1)
    blocks = (Convolution(width=6, kernel=5, stride=2), LiquidScan(cell="cfc", hidden=8))
    architecture = student(*blocks, shape=sequences.shape, family="liquid")
    result = rung(architecture, replace(RECIPE, feature_loss=loss, unaugmented=0), 0, 0, 0.1, source)
    assert result.failure is None


@pytest.mark.parametrize(("loss", "weight"), [("hint", 10.0), ("attention", 30.0), ("similarity", 3_000.0)])
def test_students_come_to_resemble_the_stage(
    loss: FeatureLoss, weight: float, staged: ViewSource, small_data: DataSet
) -> None:
    recipe = replace(RECIPE, feature_loss=loss, feature_weight=weight, warmup=0)
    untrained, trained = (
        rung(CNN, replace(recipe, learning_rate=rate), 0, 0, 3, staged).checkpoint for rate in (1e-9, 1e-2)
    )
    after = feature_loss(loss, trained, staged, small_data)
    assert after < 0.8 * feature_loss(loss, untrained, staged, small_data)
    if loss != "hint":  # which without its projection compares nothing
        alone = rung(CNN, replace(recipe, feature_loss="none"), 0, 0, 3, staged).checkpoint
        assert after < 0.9 * feature_loss(loss, alone, staged, small_data)


@pytest.mark.parametrize("loss", FEATURE_LOSSES)
def test_a_run_in_two_parts_is_the_run_in_one_bit_for_bit(loss: FeatureLoss, staged: ViewSource) -> None:
    recipe = replace(RECIPE, feature_loss=loss)
    whole = rung(CNN, recipe, 3, 0, 2, staged)
    first = rung(CNN, recipe, 3, 0, 1.5, staged)
    second = rung(CNN, recipe, 3, 1.5, 2, staged, first.checkpoint)
    assert whole.failure is None
    assert second.checkpoint == whole.checkpoint
    assert (loss == "hint") == ("guide.projection.weight" in tensors_of(whole.checkpoint))


@pytest.mark.parametrize("loss", FEATURE_LOSSES)
def test_a_guide_is_no_part_of_the_student(loss: FeatureLoss, staged: ViewSource) -> None:
    # a weight that float32 takes for 0: what is left is what the guide itself would do
    guided, alone = (
        averaged_weights(rung(CNN, recipe, 3, 0, 0.1, staged).checkpoint)
        for recipe in (replace(RECIPE, feature_loss=loss, feature_weight=1e-300), RECIPE)
    )
    assert guided.keys() == alone.keys() == build(CNN).state_dict().keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(guided[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


def test_stages_are_stored_with_the_logits_of_the_same_pass(
    staged: ViewSource, small_views: ViewSource, small_data: DataSet
) -> None:
    teacher = teachers.load(teachers.shipped("mnist"), CPU)
    for index in (UNAUGMENTED, 0):
        view, plain = open_view(staged, index), open_view(small_views, index)
        for part in ("images", "labels", "logits"):
            assert torch.equal(getattr(view, part), getattr(plain, part))
        assert plain.features is None
        assert view.features is not None
        assert (view.features.dtype, view.features.shape) == (torch.float16, (1_000, 64, 3, 3))
        with torch.no_grad():
            maps = teacher.features[:12]((view.images[:100].float() / 255 - teacher.mean) / teacher.std)
        expected = torch.nn.functional.adaptive_avg_pool2d(maps, (3, 3))
        torch.testing.assert_close(view.features[:100].float(), expected, rtol=1e-2, atol=1e-2)


def test_the_folder_of_views_knows_the_stage(staged: ViewSource, small_data: DataSet) -> None:
    sources = [
        TeacherSource(),
        TeacherSource(cells=2),
        TeacherSource(stage="features.11", cells=3),
        TeacherSource(stage="features.11"),
        TeacherSource(stage="features.8"),
    ]
    mnist = load(DataSource())
    names = [view_source(Path(), mnist, source, Augmentation()).folder.name for source in sources]
    assert names[0] == names[1]
    assert len(set(names)) == 4
