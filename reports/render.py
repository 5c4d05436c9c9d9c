"""Templates, filled in."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from reports import formats
from space.describe import describe

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: object) -> str:
    """Fill a template in; a value that is missing raises."""
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
        "count": formats.count,
        "command": formats.command,
        "dimensions": formats.dimensions,
        "duration": formats.duration,
        "recipe": formats.recipe,
        "mean_test": formats.mean_test,
        "layers": describe,
    }
    return environment.get_template(template).render(values)
