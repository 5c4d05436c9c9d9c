"""How trials ended, a bar a family."""

import plotly.graph_objects as go

from reports.figures.theme import figure
from reports.outcomes import group_by_outcome
from reports.report_data import ReportData
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


def outcomes_figure(content: ReportData) -> go.Figure:
    """Where every trial went, a bar a family."""
    families = [f for f in FAMILIES if any(t.architecture.family == f for t in content.trials)]
    drawn = figure(height=130 + 42 * len(families))
    for outcome in group_by_outcome(content):
        counts = [sum(t.architecture.family == family for t in outcome.trials) for family in families]
        drawn.add_bar(
            y=families,
            x=counts,
            orientation="h",
            name=outcome.name,
            marker={"color": _outcome_colour(outcome.name), "line": {"color": "white", "width": 1}},
            text=[str(number) if number else "" for number in counts],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            hovertemplate=f"%{{y}}: %{{x}} {outcome.name} ({outcome.meaning})<extra></extra>",
        )
    drawn.update_layout(
        barmode="stack",
        xaxis={"title": {"text": "trials"}},
        yaxis={"autorange": "reversed", "ticks": "", "showgrid": False, "automargin": True},
        legend={"traceorder": "normal"},
    )
    return drawn


def _outcome_colour(name: str) -> str:
    if name.startswith("pruned at rung "):
        return PRUNED_COLOURS[min(int(name.rsplit(" ", 1)[1]), len(PRUNED_COLOURS)) - 1]
    return OUTCOME_COLOURS[name]
