from dataclasses import asdict

import pytest

from studies.configuration.config import Config
from studies.configuration.file import flatten, parse
from studies.configuration.keys import Key, sections

KEYS = {key.name: key for section in sections() for key in section.keys}


def test_every_key_there_is_is_described_with_its_default() -> None:
    assert {name: key.default for name, key in KEYS.items()} == flatten(asdict(Config()))


def test_a_meaning_and_a_unit_are_read_from_the_string_below_a_field() -> None:
    assert KEYS["search.hours"] == Key(
        name="search.hours",
        type="number > 0, or left out",
        default=None,
        unit="hours",
        meaning="Wall-clock limit of one run: the search ends in time for retraining, but has at least half of it.",
    )
    assert (KEYS["search.seed"].unit, KEYS["search.seed"].meaning[:19]) == ("", "Seed of the sampler")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("search.trials", "integer ≥ 1"),
        ("search.seed", "integer ≥ 0 and < 2,147,483,648"),
        ("search.rungs", "list of number > 0"),
        ("search.sampler", "predictor, evolution, tpe, nsga2 or random"),
        ("space.families", "list of cnn, depthwise, mlp, liquid or hybrid"),
        ("retrain.with_validation", "true or false"),
        ("data.name", "text"),
        ("data.size", "[integer ≥ 1, integer ≥ 1], or left out"),
        ("teacher.models", "list of text"),
        ("recipe.hard_weight", "number ≥ 0 and ≤ 1"),
        ("recipe.augmentation.shear", "number ≥ 0 and < 90"),
    ],
)
def test_a_type_is_written_in_words(name: str, words: str) -> None:
    assert KEYS[name].type == words


def test_sections_with_the_same_keys_say_so() -> None:
    like = {section.name: section.like for section in sections() if section.like}
    assert like == {
        "retrain.recipe": "recipe",
        "retrain.recipe.augmentation": "recipe.augmentation",
        "assistants.recipe": "recipe",
        "assistants.recipe.augmentation": "recipe.augmentation",
    }


def test_every_section_has_a_meaning_in_one_line() -> None:
    for section in sections():
        assert section.meaning.endswith(".")
        assert "\n" not in section.meaning


def test_every_key_has_a_meaning_in_one_line() -> None:
    assert [name for name, key in KEYS.items() if not key.meaning.endswith(".")] == []


def test_keys_of_the_study_itself_have_a_meaning_in_one_line() -> None:
    own = [key for name, key in KEYS.items() if name.rpartition(".")[0] in ("search", "space", "retrain", "assistants")]
    assert len(own) == 29
    for key in own:
        assert key.meaning[0].isupper()
        assert key.meaning.endswith(".")
        assert "[" not in key.meaning
        assert len(key.meaning) < 120


def test_defaults_are_what_an_empty_file_means() -> None:
    assert flatten(asdict(parse({}))) == {name: key.default for name, key in KEYS.items()}
