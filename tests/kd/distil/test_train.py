import warnings
from dataclasses import replace

import pytest
import torch

from kd.data.dataset import DataSet, equal_parts
from kd.distil.train import RungResult, RungTask, train_rung
from kd.distil.views import ViewSource, make_view, open_view
from kd.optim.checkpoint import averaged_weights
from kd.optim.recipe import Recipe
from kd.students.evaluate import evaluate, normalise
from space.architecture import FAMILIES, AnyBlock, Architecture, Family
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable
from space.blocks.liquid import LiquidConvolution, LiquidScan
from space.blocks.mlp import Bilinear, Dense, Mixer
from space.network import build

RECIPE = Recipe(epochs=4, views=2, batch=50, warmup=0.125, learning_rate=1e-2)
SMALL = Convolution(width=4, kernel=5, stride=2, activation="silu")
BLOCKS: dict[Family, tuple[AnyBlock, ...]] = {
    "cnn": (SMALL, ResidualConvolution(repeats=2), GlobalAverage()),
    "depthwise": (SMALL, ResidualSeparable(repeats=2), Separable(width=6), InvertedResidual(), GlobalAverage()),
    "mlp": (Bilinear(rows=10, columns=10, activation="prelu"), Dense(width=16)),
    "liquid": (SMALL, Pool(), LiquidConvolution(), LiquidScan(cell="ltc", hidden=6)),
    "hybrid": (SMALL, Pool(), Mixer(token_width=6, channel_width=6), LiquidScan(cell="cfc", hidden=8)),
}


def student(family: Family) -> Architecture:
    return Architecture(family=family, shape=(1, 28, 28), classes=10, blocks=BLOCKS[family])


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


def timeless(result: RungResult) -> RungResult:
    """A result without what the clock says."""
    return replace(result, seconds=0.0, curve=tuple(replace(epoch, seconds=0.0) for epoch in result.curve))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_in_two_parts_is_the_run_in_one_bit_for_bit(family: Family, small_views: ViewSource) -> None:
    whole = rung(student(family), RECIPE, 3, 0, 2, small_views)
    first = rung(student(family), RECIPE, 3, 0, 1, small_views)
    second = rung(student(family), RECIPE, 3, 1, 2, small_views, first.checkpoint)
    assert whole.failure is None
    assert second.checkpoint == whole.checkpoint
    assert timeless(whole).curve == timeless(first).curve + timeless(second).curve


def test_the_same_task_gives_the_same_bytes(small_views: ViewSource) -> None:
    torch.manual_seed(1)
    first = rung(student("cnn"), RECIPE, 3, 0, 1, small_views)
    torch.manual_seed(2)
    again = rung(student("cnn"), RECIPE, 3, 0, 1, small_views)
    assert timeless(first) == timeless(again)


def test_training_leaves_the_random_state_of_its_process_alone(small_views: ViewSource) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    rung(student("cnn"), RECIPE, 3, 0, 1, small_views)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("change", [{"seed": 4}, {"hard": True}, {"temperature": 4.0}], ids=str)
def test_seed_and_recipe_matter(change: dict[str, object], small_views: ViewSource) -> None:
    def trained(seed: int = 3, hard: bool = False, temperature: float = 2.0) -> bytes:
        recipe = replace(RECIPE, loss="hard" if hard else "kl", temperature=temperature)
        return rung(student("cnn"), recipe, seed, 0, 1, small_views).checkpoint

    assert trained() != trained(**change)  # type: ignore[arg-type]


def test_the_end_trains_on_views_of_weak_augmentation(small_views: ViewSource) -> None:
    make_view(small_views.weak(), 0, "cpu")
    recipe = replace(RECIPE, epochs=2, views=1)
    weakened = replace(recipe, weak_augmentation=0.5)
    first = rung(student("cnn"), weakened, 3, 0, 1, small_views).checkpoint
    assert first == rung(student("cnn"), recipe, 3, 0, 1, small_views).checkpoint
    second = rung(student("cnn"), weakened, 3, 1, 2, small_views, first).checkpoint
    assert second == rung(student("cnn"), recipe, 3, 1, 2, small_views.weak(), first).checkpoint
    assert second != rung(student("cnn"), recipe, 3, 1, 2, small_views, first).checkpoint


def test_students_learn(small_views: ViewSource) -> None:
    recipe = replace(RECIPE, schedule="cosine", epochs=6, batch=25, learning_rate=2e-2, unaugmented=0.2)
    wide = replace(student("cnn"), blocks=(replace(SMALL, width=16), Convolution(width=24, stride=2), GlobalAverage()))
    result = rung(wide, recipe, 0, 0, 6, small_views)
    assert [epoch.epoch for epoch in result.curve] == [1, 2, 3, 4, 5, 6]
    assert result.curve[-1].train_loss < 0.7 * result.curve[0].train_loss
    assert result.curve[-1].validation_accuracy > 0.5
    assert all(0 < epoch.seconds < result.seconds for epoch in result.curve)


def test_the_averaged_weights_are_what_was_evaluated(small_views: ViewSource, small_data: DataSet) -> None:
    result = rung(student("depthwise"), RECIPE, 0, 0, 1, small_views)
    module = build(student("depthwise"))
    module.load_state_dict(averaged_weights(result.checkpoint))
    cpu = torch.device("cpu")
    found = evaluate(module.to(memory_format=torch.channels_last), small_data.validation, small_data, cpu)
    accuracy, loss = found.accuracy, found.loss
    assert accuracy == result.curve[-1].validation_accuracy
    assert loss == pytest.approx(result.curve[-1].validation_loss, rel=1e-5)


def test_a_loss_that_is_no_number_ends_training_with_a_reason(small_views: ViewSource) -> None:
    result = rung(student("cnn"), replace(RECIPE, learning_rate=1e30, warmup=0), 0, 0, 3, small_views)
    assert result.failure is not None
    assert result.failure.startswith("loss is")
    assert result.checkpoint == b""
    assert len(result.curve) < 3


def test_a_last_step_that_ruins_a_student_ends_training_with_a_reason(small_views: ViewSource) -> None:
    samples = len(open_view(small_views, 0).labels)
    recipe = replace(RECIPE, learning_rate=1e30, warmup=0, batch=samples, optimizer="adamw", weight_decay=0)
    result = rung(student("cnn"), recipe, 0, 0, 1, small_views)
    assert result.failure is not None
    assert "validation samples" in result.failure


def test_rungs_shorter_than_a_batch_train_it_once(small_views: ViewSource) -> None:
    recipe = replace(RECIPE, batch=len(open_view(small_views, 0).labels))
    whole = rung(student("cnn"), recipe, 0, 0, 1, small_views)
    state = None
    for start, stop in ((0, 0.25), (0.25, 0.5), (0.5, 1)):
        part = rung(student("cnn"), recipe, 0, start, stop, small_views, state)
        state = part.checkpoint
    assert averaged_weights(state or b"").keys() == averaged_weights(whole.checkpoint).keys()
    for name, weight in averaged_weights(whole.checkpoint).items():
        assert torch.equal(averaged_weights(state or b"")[name], weight)


def test_a_few_samples_more_do_not_outweigh_the_others() -> None:
    for count, most in ((513, 512), (4_096, 512), (3, 512), (1_025, 512)):
        parts = equal_parts(torch.arange(count), most)
        assert torch.equal(torch.cat(parts), torch.arange(count))
        assert max(map(len, parts)) <= most
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_normalised_pixels_have_zero_mean_and_unit_deviation(small_data: DataSet) -> None:
    pixels = normalise(small_data.train.images, small_data, torch.device("cpu"))
    assert float(pixels.mean()) == pytest.approx(0, abs=1e-4)
    assert float(pixels.std()) == pytest.approx(1, abs=1e-4)
    assert small_data.train.images.dtype == torch.uint8


def test_evaluation_by_hand(small_data: DataSet) -> None:
    class Always3(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(len(images), 10)
            logits[:, 3] = torch.tensor(11.0).log()
            return logits

    found = evaluate(Always3(), small_data.test, small_data, torch.device("cpu"))
    accuracy, loss = found.accuracy, found.loss
    share = float((small_data.test.labels == 3).float().mean())
    assert accuracy == pytest.approx(share)
    assert loss == pytest.approx(torch.tensor(20.0).log().item() - share * torch.tensor(11.0).log().item(), rel=1e-5)


def test_training_leaves_threads_and_warnings_of_its_process_alone(small_views: ViewSource) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    before = list(warnings.filters)
    try:
        rung(student("cnn"), RECIPE, 3, 0, 0.1, small_views)
        assert torch.get_num_threads() == 2
        assert list(warnings.filters) == before
    finally:
        torch.set_num_threads(threads)
