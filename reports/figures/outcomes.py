"""How trials ended, a bar a family."""

import plotly.graph_objects as go

from reports.facts.outcomes import group_by_outcome
from reports.facts.report_data import ReportData
from reports.figures.theme import empty_figure
from space.architecture import FAMILIES

OUTCOME_COLOURS = {
    "complete": "#2f855a",
    "pruned": "#7ea6d8",
    "duplicate": "#c7b6dd",
    "rejected": "#d0d4d9",
    "failed": "#d64545",
    "unfinished": "#f0cf65",
}

PRUNED_COLOURS = ("#c6dbf2", "#7ea6d8", "#4678b4", "#285187")
"""By rung, from the first on."""


def outcomes_figure(report: ReportData) -> go.Figure:
    """How every trial ended, a bar a family."""
    families = [f for f in FAMILIES if any(t.architecture.family == f for t in report.trials)]
    figure = empty_figure(height=130 + 42 * len(families))
    for group in group_by_outcome(report):
        counts = [sum(t.architecture.family == family for t in group.trials) for family in families]
        figure.add_bar(
            y=families,
            x=counts,
            orientation="h",
            name=group.name,
            marker={"color": _outcome_colour(group.name), "line": {"color": "rgba(125,133,144,.6)", "width": 0.5}},
            text=[str(number) if number else "" for number in counts],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            hovertemplate=f"%{{y}}: %{{x}} {group.name} ({group.meaning})<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        xaxis={"title": {"text": "trials"}},
        yaxis={"autorange": "reversed", "ticks": "", "showgrid": False, "automargin": True},
        legend={"traceorder": "normal", "orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
    )
    return figure


def _outcome_colour(name: str) -> str:
    if name.startswith("pruned at rung "):
        return PRUNED_COLOURS[min(int(name.rsplit(" ", 1)[1]), len(PRUNED_COLOURS)) - 1]
    return OUTCOME_COLOURS[name]
