import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd.data.augmentation import Augmentation
from kd.optim.recipe import Recipe, RecipeDomain, drawn
from space.sampling.random_trial import RandomTrial

COSINE = Recipe(schedule="cosine", epochs=10, warmup=0.2, learning_rate=0.1)


def test_the_rate_warms_up_in_a_line() -> None:
    assert [COSINE.learning_rate_at(epoch) for epoch in (0, 0.5, 1, 2)] == pytest.approx([0, 0.025, 0.05, 0.1])


def test_cosine_falls_from_the_rate_to_zero() -> None:
    assert [COSINE.learning_rate_at(epoch) for epoch in (2, 6, 10, 11)] == pytest.approx([0.1, 0.05, 0, 0])


@given(st.floats(2, 10), st.floats(2, 10))
def test_cosine_never_rises(first: float, second: float) -> None:
    assert COSINE.learning_rate_at(min(first, second)) >= COSINE.learning_rate_at(max(first, second))


@given(st.floats(1 / 30, 1_000))
def test_a_constant_rate_stays(epoch: float) -> None:
    assert Recipe(epochs=1).learning_rate_at(epoch) == Recipe().learning_rate


@given(st.floats(0.05, 1), st.floats(0.5, 500), st.sampled_from(["constant", "cosine"]))
def test_a_change_of_length_keeps_the_shape(share: float, epochs: float, schedule: str) -> None:
    short, long = (replace(COSINE, schedule=schedule, epochs=length) for length in (10, epochs))  # type: ignore[arg-type]
    rates = [recipe.learning_rate_at(share * recipe.epochs) for recipe in (short, long)]
    assert rates[0] == pytest.approx(rates[1], abs=1e-9)


def test_parts_of_a_training_are_rounded_to_whole_epochs() -> None:
    recipe = Recipe(epochs=24, unaugmented=0.4, weak_augmentation=0.5)
    assert (recipe.weak_augmentation_epochs, recipe.unaugmented_epochs) == (range(12, 14), range(14, 24))
    short = replace(recipe, epochs=5)
    assert (short.weak_augmentation_epochs, short.unaugmented_epochs) == (range(3, 3), range(3, 5))
    assert replace(recipe, epochs=2.5, unaugmented=1.0).unaugmented_epochs == range(3)


def test_a_digest_does_not_depend_on_how_numbers_are_written() -> None:
    assert Recipe(epochs=9, temperature=2).digest == Recipe(epochs=9.0, temperature=2.0).digest
    assert Recipe(standardise=True).digest != Recipe(standardise=False).digest


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_no_warmup_starts_at_the_rate(schedule: str) -> None:
    recipe = replace(Recipe(learning_rate=0.1, warmup=0), schedule=schedule)  # type: ignore[arg-type]
    assert recipe.learning_rate_at(0) == pytest.approx(0.1)


def test_a_schedule_of_warmup_alone_never_divides_by_zero() -> None:
    assert replace(COSINE, warmup=1).learning_rate_at(10) == pytest.approx(0.1)


def test_every_setting_has_a_digest_of_its_own() -> None:
    recipes = [
        Recipe(),
        COSINE,
        Recipe(loss="hard"),
        Recipe(temperature=3),
        Recipe(batch=128),
        Recipe(ema=0.9),
        Recipe(weak_augmentation=0.2),
        Recipe(unaugmented=0.2),
        Recipe(feature_weight=2),
        Recipe(optimizer="adamw"),
        Recipe(feature_loss="hint"),
        Recipe(feature_loss="attention"),
        Recipe(feature_loss="hint", feature_weight=2),
        Recipe(augmentation=Augmentation(rotation=3)),
    ]
    assert len({recipe.digest for recipe in recipes}) == len(recipes)


def test_parts_of_a_recipe_are_drawn_and_put_in_its_place() -> None:
    domain = RecipeDomain(loss=("kl", "dkd"), temperature=(1, 8), hard_weight=(0, 0.5), learning_rate=(1e-3, 1e-1))
    drawn_ones = []
    for seed in range(200):
        trial = RandomTrial(random.Random(seed))
        domain.draw(trial)
        drawn_ones.append(replace(Recipe(batch=32), **drawn({**trial.params, "size": 500.0})))
    assert {recipe.loss for recipe in drawn_ones} == {"kl", "dkd"}
    assert {recipe.batch for recipe in drawn_ones} == {32}
    # even in the logarithm: half of the rates lie below the geometric mean
    assert 70 < sum(recipe.learning_rate < 1e-2 for recipe in drawn_ones) < 130
    assert 70 < sum(recipe.hard_weight < 0.25 for recipe in drawn_ones) < 130
    assert all(1 <= recipe.temperature <= 8 for recipe in drawn_ones)


def test_nothing_is_drawn_unless_asked_for() -> None:
    trial = RandomTrial(random.Random(0))
    RecipeDomain().draw(trial)
    assert trial.params == {}
