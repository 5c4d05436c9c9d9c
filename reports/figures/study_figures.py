"""All figures of a study, with their titles and captions."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from reports.facts.choices import Importance, importances
from reports.facts.course import funnel, timeline
from reports.facts.evidence import StudyEvidence, teacher_level
from reports.facts.hypervolume import growth
from reports.facts.ranking import FEWEST
from reports.facts.report_data import ReportData
from reports.figures.course import (
    funnel_figure,
    growth_figure,
    importance_figure,
    ranking_figure,
    timeline_figure,
)
from reports.figures.curves import retraining_curves_figure, search_curves_figure
from reports.figures.outcomes import outcomes_figure
from reports.figures.pareto import front_figure
from reports.figures.student import (
    calibration_figure,
    confusion_figure,
    features_figure,
    recall_figure,
    student_curves_figure,
)
from studies.records import StudentRecord

TITLES = {
    "front": "What size buys",
    "growth": "How the front grew",
    "funnel": "Through the rungs",
    "timeline": "What the workers did",
    "importance": "Which choices matter",
    "ranking": "What the first rung foresaw",
    "learning-curves": "Learning curves of the search",
    "outcomes": "Outcomes by family",
    "retrained-curves": "Learning curves of the retrained students",
}

CAPTIONS = {
    "front": "Each circle is a trial after the few epochs that the search gave it, on the validation split; open ones "
    "were stopped early (pruned), the grey line is the search front. Diamonds are students retrained to the end, on "
    "the test set, bars their spread over seeds. The scale is that of the error: halving it is always the same step.",
    "growth": "Area that the front dominates, over the logarithms of error and parameters, below a constant answer and "
    "the budget. A curve that still rises at its end says that more trials would help.",
    "funnel": "How many students came how far.",
    "timeline": "A bar a stretch of training. Rows are workers as far as stretches overlap.",
    "importance": "fANOVA (Hutter et al. 2014) of the metric after the first rung, which all trained trials have: the "
    "share of the differences that a choice explains by itself, among all families and within each.",
    "ranking": "Trials that reached the last rung. The closer to a rising line, the better the first rung foresaw.",
    "learning-curves": "Strong lines are on the search front.",
    "outcomes": "How the trials of each family ended.",
    "retrained-curves": "One line per seed, on the validation split.",
}

STUDENT_TITLES = {
    "curves": "Learning curves",
    "confusion": "Confusion matrix",
    "recall": "Recall of every class",
    "calibration": "Confidence and accuracy",
    "features": "Features of the student",
    "teacher-features": "Features of the teacher",
}


def study_figures(
    report: ReportData, evidence: StudyEvidence | None = None, choices: Sequence[Importance] | None = None
) -> dict[str, go.Figure]:
    """All figures that have something to show, by the names in `TITLES`; importance is taken unless it is given."""
    figures: dict[str, go.Figure] = {}
    if report.trained or report.students:
        figures["front"] = front_figure(report, evidence)
    if grown := growth(report):
        figures["growth"] = growth_figure(grown)
    if report.trials:
        figures["funnel"] = funnel_figure(funnel(report))
    if (times := timeline(report)) is not None:
        figures["timeline"] = timeline_figure(times)
    if found := importances(report) if choices is None else choices:
        figures["importance"] = importance_figure(found)
    rungs = report.config.search.rungs
    if len(rungs) > 1 and sum(trial.at(rungs[-1]) is not None for trial in report.trained) >= FEWEST:
        figures["ranking"] = ranking_figure(report)
    if report.trained:
        figures["learning-curves"] = search_curves_figure(report)
    if report.trials:
        figures["outcomes"] = outcomes_figure(report)
    if any(student.validation is not None for student in report.students):
        figures["retrained-curves"] = retraining_curves_figure(report.students)
    return {name: figures[name] for name in TITLES if name in figures}


def student_figures(
    report: ReportData, student: StudentRecord, evidence: StudyEvidence, names: Sequence[str]
) -> Mapping[str, go.Figure]:
    """Those of a retrained student that have something to show, by the names in `STUDENT_TITLES`."""
    known = evidence.students[student.architecture.digest]
    figures: dict[str, go.Figure | None] = {"recall": recall_figure(student, names)}
    if student.validation is not None:
        figures["curves"] = student_curves_figure(student, teacher_level(report, evidence).validation)
    if known.answered is not None:
        figures["confusion"] = confusion_figure(known.answered, names)
        if known.answered.calibration is not None:
            figures["calibration"] = calibration_figure(known.answered.calibration)
    if known.features is not None:
        figures["features"] = features_figure(known.features, evidence.labels, names)
    return {name: figure for name in STUDENT_TITLES if (figure := figures.get(name)) is not None}
