"""Configurations as files: presets and TOML, read strictly, with `--set` changes on top."""

import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kd.data.augmentation import NO_AUGMENTATION, Augmentation, default_policy
from kd.data.dataset import KNOWN
from kd.optim.recipe import Recipe
from kd.teachers.network import shipped
from kd.teachers.source import TeacherSource
from space.errors import InputError
from space.sampling.domain import size_range
from studies.config import Assistants, Config, Retrain, _named

PRESETS = Path(__file__).parent / "presets"


_ADAPTER = TypeAdapter(Config)


def presets() -> list[str]:
    """Names of the shipped presets."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def read(preset: str, changes: Iterable[str] = ()) -> Config:
    """Read a preset by name, or a TOML file by path, and apply `key=value` changes; raises InputError."""
    path = PRESETS / f"{preset}.toml" if preset in presets() else Path(preset)
    if path.suffix != ".toml" or not path.is_file():
        raise InputError(f"unknown preset '{preset}': use one of {', '.join(presets())} or the path of a .toml file")
    try:
        settings = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    return _parse_changed(settings, changes)


def changed(config: Config, changes: Iterable[str]) -> Config:
    """A configuration with `key=value` changes; raises InputError."""
    return _parse_changed(json.loads(config.to_json()), changes)


def parse(settings: Mapping[str, Any]) -> Config:
    """Check settings; raises InputError that names the first key that is unknown or wrong."""
    try:
        config = _ADAPTER.validate_json(json.dumps(settings, default=str))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "unexpected_keyword_argument":
            raise InputError(f"unknown key {place}: see the presets for the keys there are") from error
        raise InputError(f"{place} = {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}") from error
    for key, value in _flat(asdict(config)).items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise InputError(f"{key} = {number}: must be a finite number")
    config = _completed(config, settings)
    rungs = config.search.rungs
    if list(rungs) != sorted(set(rungs)):
        raise InputError(f"search.rungs = [{', '.join(f'{rung:g}' for rung in rungs)}]: must be rising, like [1, 3, 9]")
    domain = config.domain
    if domain.smallest >= domain.largest:
        least = max(1, min(size_range(config.budget)[0], domain.largest - 1))
        raise InputError(
            f"space.smallest = {domain.smallest}: must be below space.largest = {domain.largest} (if not set, from the "
            f"budget): --set space.smallest={least}"
        )
    asked = settings.get("recipe", {}).get("epochs", config.recipe.epochs)
    if asked != config.recipe.epochs:
        raise InputError(
            f"recipe.epochs = {asked:g}: on a constant schedule the search trains to the last of "
            f"search.rungs = {rungs[-1]:g}: leave it away, or set recipe.schedule=cosine"
        )
    if config.recipe.schedule == "cosine" and config.recipe.epochs < rungs[-1]:
        raise InputError(
            f"search.rungs = [..., {rungs[-1]:g}]: the cosine schedule of recipe.epochs = {config.recipe.epochs:g} "
            "ends before: set recipe.epochs as high, or recipe.schedule=constant"
        )
    _check_recipes(config)
    _check_teacher(config)
    return config


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


def _check_teacher(config: Config) -> None:
    """Raise InputError where a shipped teacher is to answer for a data set of another name."""
    name = config.data.name
    for model in config.teacher.models:
        if name in KNOWN and shipped(model).is_file() and name not in (model, model.rpartition("-")[0]):
            raise InputError(
                f"teacher.models = {model}: knows nothing of {name}: train a teacher with wunderkind teach {name}, "
                "then name its file with --teacher"
            )


def differences(stored: Config, asked: Config) -> list[str]:
    """Settings that differ, as "key is A, not B"; how long to search may always change."""
    old, new = _flat(asdict(stored)), _flat(asdict(asked))
    free = {"search.trials", "search.hours"}
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


def _completed(config: Config, settings: Mapping[str, Any]) -> Config:
    """Teacher and recipes wherever the settings say nothing; see `Config`."""

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
        recipe=recipe,
        retrain=replace(config.retrain, recipe=retrain),
        assistants=replace(config.assistants, recipe=assistants),
    )


def _parse_changed(settings: dict[str, Any], changes: Iterable[str]) -> Config:
    for change in changes:
        _apply(settings, change)
    return parse(settings)


def _apply(settings: dict[str, Any], change: str) -> None:
    key, separator, text = change.partition("=")
    if not separator or not key.strip():
        raise InputError(f"--set {change}: write key=value, like --set budget.parameters=5000")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *parents, last = key.strip().split(".")
    if parents and "teacher" in settings:
        settings["teacher"] = _named(settings["teacher"])
    for parent in parents:
        settings = settings.setdefault(parent, {})
        if not isinstance(settings, dict):
            raise InputError(f"--set {change}: {parent} is a value, not a section")
    settings[last] = value


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
