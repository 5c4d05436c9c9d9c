"""The figures of a study, drawn from its records."""

import plotly.graph_objects as go

from reports.figures.curves import curves_figure, retrained_figure
from reports.figures.outcomes import outcomes_figure
from reports.figures.pareto import front_figure
from reports.report_data import ReportData

TITLES = {
    "front": "Accuracy over parameters",
    "learning-curves": "Learning curves of the search",
    "retrained-curves": "Learning curves of the retrained students",
    "outcomes": "Trials by family",
}


def figures(content: ReportData) -> dict[str, go.Figure]:
    """All figures that have something to show, by the names in `TITLES`."""
    drawn: dict[str, go.Figure] = {}
    if content.trained or content.students:
        drawn["front"] = front_figure(content)
    if content.trained:
        drawn["learning-curves"] = curves_figure(content)
    if any(student.validation is not None for student in content.students):
        drawn["retrained-curves"] = retrained_figure(content.students)
    if content.trials:
        drawn["outcomes"] = outcomes_figure(content)
    return drawn
