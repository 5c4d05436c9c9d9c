"""The report's files: one page that needs nothing else, its Markdown twin, and the fronts as tables."""

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from reports import fates, formats, pareto
from reports.content import Content, gather, headline
from reports.figures import TITLES, figures
from reports.look import COLOURS
from space.architecture import layers
from studies.store import Store

TEMPLATES = Path(__file__).parent / "templates"
CAPTIONS = {
    "front": "Each circle is a trained trial at its last rung, on the validation split; "
    "the grey line is the search front. Diamonds are retrained students on the test set. "
    "The scale is that of the error: halving it is always the same step.",
    "learning-curves": "Strong lines are on the search front.",
    "retrained-curves": "One line a seed, on the validation split.",
    "fates": "Where the trials of each family went.",
}


def write_report(store: Store) -> Path:
    """Write `index.html`, `report.md`, `pareto.csv` and `pareto.json` for a study in any state; returns the page."""
    content = gather(store)
    points = pareto.rows(content)
    folder = store.directory.report
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "pareto.csv", pareto.to_csv(points))
    _replace(folder / "pareto.json", pareto.to_json(points))
    _replace(folder / "report.md", _rendered("report.md", content, {}))
    page = store.directory.page
    _replace(page, _rendered("report.html", content, _drawn(content)))
    return page


def _rendered(template: str, content: Content, drawn: Mapping[str, str]) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": formats.percent,
        "count": formats.count,
        "duration": formats.duration,
        "mean_test": formats.mean_test,
        "layers": layers,
    }
    return environment.get_template(template).render(
        content=content,
        headline=headline(content),
        fates=fates.tally(content),
        figures=drawn,
        titles=TITLES,
        captions=CAPTIONS,
        colours=COLOURS,
        plotly=get_plotlyjs() if drawn else "",
    )


def _drawn(content: Content) -> dict[str, str]:
    return {
        name: to_html(
            drawn,
            include_plotlyjs=False,
            full_html=False,
            div_id=name,
            config={"displaylogo": False, "responsive": True},
        )
        for name, drawn in figures(content).items()
    }


def _replace(path: Path, text: str) -> None:
    # a reader, or a kill, meets the old file or the new one, never a half
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
