"""Figures within a page: each as JSON that a script draws when it comes into view, in the page's colours."""

from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

SCRIPT = Path(__file__).parent / "templates" / "report.js"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chart:
    """A figure of a page, its name, which is that of its files, and its title."""

    name: str
    title: str
    figure: go.Figure

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.figure.layout.height or 480)

    @property
    def json(self) -> str:
        """The figure as the script reads it, with nothing that would end the element that holds it."""
        content: str = self.figure.to_json()
        return content.replace("<", "\\u003c")


def script() -> str:
    """Plotly and what draws with it."""
    return f"{get_plotlyjs()}\n{SCRIPT.read_text()}"
