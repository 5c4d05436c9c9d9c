"""What the values of a configuration must be to each other, beyond what each must be by itself."""

import math
import re
from collections.abc import Mapping

from kd.data.dataset import KNOWN
from kd.teachers.network import shipped
from space.errors import InputError
from space.sampling.domain import parameter_range
from studies.configuration.config import Config
from studies.tables import table_names


def check_numbers(settings: Mapping[str, object]) -> None:
    """Raise InputError where a number of the settings, given by their dotted keys, is not finite."""
    for key, value in settings.items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise InputError(f"{key} = {number}: must be a finite number")


def check_search(config: Config) -> None:
    """Raise InputError for rungs that do not rise or do not fit the schedule, and for a domain without sizes."""
    rungs = config.search.rungs
    if list(rungs) != sorted(set(rungs)):
        raise InputError(f"search.rungs = [{', '.join(f'{rung:g}' for rung in rungs)}]: must be rising, like [1, 3, 9]")
    if config.search.warm_start and config.search.sampler != "predictor":
        raise InputError(
            f"search.warm_start = {', '.join(config.search.warm_start)}: search.sampler = {config.search.sampler} "
            "learns from no other study: leave it out, or set search.sampler=predictor"
        )
    unknown = [name for name in config.search.prior or () if name not in table_names()]
    if unknown:
        raise InputError(f"search.prior = {', '.join(unknown)}: there are tables of {', '.join(table_names())}")
    check_sizes(config)
    if config.recipe.schedule == "cosine" and config.recipe.epochs < rungs[-1]:
        raise InputError(
            f"search.rungs = [..., {rungs[-1]:g}]: the cosine schedule of recipe.epochs = {config.recipe.epochs} ends "
            "before: set recipe.epochs as high, or recipe.schedule=constant"
        )


def check_sizes(config: Config) -> None:
    """Raise InputError for a space without sizes, and for sizes that do not rise or stand beside a range."""
    domain, space = config.domain, config.space
    if space.sizes:
        told = f"space.sizes = [{', '.join(map(str, space.sizes))}]"
        if list(space.sizes) != sorted(set(space.sizes)):
            raise InputError(f"{told}: must be rising, like [1000, 2000, 4000]")
        if space.smallest is not None or space.largest is not None:
            raise InputError(
                f"{told}: takes the place of space.smallest and space.largest: drop those, or set space.sizes=[]"
            )
    elif domain.smallest >= domain.largest:
        least = max(1, min(parameter_range(config.budget)[0], domain.largest - 1))
        raise InputError(
            f"space.smallest = {domain.smallest}: must be below space.largest = {domain.largest} (if not set, from the "
            f"budget): --set space.smallest={least}"
        )


def check_teacher(config: Config) -> None:
    """Raise InputError where a shipped teacher is to teach on a data set of another name."""
    name = config.data.name
    for model in config.teacher.models:
        if name in KNOWN and shipped(model).is_file() and not re.fullmatch(rf"{re.escape(name)}(-\d+)?", model):
            raise InputError(
                f"teacher.models = {model}: knows nothing of {name}: train a teacher with wunderkind teach {name}, "
                "then name its file with --teacher"
            )
