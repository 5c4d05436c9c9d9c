"""Rendering of the Jinja templates."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from reports.facts import formats
from reports.facts.comparison import duel_in_words
from space.describe import describe

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: object) -> str:
    """Render a template; a value that is missing raises."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html", "svg"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": formats.percent,
        "duel": duel_in_words,
        "points": formats.points,
        "gain": formats.gain,
        "level": formats.level,
        "count": formats.count,
        "number": formats.number,
        "retrain_command": formats.retrain_command,
        "dimensions": formats.dimensions,
        "duration": formats.duration,
        "searched_recipe": formats.searched_recipe,
        "mean_test": formats.mean_test,
        "mean_float": formats.mean_float,
        "mean_int8": formats.mean_int8,
        "describe": describe,
    }
    return environment.get_template(template).render(values)
