"""A step of training against the plain loop that it stands for, and as a GPU asks for it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from kd.data.augmentation import NO_AUGMENTATION
from kd.data.dataset import DataSet
from kd.distil import recording
from kd.distil.recording import Recording
from kd.distil.step import in_batches
from kd.distil.trainer import Trainer, new_trainer
from kd.distil.views import UNAUGMENTED, View, make_view, open_view, view_source
from kd.losses import logits as losses
from kd.losses.features import Guide
from kd.optim.muon import ADAM_SIZE, BETAS, EPSILON, MOMENTUM, orthogonal
from kd.optim.recipe import FeatureLoss, Loss, Optimizer, Recipe
from kd.students.evaluate import calibrate, normalise
from kd.teachers.source import TeacherSource
from space.architecture import FAMILIES, AnyBlock, Architecture, Family
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable
from space.blocks.liquid import LiquidConvolution, LiquidScan
from space.blocks.mlp import Bilinear, Dense, Mixer
from space.network import build

CPU = torch.device("cpu")
RECIPE = Recipe(epochs=3, batch=50, warmup=0.125, learning_rate=1e-2, schedule="cosine", ema=0.9)
SMALL = Convolution(width=4, kernel=5, stride=2, activation="silu")
BLOCKS: dict[Family, tuple[AnyBlock, ...]] = {
    "cnn": (SMALL, ResidualConvolution(repeats=2), GlobalAverage()),
    "depthwise": (SMALL, ResidualSeparable(repeats=2), Separable(width=6), InvertedResidual(), GlobalAverage()),
    "mlp": (Bilinear(rows=10, columns=10, activation="prelu"), Dense(width=16)),
    "liquid": (SMALL, Pool(), LiquidConvolution(), LiquidScan(cell="ltc", hidden=6)),
    "hybrid": (SMALL, Pool(), Mixer(token_width=6, channel_width=6), LiquidScan(cell="cfc", hidden=8)),
}
LOSSES: tuple[Loss, ...] = ("hard", "kl", "mse", "dkd", "dist")
FEATURE_LOSSES: tuple[FeatureLoss, ...] = ("hint", "attention", "similarity")


def student(family: Family) -> Architecture:
    return Architecture(family=family, shape=(1, 28, 28), classes=10, blocks=BLOCKS[family])


class Reference:
    """Training as anybody would write it: gradients by `backward`, numbers of Python's, PyTorch's average."""

    def __init__(self, architecture: Architecture, recipe: Recipe, seed: int, example: View) -> None:
        torch.manual_seed(seed)
        self.recipe, self.student, self.made = recipe, build(architecture), 0
        self.student.to(memory_format=torch.channels_last)
        self.averaged = AveragedModel(self.student, multi_avg_fn=self._average)
        others = list[nn.Parameter]()
        if recipe.feature_loss != "none":
            self.guide = Guide(self.student, architecture, recipe.feature_loss, example.features)
            others = list(self.guide.parameters())
        matrices = self.student.matrices() if recipe.optimizer == "muon" else {}
        self.matrices = dict(matrices)
        self.momenta = {weight: torch.zeros_like(weight) for weight in matrices}
        rest = [p for p in (*self.student.parameters(), *others) if p not in matrices]
        self.adamw = torch.optim.AdamW(
            rest, lr=1.0, betas=BETAS, eps=EPSILON, weight_decay=recipe.weight_decay, foreach=True
        )

    def _average(self, averaged: object, current: object, count: object) -> None:
        decay = min(self.recipe.ema, (1 + self.made) / (10 + self.made))
        torch._foreach_lerp_(list(averaged), list(current), 1 - decay)  # type: ignore[call-overload]

    def train(self, view: View, data: DataSet, epoch: int, seed: int) -> float:
        """Train for an epoch; returns the mean loss."""
        size, total = self.recipe.batch, torch.zeros(())
        count = len(view.labels) // size
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 10_007 + epoch)).tolist()
        self.student.train()
        for index, place in enumerate(order):
            batch = slice(place * size, (place + 1) * size)
            rate = self.recipe.learning_rate_at(epoch + (index + 1) / count)
            output = self.student(normalise(view.images[batch], data, CPU))
            loss = losses.total(output, view.logits[batch].float(), view.labels[batch], self.recipe)
            if self.recipe.feature_loss != "none" and view.features is not None:
                loss = loss + self.recipe.feature_weight * self.guide(view.features[batch].float())
            self.student.zero_grad()
            self.adamw.zero_grad()
            loss.backward()
            self._move(rate)
            self.averaged.update_parameters(self.student)
            self.made += 1
            total += loss.detach()
        return float(total) / count

    @torch.no_grad()
    def _move(self, rate: float) -> None:
        self.adamw.param_groups[0]["lr"] = rate
        self.adamw.step()
        for weight, shape in self.matrices.items():
            assert weight.grad is not None
            weight.mul_(1 - rate * self.recipe.weight_decay)
            momentum = self.momenta[weight].lerp_(weight.grad, 1 - MOMENTUM)
            update = orthogonal(weight.grad.lerp(momentum, MOMENTUM).reshape(shape)).view(weight.shape)
            weight.sub_(update, alpha=rate * ADAM_SIZE * max(shape[-2:]) ** 0.5)


@pytest.fixture(scope="module")
def view(small_data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> View:
    """The unaugmented view of 170 samples, with a stage of the teacher."""
    teacher = TeacherSource(models=("mnist",), stage="features.11", cells=3)
    source = view_source(tmp_path_factory.mktemp("views"), small_data.first(170), teacher, NO_AUGMENTATION)
    make_view(source, UNAUGMENTED, "cpu", small_data.first(170))
    return open_view(source, UNAUGMENTED)


def ours(architecture: Architecture, recipe: Recipe, data: DataSet, view: View) -> Trainer:
    return new_trainer(architecture, recipe, 3, data, view, CPU)


def same(found: Trainer, expected: Reference) -> bool:
    """Whether weights and averages are equal bit for bit."""
    pairs = zip(found.step.student.parameters(), expected.student.parameters(), strict=True)
    averages = zip(found.step.averaged.module.parameters(), expected.averaged.module.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in (*pairs, *averages))


def compare(architecture: Architecture, recipe: Recipe, data: DataSet, view: View) -> None:
    trainer, reference = ours(architecture, recipe, data, view), Reference(architecture, recipe, 3, view)
    for epoch in range(2):
        assert trainer.train(view, epoch, epoch + 1) == reference.train(view, data, epoch, 3)
    assert same(trainer, reference)
    assert int(trainer.step.averaged.n_averaged) == reference.made == 6


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_is_the_plain_loop_bit_for_bit(
    family: Family, optimizer: Optimizer, small_data: DataSet, view: View
) -> None:
    compare(student(family), replace(RECIPE, optimizer=optimizer), small_data, view)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_so_it_is_with_every_loss(loss: Loss, optimizer: Optimizer, small_data: DataSet, view: View) -> None:
    recipe = replace(RECIPE, loss=loss, optimizer=optimizer, hard_weight=0.2, label_smoothing=0.1, standardise=True)
    compare(student("mlp"), recipe, small_data, view)


@pytest.mark.parametrize("loss", FEATURE_LOSSES)
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_and_with_every_feature_loss(loss: FeatureLoss, optimizer: Optimizer, small_data: DataSet, view: View) -> None:
    compare(student("cnn"), replace(RECIPE, feature_loss=loss, optimizer=optimizer), small_data, view)


@pytest.mark.parametrize("features", ["none", *FEATURE_LOSSES])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_asks_its_device_for_nothing(
    family: Family, loss: Loss, features: FeatureLoss, small_data: DataSet, view: View
) -> None:
    # tensors of "meta" have no values: whatever reads one, or brings one from the host, fails, as a recording would
    recipe = replace(RECIPE, loss=loss, feature_loss=features, hard_weight=0.2, standardise=True)
    nowhere = torch.device("meta")
    step = new_trainer(student(family), recipe, 0, small_data, view, nowhere).step
    numbers = step.numbers([0.5, 1.0], 0)
    record = Recording(step, in_batches(view, 50), numbers.shape[1])
    assert record(in_batches(view.map(lambda part: part.to(nowhere)), 50), torch.arange(2), numbers).is_meta


@pytest.mark.parametrize("room", [1, 2, 100])
def test_batches_that_are_brought_part_by_part_are_the_same(
    room: int, small_data: DataSet, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = in_batches(view, 50)
    monkeypatch.setattr(recording, "ROOM", room * sum(part[0].nbytes for part in batches.parts()))
    recipe = replace(RECIPE, feature_loss="similarity")
    calling, bringing = (ours(student("hybrid"), recipe, small_data, view) for _ in range(2))
    count = calling.step.numbers([1], 0).shape[1]
    bringing = replace(bringing, steps=Recording(bringing.step, batches, count))
    assert bringing.reason == "only a GPU records"
    for begin, end in ((0, 0.4), (0.4, 1), (1, 2)):
        assert calling.train(view, begin, end) == bringing.train(view, begin, end)
    assert calling.state() == bringing.state()


def test_statistics_are_those_of_pytorch(small_data: DataSet) -> None:
    def batches() -> list[Tensor]:
        return [normalise(part, small_data, CPU) for part in small_data.train.images[:300].split(100)]

    torch.manual_seed(0)
    expected = build(student("depthwise"))
    found = build(student("depthwise"))
    found.load_state_dict(expected.state_dict())
    update_bn(batches(), expected)
    calibrate(found, batches())
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, found.state_dict()[name]), name
    assert {m.momentum for m in found.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}
