"""A student's model card in Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from reports.facts.formats import counted
from reports.facts.layers import Layer, layers_of
from reports.facts.student_facts import StudentFacts
from reports.render import render


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What the template takes; `confusion` has a row a class: how many of its test samples got which answer."""

    facts: StudentFacts
    input: str
    training: Sequence[tuple[str, str]]
    confusion: Sequence[Sequence[int]]
    layers: Sequence[Layer]


def model_card(facts: StudentFacts) -> str:
    """The card's text."""
    shape = facts.student.architecture.shape
    if len(shape) == 2:
        taken = f"sequences of {shape[0]} time steps with {counted(shape[1], 'feature')} each"
    else:
        taken = f"images of {shape[2]}×{shape[1]} pixels, {counted(shape[0], 'channel')}"
    return render(
        "card.md",
        card=Card(
            facts=facts,
            input=taken,
            training=_training(facts),
            confusion=_confusion(facts),
            layers=layers_of(facts.student.architecture),
        ),
    )


def _training(facts: StudentFacts) -> list[tuple[str, str]]:
    """How it was trained, as far as that is known."""
    if facts.config is None or facts.results is None:
        return []
    recipe, seeds = facts.config.retrain.recipe, facts.results.seeds
    seconds = sum(seed.seconds for seed in seeds) / len(seeds)
    environment = facts.results.environment
    return [
        ("teacher", ", ".join(facts.config.teacher.models)),
        ("loss", f"{recipe.loss}, temperature {recipe.temperature:g}"),
        ("length", f"{recipe.epochs:g} epochs, batches of {recipe.batch}, {recipe.schedule} schedule"),
        ("optimizer", f"{recipe.optimizer}, learning rate {recipe.learning_rate:g}"),
        ("views", f"{recipe.views} augmented passes over the training samples"),
        ("seeds", f"{len(seeds)}, {seconds:.0f} s each on average"),
        ("made with", f"wunderkind {environment.wunderkind}, torch {environment.torch}, on {environment.device}"),
    ]


def _confusion(facts: StudentFacts) -> list[list[int]]:
    """Answers of the exported seed to the test samples, counted by class and answer."""
    if facts.data is None:
        return []
    classes, test = facts.student.architecture.classes, facts.data.test
    answers = facts.student.predict(test.images)
    pairs = torch.bincount(test.labels * classes + answers, minlength=classes**2)
    table: list[list[int]] = pairs.reshape(classes, classes).tolist()
    return table
