"""All figures of a study, with their titles and captions."""

import plotly.graph_objects as go

from reports.facts.report_data import ReportData
from reports.figures.curves import retraining_curves_figure, search_curves_figure
from reports.figures.outcomes import outcomes_figure
from reports.figures.pareto import front_figure

TITLES = {
    "front": "Accuracy over parameters",
    "learning-curves": "Learning curves of the search",
    "retrained-curves": "Learning curves of the retrained students",
    "outcomes": "Outcomes by family",
}

CAPTIONS = {
    "front": "Each circle is a trained trial at its last rung, on the validation split; "
    "the grey line is the search front. Diamonds are retrained students on the test set. "
    "The scale is that of the error: halving it is always the same step.",
    "learning-curves": "Strong lines are on the search front.",
    "retrained-curves": "One line per seed, on the validation split.",
    "outcomes": "How the trials of each family ended.",
}


def study_figures(report: ReportData) -> dict[str, go.Figure]:
    """All figures that have something to show, by the names in `TITLES`."""
    figures: dict[str, go.Figure] = {}
    if report.trained or report.students:
        figures["front"] = front_figure(report)
    if report.trained:
        figures["learning-curves"] = search_curves_figure(report)
    if any(student.validation is not None for student in report.students):
        figures["retrained-curves"] = retraining_curves_figure(report.students)
    if report.trials:
        figures["outcomes"] = outcomes_figure(report)
    return figures
