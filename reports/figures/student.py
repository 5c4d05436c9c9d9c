"""One retrained student: learning curves, confusion, recall, calibration, its features in a plane."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from torch import Tensor

from kd.students.calibration import Reliability
from kd.students.embedding import Embedding
from reports.facts.evidence import Answered, Calibration
from reports.facts.formats import percent
from reports.facts.majority import mean_scores
from reports.figures.theme import (
    COLOURS,
    MUTED_COLOUR,
    SEQUENCE,
    SYMBOLS,
    accuracy_axis,
    empty_figure,
    error_percent,
)
from studies.records import StudentRecord

WITHOUT, TEACHER, ACCENT = "#cc79a7", "#9c8b00", "#0072b2"
SHOWN_COUNTS = 20
"""Classes up to which the counts are written into the cells of a confusion matrix."""
LEGEND = 24
"""Classes up to which a legend names them."""


def student_curves_figure(student: StudentRecord, teacher: float | None) -> go.Figure:
    """Validation accuracy over the epochs of retraining, a line a seed, with the level (share) of the teacher."""
    figure = empty_figure(height=400)
    errors: list[float] = []
    groups = [("with the teacher", student.seeds, COLOURS[student.architecture.family], "solid")]
    if student.twin != student.seeds:
        groups.append(("on labels alone", student.twin, WITHOUT, "dot"))
    for name, seeds, colour, dash in groups:
        for seed in seeds:
            y = [error_percent(epoch.validation_accuracy) for epoch in seed.curve]
            errors += y
            figure.add_scatter(
                x=[epoch.epoch for epoch in seed.curve],
                y=y,
                mode="lines",
                line={"color": colour, "width": 1.8, "dash": dash},
                name=name,
                legendgroup=name,
                showlegend=seed is seeds[0],
                text=[percent(epoch.validation_accuracy) for epoch in seed.curve],
                hovertemplate=f"seed {seed.seed}, epoch %{{x}}: %{{text}}<extra>{name}</extra>",
            )
    last = max(seed.curve[-1].epoch for seed in student.seeds)
    if teacher is not None:
        errors.append(error_percent(teacher))
        figure.add_scatter(
            x=[0, last],
            y=[errors[-1]] * 2,
            mode="lines",
            line={"color": TEACHER, "width": 1.5, "dash": "dash"},
            name=f"teacher {percent(teacher)}",
            hovertemplate=f"teacher: {percent(teacher)}<extra></extra>",
        )
    figure.update_layout(
        xaxis={"title": {"text": "epochs"}, "dtick": max(1, round(last / 10)), "range": [0, last * 1.02]},
        yaxis=accuracy_axis(errors, "validation accuracy (%)"),
    )
    return figure


def confusion_figure(answered: Answered, names: Sequence[str]) -> go.Figure:
    """How often each class was answered with each; the shade is the share of the class's samples."""
    rows = answered.confusion
    totals = [max(1, sum(row)) for row in rows]
    shares = [[count / total for count in row] for row, total in zip(rows, totals, strict=True)]
    text = [[f"{count:,}" if count else "" for count in row] for row in rows]
    side = min(640, 150 + 34 * len(names))
    figure = empty_figure(height=max(360, side))
    figure.add_heatmap(
        z=[[share**0.35 for share in row] for row in shares],  # so that single mistakes show
        x=list(names),
        y=list(names),
        text=text,
        texttemplate="%{text}" if len(names) <= SHOWN_COUNTS else "",
        customdata=shares,
        hovertemplate="%{y} answered as %{x}: %{text} (%{customdata:.1%})<extra></extra>",
        colorscale=[[0, "rgba(0,114,178,0.03)"], [1, "rgba(0,114,178,0.85)"]],
        showscale=False,
        xgap=1,
        ygap=1,
    )
    figure.update_layout(
        xaxis={"title": {"text": "answer"}, "type": "category", "showgrid": False, "ticks": ""},
        yaxis={"title": {"text": "class"}, "type": "category", "autorange": "reversed", "showgrid": False, "ticks": ""},
    )
    return figure


def recall_figure(student: StudentRecord, names: Sequence[str]) -> go.Figure | None:
    """The share of each class that is found, means over the seeds; None where that was not measured."""
    scores = mean_scores(student)
    if scores is None:
        return None
    pairs = [(name, recall) for name, recall in zip(names, scores.recalls, strict=True) if recall is not None]
    low = min(recall for _, recall in pairs)
    figure = empty_figure(height=max(260, 90 + 22 * len(pairs)))
    figure.add_scatter(
        y=[name for name, _ in pairs],
        x=[100 * recall for _, recall in pairs],
        mode="markers",
        marker={"color": COLOURS[student.architecture.family], "size": 10},
        error_x=_spread(student, names),
        hovertemplate="%{y}: %{x:.2f} %<extra></extra>",
        showlegend=False,
    )
    figure.update_layout(
        xaxis={"title": {"text": "recall (%), mean and range over the seeds"}, "range": [max(0, 100 * low - 3), 100.5]},
        yaxis={"type": "category", "autorange": "reversed", "ticks": ""},
    )
    return figure


def calibration_figure(calibration: Calibration) -> go.Figure:
    """Accuracy beside confidence, before and after the temperature; on the diagonal they are the same."""
    figure = empty_figure(height=400)
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        line={"color": MUTED_COLOUR, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
    )
    versions = (
        ("as it is", calibration.before, WITHOUT, "square"),
        (f"temperature {calibration.temperature:.2f}", calibration.after, ACCENT, "circle"),
    )
    for name, reliability, colour, symbol in versions:
        _add_reliability(figure, f"{name}: off by {100 * reliability.error:.2f} points", reliability, colour, symbol)
    figure.update_layout(
        xaxis={"title": {"text": "confidence (%)"}, "range": [0, 102]},
        yaxis={"title": {"text": "accuracy (%)"}, "range": [0, 102]},
    )
    return figure


def features_figure(embedding: Embedding, labels: Tensor, names: Sequence[str]) -> go.Figure:
    """Validation samples where t-SNE puts their features, a colour and a symbol a class."""
    figure = empty_figure(height=460)
    classes = labels[embedding.places]
    for index, name in enumerate(names):
        positions = embedding.positions[classes == index].tolist()
        if not positions:
            continue
        figure.add_scatter(
            x=[round(x, 2) for x, _ in positions],
            y=[round(y, 2) for _, y in positions],
            mode="markers",
            marker={
                "color": SEQUENCE[index % len(SEQUENCE)],
                "symbol": SYMBOLS[(index + index // len(SEQUENCE)) % len(SYMBOLS)],
                "size": 6,
                "opacity": 0.8,
            },
            name=name,
            hovertemplate=f"{name}<extra></extra>",
            showlegend=len(names) <= LEGEND,
        )
    bare = {"showgrid": False, "showticklabels": False, "ticks": "", "showline": False}
    figure.update_layout(xaxis=bare, yaxis=bare, margin={"l": 10, "r": 10, "t": 20, "b": 10})
    return figure


def _spread(student: StudentRecord, names: Sequence[str]) -> dict[str, object] | None:
    """Bars from the lowest to the highest recall among the seeds."""
    scores = [seed.test_scores for seed in student.seeds if seed.test_scores is not None]
    if len(scores) < 2:
        return None
    above, below = [], []
    for index in range(len(names)):
        recalls = [100 * recall for one in scores if (recall := one.recalls[index]) is not None]
        if recalls:
            mean = sum(recalls) / len(recalls)
            above.append(max(recalls) - mean)
            below.append(mean - min(recalls))
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": MUTED_COLOUR}


def _add_reliability(figure: go.Figure, name: str, reliability: Reliability, colour: str, symbol: str) -> None:
    bins = zip(reliability.counts, reliability.confidences, reliability.accuracies, strict=True)
    filled = [(n, 100 * confidence, 100 * accuracy) for n, confidence, accuracy in bins if n]
    figure.add_scatter(
        x=[confidence for _, confidence, _ in filled],
        y=[accuracy for _, _, accuracy in filled],
        mode="lines+markers",
        line={"color": colour, "width": 1.5},
        marker={"color": colour, "symbol": symbol, "size": [4 + 3 * math.log10(n) for n, _, _ in filled]},
        text=[f"{n:,} samples" for n, _, _ in filled],
        hovertemplate="confidence %{x:.1f} %, accuracy %{y:.1f} %, %{text}<extra></extra>",
        name=name,
    )
