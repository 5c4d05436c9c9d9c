"""What a student costs, in the units that a device counts: by which of them the trials are to be compared."""

from collections.abc import Mapping, Sequence

from reports.facts.report_data import ReportData
from studies.records import StudentRecord, TrialRecord

PRICES: Mapping[str, str] = {
    "parameters": "parameters",
    "macs": "multiply-accumulates of one sample",
    "memory_bytes": "peak memory of activations [B]",
    "int8_bytes": "size of the weights in int8 [B]",
    "latency_ms": "latency in onnxruntime, one thread [ms]",
}
"""Costs that figures can be drawn over, and the titles of their axes."""

SHORT: Mapping[str, str] = {
    "parameters": "parameters",
    "macs": "MACs",
    "memory_bytes": "memory",
    "int8_bytes": "int8 size",
    "latency_ms": "latency",
}
"""What the switch calls them."""


def prices(report: ReportData) -> list[str]:
    """Names of the costs that are known: latencies were measured where a study minimises them."""
    return [name for name in PRICES if name != "latency_ms" or any(t.latency_ms is not None for t in report.trials)]


def price(record: TrialRecord | StudentRecord, name: str) -> float | None:
    """One cost of a student by its name, None for a latency that was not measured."""
    if name == "latency_ms":
        return record.latency_ms
    return int(getattr(record.cost, name))


def front_over(trials: Sequence[TrialRecord], name: str, floor: float) -> list[TrialRecord]:
    """The Pareto set of complete trials over merit (up) and any cost (down), as `studies.front.front` has it."""
    complete = [trial for trial in trials if trial.outcome == "complete" and trial.merit is not None]
    complete = [trial for trial in complete if price(trial, name) is not None]
    complete = [trial for trial in complete if (trial.merit or 0) >= floor] or complete
    ordered = sorted(complete, key=lambda trial: (price(trial, name) or 0, -(trial.merit or 0), trial.number))
    best, kept = -1.0, []
    for trial in ordered:
        if (trial.merit or 0) > best:
            best = trial.merit or 0
            kept.append(trial)
    return kept
