"""Configurations as files: presets and TOML, read strictly, with `--set` changes on top."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kd.data.augmentation import NO_AUGMENTATION, Augmentation, default_policy
from kd.data.dataset import KNOWN
from kd.optim.recipe import Recipe
from kd.teachers.network import shipped
from kd.teachers.source import TeacherSource
from space.budget import Budget
from space.errors import InputError, did_you_mean, rule
from studies.configuration.checks import check_numbers, check_search, check_teacher
from studies.configuration.config import Assistants, Config, Retrain, teacher_settings
from studies.configuration.places import place, placed
from studies.configuration.written import read_toml, split_change

_ADAPTER = TypeAdapter(Config)


def read(preset: str, changes: Iterable[str] = ()) -> Config:
    """Read a preset by name, or a TOML file by path, and apply `key=value` changes; raises InputError."""
    return parse_changed(placed(*read_toml(preset)), changes)


def changed(config: Config, changes: Iterable[str]) -> Config:
    """A configuration with `key=value` changes; raises InputError."""
    return parse_changed(json.loads(config.to_json()), changes)


def parse(settings: Mapping[str, Any]) -> Config:
    """Check settings; raises InputError that names the first key that is unknown or wrong."""
    try:
        config = _ADAPTER.validate_json(json.dumps(settings, default=str))
    except ValidationError as error:
        raise InputError(_first_error(error)) from error
    check_numbers(flatten(asdict(config)))
    config = _completed(config, settings)
    check_search(config)
    asked = settings.get("recipe", {}).get("epochs", config.recipe.epochs)
    if asked != config.recipe.epochs:
        raise InputError(
            f"recipe.epochs = {asked:g}: on a constant schedule the search trains to the last of "
            f"search.rungs = {config.search.epochs:g}: leave it out, or set recipe.schedule=cosine"
        )
    _check_recipes(config)
    check_teacher(config)
    return config


def _first_error(error: ValidationError) -> str:
    """The first thing that is wrong with settings."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "unexpected_keyword_argument":
        return f"unknown key {place}: {_similar_keys(place)}wunderkind config explains all keys"
    return f"{place} = {first['input']!r}: {rule(first)}"


def _similar_keys(place: str) -> str:
    """A question for the keys and sections most like an unknown one: its last part counts most."""
    keys = dict.fromkeys(flatten(asdict(Config())))
    sections = {key.rpartition(".")[0] for key in keys} - {""}
    by_name: dict[str, list[str]] = {}
    for known in (*keys, *sorted(sections)):
        by_name.setdefault(known.rpartition(".")[2], []).append(known)
    section, _, name = place.rpartition(".")
    near = [known for alike in get_close_matches(name, by_name) for known in by_name[alike]]
    near.sort(key=lambda known: -SequenceMatcher(None, section, known.rpartition(".")[0]).ratio())
    return did_you_mean(near[:3])


def _check_recipes(config: Config) -> None:
    """Raise InputError for a loss that cannot be computed or a setting without effect."""
    helped = bool(config.assistants.architectures)
    drawn = config.search.recipe.hard_weight is not None or "hard" in (config.search.recipe.loss or ())
    recipes = {
        "recipe": (config.recipe, helped, drawn),
        "retrain.recipe": (config.retrain.recipe, helped, drawn),
    }
    if helped:
        recipes["assistants.recipe"] = config.assistants.recipe, len(config.assistants.architectures) > 1, False
    for key, (recipe, second, weighs) in recipes.items():
        asked, way_out = f"{key}.feature_loss = '{recipe.feature_loss}'", f"set {key}.feature_loss=none"
        if recipe.feature_loss != "none":
            if second:
                raise InputError(f"{asked}: an assistant has no stage to follow: {way_out}")
            if not config.teacher.stage:
                raise InputError(
                    f"{asked}: needs a stage of the teacher to follow: name a submodule of it, like "
                    f"--set teacher.stage=features.11, or {way_out}"
                )
            if recipe.feature_loss == "attention" and config.teacher.cells == 1:
                raise InputError(f"{asked}: needs maps of more than teacher.cells = 1 cell: raise it, or {way_out}")
        if recipe.label_smoothing and recipe.loss != "hard" and not (recipe.hard_weight or weighs):
            raise InputError(
                f"{key}.label_smoothing = {recipe.label_smoothing:g}: smooths labels, which weigh nothing: "
                f"set {key}.hard_weight, or {key}.label_smoothing=0"
            )
        if weak := recipe.weak_augmentation:
            asked, way_out = f"{key}.weak_augmentation = {weak:g}", f"set {key}.weak_augmentation=0"
            if weak <= recipe.unaugmented:
                raise InputError(
                    f"{asked}: lies within {key}.unaugmented = {recipe.unaugmented:g}: make it larger, or {way_out}"
                )
            if recipe.augmentation == NO_AUGMENTATION:
                raise InputError(f"{asked}: there is no augmentation to weaken: {way_out}, or ask for some")


def differences(stored: Config, asked: Config) -> list[str]:
    """Settings that differ, as "key is A, not B".

    How long to search, whether teachers are checked and twins trained may change, and where data and teacher lie:
    whoever opens the study compares those.
    """
    old, new = flatten(asdict(stored)), flatten(asdict(asked))
    free = {"search.trials", "search.hours", "retrain.ablation", "teacher.check"}
    free |= {"data.name", "teacher.models", "teacher.weights"}
    return [f"{key} is {old[key]}, not {new[key]}" for key in old if key not in free and old[key] != new[key]]


def _chosen_teacher(config: Config, settings: Mapping[str, Any]) -> TeacherSource:
    """The data set's shipped teacher where none is named; raises InputError where there is none to ship."""
    given, data = settings.get("teacher", {}), config.data.name
    if isinstance(given, str) or "models" in given:
        return config.teacher
    if data not in KNOWN or not shipped(data).is_file():
        raise InputError(
            f"no teacher is named, and none is shipped for {data}: train one with wunderkind teach {data}, then name "
            "its file with --teacher"
        )
    return replace(config.teacher, models=(data,))


def _limited_by_board(config: Config) -> Budget:
    """The budget, no limit of which is above what a board's memory leaves; raises InputError for an unknown board."""
    if (board := config.board) is None:
        return config.budget
    asked = config.budget.limits
    return replace(
        config.budget, **{name: min(limit, asked.get(name, limit)) for name, limit in board.limits().items()}
    )


def _completed(config: Config, settings: Mapping[str, Any]) -> Config:
    """Teacher, budget and recipes wherever the settings say nothing; see `Config`."""

    def completed(part: Config | Retrain | Assistants, settings: Mapping[str, Any], policy: Augmentation) -> Recipe:
        given = settings.get("recipe", {})
        moves, asked = given.get("augmentation", {}), part.recipe.augmentation
        policy = asked if moves == "none" else replace(policy, **{name: getattr(asked, name) for name in moves})
        chosen = {name: getattr(part.recipe, name) for name in given} | {"augmentation": policy}
        return replace(type(part)().recipe, **chosen)

    recipe = completed(config, settings, default_policy(config.data.name))
    if "epochs" not in settings.get("recipe", {}):
        recipe = replace(recipe, epochs=config.search.epochs)
    retrain = completed(config.retrain, settings.get("retrain", {}), recipe.augmentation)
    assistants = completed(config.assistants, settings.get("assistants", {}), recipe.augmentation)
    return replace(
        config,
        teacher=_chosen_teacher(config, settings),
        budget=_limited_by_board(config),
        recipe=recipe,
        retrain=replace(config.retrain, recipe=retrain),
        assistants=replace(config.assistants, recipe=assistants),
    )


def parse_changed(settings: dict[str, Any], changes: Iterable[str]) -> Config:
    """Check settings with `key=value` changes on top; raises InputError."""
    for change in changes:
        _apply(settings, change)
    return parse(settings)


def _apply(settings: dict[str, Any], change: str) -> None:
    key, text = split_change(change)
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *parents, last = key.split(".")
    if parents and "teacher" in settings:
        settings["teacher"] = teacher_settings(settings["teacher"])
    if _is_text(key) and not isinstance(value, str | list | dict):
        value = text.strip()  # a name made of digits is a name
    value = place(key, value, Path.cwd())
    for parent in parents:
        settings = settings.setdefault(parent, {})
        if not isinstance(settings, dict):
            raise InputError(f"--set {change}: {parent} is a value, not a section")
    settings[last] = value


def _is_text(key: str) -> bool:
    return key in ("teacher", "data.sha256") or isinstance(flatten(asdict(Config())).get(key), str)


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
