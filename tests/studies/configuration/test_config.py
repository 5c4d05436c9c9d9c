import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from kd.data.augmentation import NO_AUGMENTATION, Augmentation, default_policy
from kd.optim.recipe import Recipe
from kd.teachers.source import TeacherSource
from space.budget import Budget
from space.errors import InputError
from studies.configuration.config import Config, Retrain, Search, Space
from studies.configuration.file import differences, parse, read
from studies.configuration.written import presets


def refused(match: str, settings: dict[str, object]) -> None:
    with pytest.raises(InputError, match=match) as caught:
        parse(settings)
    assert "\n" not in str(caught.value)


def test_nothing_asked_is_the_default() -> None:
    assert parse({}) == Config()


def test_shipped_presets_can_be_read() -> None:
    assert {"mnist-quick", "mnist", "mnist-1d"} <= set(presets())
    for name in presets():
        config = read(name)
        assert parse({}) != config
        assert (config.budget.parameters or 0) <= 10_000


def test_a_configuration_survives_its_json(tmp_path: Path) -> None:
    config = replace(
        Config(),
        space=Space(families=("mlp", "liquid"), smallest=100),
        search=Search(hours=0.5, rungs=(2, 4)),
        retrain=Retrain(seeds=1),
    )
    assert parse(json.loads(config.to_json())) == config


HELPED = {"assistants": {"architectures": ["wide-cnn"]}}


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"serch": {}}, "unknown key serch"),
        ({"search": {"trails": 3}}, r"unknown key search\.trails"),
        ({"retrain": {"recipe": {"lr": 3}}}, r"unknown key retrain\.recipe\.lr"),
        ({"recipe": {"augmentation": {"blur": 1}}}, r"unknown key recipe\.augmentation\.blur"),
        ({"search": {"trials": "many"}}, r"search\.trials = 'many'"),
        ({"search": {"trials": "3"}}, r"search\.trials = '3'"),
        ({"search": {"trials": 3.5}}, r"search\.trials = 3\.5"),
        ({"search": {"trials": 0}}, r"search\.trials = 0"),
        ({"search": {"trials": True}}, r"search\.trials = True"),
        ({"search": {"hours": 0}}, r"search\.hours = 0"),
        ({"search": {"hours": -1}}, r"search\.hours = -1"),
        ({"search": {"slack": 0.5}}, r"search\.slack = 0\.5"),
        ({"search": {"rungs": []}}, r"search\.rungs"),
        ({"search": {"rungs": [0, 1]}}, r"search\.rungs"),
        ({"search": {"rungs": [3, 1]}}, r"search\.rungs = \[3, 1\]: must be rising"),
        ({"search": {"rungs": [1, 1]}}, r"search\.rungs = \[1, 1\]: must be rising"),
        ({"search": {"rungs": 3}}, r"search\.rungs = 3"),
        (
            {"search": {"sampler": "tpe", "warm_start": ["a", "b"]}},
            r"search\.warm_start = a, b: search\.sampler = tpe learns from no other study",
        ),
        ({"search": {"prior": ["mnist-1d", "cats"]}}, r"search\.prior = cats: there are tables of .*mnist-1d"),
        (
            {"search": {"sampler": "grid"}},
            r"search\.sampler = 'grid': must be 'predictor', 'evolution', ",
        ),
        ({"search": 3}, "search = 3"),
        ({"space": {"families": []}}, r"space\.families"),
        ({"space": {"families": ["cnn", "kan"]}}, r"space\.families\.1 = 'kan'"),
        ({"space": {"smallest": 500, "largest": 500}}, r"space\.smallest = 500"),
        ({"space": {"smallest": 500}, "budget": {"parameters": 400}}, r"space\.smallest = 500: must be below .* = 399"),
        ({"budget": {"parameters": 0}}, r"budget\.parameters = 0"),
        ({"budget": {"weights": 10}}, r"unknown key budget\.weights"),
        ({"recipe": {"loss": "l2"}}, r"recipe\.loss = 'l2'"),
        ({"recipe": {"hard_weight": 1.5}}, r"recipe\.hard_weight = 1\.5"),
        ({"recipe": {"ema": 1}}, r"recipe\.ema = 1"),
        ({"recipe": {"weak_augmentation": 1.5}}, r"recipe\.weak_augmentation = 1\.5"),
        ({"retrain": {"recipe": {"unaugmented": -0.1}}}, r"retrain\.recipe\.unaugmented = -0\.1"),
        ({"recipe": {"warmup": 2.0}}, r"recipe\.warmup = 2"),
        ({"recipe": {"epochs": 0}}, r"recipe\.epochs"),
        (
            {"recipe": {"weak_augmentation": 0.3, "unaugmented": 0.4}},
            r"recipe\.weak_augmentation = 0\.3: lies within recipe\.unaugmented = 0\.4",
        ),
        (
            {"retrain": {"recipe": {"weak_augmentation": 0.3, "augmentation": "none"}}},
            r"retrain\.recipe\.weak_augmentation = 0\.3: there is no augmentation to weaken",
        ),
        (
            {"search": {"rungs": [1, 3]}, "recipe": {"epochs": 9}},
            r"recipe\.epochs = 9: on a constant schedule the search trains to the last of search\.rungs = 3",
        ),
        ({"retrain": {"with_validation": 1}}, r"retrain\.with_validation = 1"),
        ({"recipe": {"feature_loss": "hints"}}, r"recipe\.feature_loss = 'hints'"),
        (
            {"recipe": {"feature_loss": "hint"}},
            r"recipe\.feature_loss = 'hint': needs .* teacher\.stage=features",
        ),
        ({"retrain": {"recipe": {"feature_loss": "hint"}}}, r"retrain\.recipe\.feature_loss = 'hint': needs"),
        ({"recipe": {"feature_weight": 0}}, r"recipe\.feature_weight = 0"),
        ({"teacher": {"cells": 0}}, r"teacher\.cells = 0"),
        ({"search": {"recipe": {"temperature": [4, 2]}}}, r"search\.recipe\.temperature = .*a range must rise"),
        ({"search": {"recipe": {"hard_weight": [0, 2]}}}, r"search\.recipe\.hard_weight\.1 = 2"),
        ({"search": {"recipe": {"loss": ["l2"]}}}, r"search\.recipe\.loss\.0 = 'l2'"),
        ({"search": {"recipe": {"epochs": [1, 2]}}}, r"unknown key search\.recipe\.epochs"),
        ({"recipe": {"temperature": 0}}, r"recipe\.temperature = 0"),
        ({"recipe": {"learning_rate": math.inf}}, r"recipe\.learning_rate = inf: must be a finite number"),
        ({"search": {"hours": math.inf}}, r"search\.hours = inf"),
        ({"search": {"hours": math.nan}}, r"search\.hours = nan"),
        ({"assistants": {"architecture": []}}, r"unknown key assistants\.architecture"),
        ({"assistants": {"architectures": "wide-cnn"}}, r"assistants\.architectures = 'wide-cnn'"),
        ({"recipe": {"augmentation": "never"}}, r"recipe\.augmentation = 'never'"),
        ({"recipe": {"augmentation": {"rotation": -1}}}, r"recipe\.augmentation\.rotation = -1"),
        ({"recipe": {"augmentation": {"scale": 1}}}, r"recipe\.augmentation\.scale = 1"),
        ({"recipe": {"batch": 1}}, r"recipe\.batch = 1"),
        ({"search": {"rungs": [1, math.inf]}}, r"search\.rungs = inf: must be a finite number"),
        (
            {"search": {"recipe": {"temperature": [1, math.inf]}}},
            r"search\.recipe\.temperature = inf: must be a finite",
        ),
        ({"recipe": {"schedule": "cosine", "epochs": 3}}, r"search\.rungs = \[\.\.\., 9\]: .*recipe\.epochs = 3 ends"),
        ({"recipe": {"label_smoothing": 0.1}}, r"recipe\.label_smoothing = 0\.1: .* weigh nothing"),
        (
            {**HELPED, "teacher": {"stage": "features.11"}, "recipe": {"feature_loss": "hint"}},
            r"recipe\.feature_loss = 'hint': an assistant has no stage",
        ),
        (
            {"assistants": {"architectures": ["wide-cnn"], "recipe": {"feature_loss": "hint"}}},
            r"assistants\.recipe\.feature_loss = 'hint': needs a stage",
        ),
        (
            {"teacher": {"stage": "features.11", "cells": 1}, "recipe": {"feature_loss": "attention"}},
            r"recipe\.feature_loss = 'attention': needs maps of more than teacher\.cells = 1",
        ),
        (
            {"data": {"name": "kmnist"}},
            "no teacher is named, and none is shipped for kmnist: train one with wunderkind",
        ),
        (
            {"data": {"name": "own.npz"}, "teacher": {"stage": "head"}},
            "no teacher is named, and none is shipped for own",
        ),
        ({"data": {"name": "fashion-mnist"}, "teacher": "mnist"}, "mnist: knows nothing of fashion-mnist"),
        ({"data": {"name": "mnist"}, "teacher": "mnist-1d"}, "mnist-1d: knows nothing of mnist:"),
        (
            {"data": {"name": "kmnist"}, "teacher": {"models": ["a.onnx", "mnist-1"]}},
            "mnist-1: knows nothing",
        ),
    ],
    ids=str,
)
def test_wrong_settings_are_refused_in_one_line(settings: dict[str, object], match: str) -> None:
    refused(match, settings)


@pytest.mark.parametrize(
    ("settings", "smallest", "largest"),
    [
        ({"budget": {"parameters": 5_000}}, 250, 4_999),
        ({"budget": {"parameters": 300}}, 149, 299),
        ({"budget": {"parameters": 5_000}, "space": {"smallest": 400}}, 400, 4_999),
        ({"budget": {"parameters": 5_000}, "space": {"largest": 7_000}}, 250, 7_000),
        ({"budget": {"int8_bytes": 2_000}}, 250, 1_999),
    ],
    ids=str,
)
def test_sizes_follow_from_the_budget_unless_given(settings: dict[str, object], smallest: int, largest: int) -> None:
    config = parse(settings)
    assert (config.domain.smallest, config.domain.largest) == (smallest, largest)
    assert parse(json.loads(config.to_json())) == config


def test_sizes_take_the_place_of_their_range() -> None:
    domain = parse({"space": {"sizes": [500, 2_000]}}).domain
    assert (domain.smallest, domain.largest, domain.sizes) == (500, 2_000, (500, 2_000))
    assert parse({"space": {"sizes": [500]}}).domain.sizes == (500,)
    assert parse({"space": {"sizes": [50_000]}, "budget": {"parameters": None}}).domain.largest == 50_000
    assert parse({"space": {"sizes": [500, 2_000, 9_000]}, "budget": {"int8_bytes": 1_000}}).domain.sizes == (500, 999)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"space": {"sizes": [2_000, 500]}}, "space.sizes = [2000, 500]: must be rising"),
        ({"space": {"sizes": [500, 500]}}, "must be rising"),
        ({"space": {"sizes": [0, 500]}}, "space.sizes"),
        ({"space": {"sizes": [500], "smallest": 200}}, "takes the place of space.smallest and space.largest"),
    ],
    ids=str,
)
def test_sizes_that_cannot_be_are_refused_in_one_line(settings: dict[str, object], told: str) -> None:
    with pytest.raises(InputError) as error:
        parse(settings)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_whole_number_may_stand_for_a_float() -> None:
    assert parse({"search": {"hours": 2}, "recipe": {"temperature": 4}}).search.hours == 2


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("budget.parameters=5000", lambda c: c.budget.parameters == 5_000),
        ("budget.parameters = 5_000", lambda c: c.budget.parameters == 5_000),
        ("recipe.learning_rate=1e-3", lambda c: c.recipe.learning_rate == 1e-3),
        ("recipe.loss=hard", lambda c: c.recipe.loss == "hard"),
        ('recipe.loss="hard"', lambda c: c.recipe.loss == "hard"),
        ("search.sampler=evolution", lambda c: c.search.sampler == "evolution"),
        ("search.rungs=[1, 2]", lambda c: c.search.rungs == (1, 2)),
        ('space.families=["mlp", "cnn"]', lambda c: c.space.families == ("mlp", "cnn")),
        ('assistants.architectures=["wide-cnn"]', lambda c: c.assistants.architectures == ("wide-cnn",)),
        ("retrain.recipe.epochs=3", lambda c: c.retrain.recipe.epochs == 3),
        ("data.name=/data/mine.npz", lambda c: c.data.name == "/data/mine.npz"),
        ("teacher=my=teacher.safetensors", lambda c: c.teacher.models == ("my=teacher.safetensors",)),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_changes_are_written_like_toml(change: str, value: object) -> None:
    assert callable(value)
    assert value(read("mnist-quick", ["teacher=mnist", change]))


def test_a_feature_loss_goes_with_a_stage() -> None:
    config = read("mnist-quick", ["recipe.feature_loss=attention", "teacher.stage=features.11", "teacher.cells=7"])
    assert (config.recipe.feature_loss, config.retrain.recipe.feature_loss) == ("attention", "none")
    assert config.teacher == TeacherSource(stage="features.11", cells=7)
    assert parse(json.loads(config.to_json())) == config


def test_labels_may_be_smoothed_where_they_weigh_something() -> None:
    smooth = "recipe.label_smoothing=0.1"
    for change in (
        "recipe.loss=hard",
        "recipe.hard_weight=0.5",
        "search.recipe.hard_weight=[0, 0.5]",
        'search.recipe.loss=["hard"]',
    ):
        assert read("mnist-quick", [smooth, change]).recipe.label_smoothing == 0.1


def test_the_last_change_wins() -> None:
    assert read("mnist-quick", ["search.trials=3", "search.trials=4"]).search.trials == 4


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("budget.parameters", "write key=value"),
        ("=3", "write key=value"),
        ("budget.parameters.x=3", "parameters is a value, not a section"),
        ("search.trails=3", r"unknown key search\.trails"),
        ("search.trials=three", r"search\.trials = 'three'"),
        ("search.trials=", r"search\.trials = ''"),
        ("search=3", "search = 3"),
        ("search..trials=3", "unknown key"),
    ],
)
def test_wrong_changes_are_refused_in_one_line(change: str, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read("mnist-quick", ["budget.parameters=5000", change])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "question"),
    [
        ("search.trails=3", "search.trials or retrain"),
        ("serch.trials=3", "search"),
        ("epochs=3", "recipe.epochs, retrain.recipe.epochs or assistants.recipe.epochs"),
        ("retrain.epochs=3", "retrain.recipe.epochs, "),
        ("retrain.recipe.temprature=3", "retrain.recipe.temperature, "),
        ("budget.params=3", "budget.parameters"),
        ("teacher.model=a.onnx", "teacher.models"),
        ("recipe.augmentation.flipp=1", "recipe.augmentation.flip, retrain.recipe.augmentation.flip or "),
    ],
)
def test_an_unknown_key_names_the_nearest_wherever_they_are(change: str, question: str) -> None:
    key = change.partition("=")[0]
    with pytest.raises(InputError, match=f"unknown key .*: did you mean {question}") as caught:
        read("mnist-quick", [change])
    assert str(caught.value).removeprefix("unknown key ").startswith(key.partition(".")[0])
    assert str(caught.value).endswith("? wunderkind config explains all keys")


def test_an_unknown_key_like_no_other_says_where_all_are_explained() -> None:
    with pytest.raises(InputError, match=r"unknown key zzzz: wunderkind config explains all keys$"):
        read("mnist-quick", ["zzzz=3"])


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[search]\ntrials = 7\n")
    assert read(str(path)) == replace(Config(), search=Search(trials=7))
    path.write_text("[search\n")
    with pytest.raises(InputError, match="is not TOML"):
        read(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not TOML"):
        read(str(path))


def test_dates_are_refused_like_any_wrong_type() -> None:
    with pytest.raises(InputError, match=r"search\.trials"):
        read("mnist-quick", ["search.trials=2026-01-01"])


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown preset 'mnist-quik': did you mean mnist-quick"):
        read("mnist-quik")


@pytest.mark.parametrize("name", ["mnist-quik", "", "."])
def test_an_unknown_preset_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match=r"unknown preset .* mnist, mnist-1d, mnist-quick"):
        read(name)


def test_a_missing_file_is_told_from_an_unknown_preset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml is not there"):
        read("none.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InputError, match=r"folder\.toml is a folder"):
        read(str(tmp_path / "folder.toml"))


def test_differences_name_key_and_both_values() -> None:
    asked = replace(Config(), budget=Budget(parameters=5_000), recipe=Recipe(temperature=4.0))
    assert differences(Config(), asked) == [
        "budget.parameters is 10000, not 5000",
        "recipe.temperature is 2.0, not 4.0",
    ]
    assert differences(Config(), Config()) == []


def test_how_long_to_search_may_change() -> None:
    assert differences(Config(), replace(Config(), search=Search(trials=99, hours=1.0))) == []
    assert differences(Config(), replace(Config(), search=Search(peers=9))) != []


@pytest.mark.parametrize("rungs", [[0.25, 0.5], [0.25, 1], [1, 3, 27]])
def test_shares_of_a_recipe_are_of_the_length_that_the_search_trains(rungs: list[float]) -> None:
    config = parse({"search": {"rungs": rungs}})
    assert config.recipe.epochs == rungs[-1]
    assert config.recipe.learning_rate_at(rungs[-1] / 60) == pytest.approx(config.recipe.learning_rate / 2)
    again = parse(json.loads(config.to_json()))
    assert again == config
    assert again.recipe.digest == config.recipe.digest


@pytest.mark.parametrize("preset", ["mnist", "mnist-quick", "fashion-mnist"])
@pytest.mark.parametrize("epochs", [2, 8, 100])
def test_a_change_of_length_keeps_the_shape_of_a_preset(preset: str, epochs: int) -> None:
    was, recipe = read(preset).retrain.recipe, read(preset, [f"retrain.recipe.epochs={epochs}"]).retrain.recipe
    assert 0 < len(recipe.unaugmented_epochs) < epochs
    for share in (0.01, 0.3, 0.99):
        rate = was.learning_rate_at(share * was.epochs)
        assert recipe.learning_rate_at(share * epochs) == pytest.approx(rate)


def test_a_preset_that_ends_unaugmented_may_go_without_augmentation() -> None:
    assert read("mnist", ["recipe.augmentation=none"]).retrain.recipe.augmentation == NO_AUGMENTATION


def test_what_a_recipe_leaves_out_is_that_of_its_part() -> None:
    config = parse({part: {"recipe": {"batch": 32}} for part in ("retrain", "assistants")} | {"recipe": {"batch": 16}})
    assert config.recipe == Recipe(batch=16)
    assert config.retrain.recipe == config.assistants.recipe == replace(Retrain().recipe, batch=32)
    assert config.retrain.recipe.schedule == "cosine"
    assert parse(json.loads(config.to_json())) == config


def test_augmentation_is_turned_off_in_a_word() -> None:
    config = read("mnist-quick", ["recipe.augmentation=none", "retrain.recipe.augmentation=none"])
    assert config.recipe.augmentation == config.retrain.recipe.augmentation == NO_AUGMENTATION
    assert parse(json.loads(config.to_json())) == config


def test_a_teacher_left_out_is_the_data_sets_own() -> None:
    for name in ("mnist", "fashion-mnist"):
        config = parse({"data": {"name": name}, "teacher": {"stage": "features.11"}})
        assert config.teacher == TeacherSource(models=(name,), stage="features.11")
        assert parse(json.loads(config.to_json())) == config
    own = {"teacher": "own.onnx"}
    assert parse({"data": {"name": "fashion-mnist"}, **own}).teacher.models == ("own.onnx",)


def test_augmentation_left_out_is_the_data_sets_own() -> None:
    clothes = default_policy("fashion-mnist")
    config = parse({"data": {"name": "fashion-mnist"}})
    assert config.recipe.augmentation == config.retrain.recipe.augmentation == clothes
    assert config.recipe.augmentation.flip == 0.5
    assert config.retrain.recipe == replace(Retrain().recipe, augmentation=clothes)
    assert parse({"data": {"name": "kmnist"}, "teacher": "own.onnx"}).recipe == Recipe()
    part = {"recipe": {"augmentation": {"flip": 0.1, "mixup": 1}}}
    config = parse({"data": {"name": "fashion-mnist"}, **part, "retrain": part})
    assert config.recipe.augmentation == replace(clothes, flip=0.1, mixup=1.0)
    assert parse(json.loads(config.to_json())) == config


def test_augmentation_of_other_recipes_follows_the_searchs() -> None:
    still = read("mnist-quick", ["recipe.augmentation=none"])
    assert still.retrain.recipe.augmentation == still.assistants.recipe.augmentation == NO_AUGMENTATION
    config = read("mnist-quick", ["recipe.augmentation.shift=0", "retrain.recipe.augmentation.elastic=0.03"])
    assert config.recipe.augmentation == config.assistants.recipe.augmentation == Augmentation(shift=0)
    assert config.retrain.recipe.augmentation == Augmentation(shift=0, elastic=0.03)
    moving = parse({"recipe": {"augmentation": "none"}, "retrain": {"recipe": {"augmentation": {"flip": 0.5}}}})
    assert moving.retrain.recipe.augmentation == replace(NO_AUGMENTATION, flip=0.5)
    for each in (still, config, moving):
        assert parse(json.loads(each.to_json())) == each
