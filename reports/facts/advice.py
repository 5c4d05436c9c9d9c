"""What limits a study's results, computed from them, each with the command that would mend it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from reports.facts.certainty import SIGMAS, difference_error, sampling_error, seeds_needed
from reports.facts.evidence import StudyEvidence, teacher_level
from reports.facts.formats import count, counted, percent, points
from reports.facts.hypervolume import growth
from reports.facts.ranking import rankings
from reports.facts.report_data import ReportData
from reports.facts.reproduction import FILE
from studies.front import is_done

RISING = 0.03
"""Share of the hypervolume that the last fifth of the training may add before the front counts as still rising."""
POOR = 0.5
"""Rank correlation below which a rung ranks badly."""
USED = 0.7
"""Share of the budget's parameters that the largest of a front has where the budget is used up."""
FAILED = 0.1
"""Share of trials that may fail."""
UNEVEN = 3.0
"""How many times the error of all classes the worst class's may be."""
CALIBRATED = 0.02
"""Calibration error (share) that needs no mending."""
QUANTISED = 0.002
"""Accuracy (share) that int8 may cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A limit in a few words, what was found, and the command that would mend it, "" where none can.

    What is `pressing` stands between the user and the best student; the rest is good to know.
    """

    title: str
    finding: str
    command: str = ""
    pressing: bool = True


def advice(report: ReportData, evidence: StudyEvidence) -> list[Advice]:
    """All that apply, the most pressing first."""
    pressing = (_unfinished, _few_seeds, _rising, _budget, _ranking, _failures, _classes, _quantised)
    found = [one for source in pressing for one in source(report)]
    for told in (_teacher, _distilled, _confidence):
        found += told(report, evidence)
    return [*found, *_noise(report)]


def again(report: ReportData, *settings: str) -> str:
    """The command that asks for the study again, under another name, with other settings."""
    changes = " ".join(f"--set {setting}" for setting in settings)
    elsewhere = report.target.removeprefix(report.name)
    return f"wunderkind run {report.path}/report/{FILE} --name {report.name}-2{elsewhere} {changes}".rstrip()


def _unfinished(report: ReportData) -> Iterator[Advice]:
    if not is_done(report.trials, report.students, report.config):
        yield Advice(
            title="Not finished",
            finding=f"{len(report.trained)} of {report.config.search.trials} students are trained, "
            f"{len(report.students)} retrained: everything here may still change.",
            command=f"wunderkind run --name {report.target}",
        )


def _few_seeds(report: ReportData) -> Iterator[Advice]:
    best, smallest = report.best, report.smallest
    if best is None or smallest is None:
        return
    pair = [best] if best is smallest else [smallest, best]
    students = " ".join(f"--student {student.architecture.digest}" for student in pair)
    if min(len(student.seeds) for student in pair) < 2:
        yield Advice(
            title="One seed",
            finding="A single training has no spread: how far another seed would lie is not known.",
            command=f"wunderkind retrain {report.target} {students} --seeds 3",
        )
    elif len(pair) == 2:
        first, second = ([seed.test for seed in student.seeds] for student in (best, smallest))
        difference, error = best.test - smallest.test, difference_error(first, second)
        if abs(difference) < SIGMAS * error:
            needed = seeds_needed(first, second)
            yield Advice(
                title="Too few seeds to tell the two best apart",
                finding=f"The best student is {points(difference)} ahead of the smallest nearly as good, "
                f"± {points(error)} with {counted(len(best.seeds), 'seed')}: that may be chance. About {needed} "
                "seeds would tell.",
                command=f"wunderkind retrain {report.target} {students} --seeds {min(needed, 30)}",
            )


def _rising(report: ReportData) -> Iterator[Advice]:
    grown = growth(report)
    if len(grown) < 5 or not grown[-1].hypervolume:
        return
    late = 0.8 * grown[-1].images
    before = max((point.hypervolume for point in grown if point.images <= late), default=0.0)
    gain = 1 - before / grown[-1].hypervolume
    if gain > RISING:
        yield Advice(
            title="The front was still rising",
            finding=f"The last fifth of the search's training added {percent(gain)} of the front's hypervolume: more "
            "trials would find better students.",
            command=f"wunderkind run --name {report.target} --trials {2 * report.config.search.trials}",
        )


def _budget(report: ReportData) -> Iterator[Advice]:
    limit, front = report.config.budget.parameters, report.front
    if limit is None or not front or front[-1].cost.parameters >= USED * limit:
        return
    yield Advice(
        title="The budget is not used up",
        finding=f"The largest student of the front has {count(front[-1].cost.parameters)} of {count(limit)} "
        "parameters: larger ones were not found to be better, or were hardly tried.",
        command=again(report, f"space.smallest={limit // 2}"),
    )


def _teacher(report: ReportData, evidence: StudyEvidence) -> Iterator[Advice]:
    best, teacher = report.best, teacher_level(report, evidence).test
    if best is None or teacher is None:
        return
    noise = sampling_error(teacher, report.samples.test)
    if best.test > teacher - SIGMAS * noise:
        yield Advice(
            title="The teacher is the bottleneck",
            finding=f"The best student, {percent(best.test)}, is within the noise of its teacher, {percent(teacher)}: "
            "a better teacher could teach more.",
            command=f"wunderkind teach {report.config.data.name} --members 3 --out teacher.safetensors",
        )
    elif 1 - best.test > 2 * (1 - teacher):
        epochs = 2 * report.config.retrain.recipe.epochs
        yield Advice(
            title="The teacher is much better",
            finding=f"The best student has an error of {percent(1 - best.test)}, its teacher one of "
            f"{percent(1 - teacher)}: longer retraining, or more trials, may close the gap.",
            command=again(report, f"retrain.recipe.epochs={epochs:g}"),
        )


def _ranking(report: ReportData) -> Iterator[Advice]:
    rungs = report.config.search.rungs
    for ranking in rankings(report):
        if ranking.correlation < POOR and ranking.later != "after retraining":
            longer = ", ".join(f"{2 * rung:g}" for rung in rungs)
            yield Advice(
                title="An early rung ranks badly",
                finding=f"Among {ranking.students} students the order {ranking.early} has a rank correlation of "
                f"{ranking.correlation:.2f} with that {ranking.later}: good students may have been dropped there.",
                command=again(report, f'search.rungs="[{longer}]"'),
            )
            return


def _failures(report: ReportData) -> Iterator[Advice]:
    failed = [trial for trial in report.trials if trial.outcome == "failed"]
    if len(failed) > FAILED * max(1, len(report.trained)):
        yield Advice(
            title="Many trials failed",
            finding=f"{counted(len(failed), 'trial')} failed, the last with: {failed[-1].reason}.",
            command=again(report, f"recipe.learning_rate={report.config.recipe.learning_rate / 2:g}"),
        )


def _classes(report: ReportData) -> Iterator[Advice]:
    scores = [seed.test_scores for seed in report.best.seeds if seed.test_scores] if report.best else []
    if not scores or report.best is None:
        return
    recalls = [[s.recalls[index] for s in scores] for index in range(len(report.classes))]
    means = {
        index: sum(r for r in one if r is not None) / len(one) for index, one in enumerate(recalls) if None not in one
    }
    worst = min(means, key=lambda index: means[index])
    error = 1 - report.best.test
    if 1 - means[worst] > UNEVEN * error and error > 0:
        yield Advice(
            title="Classes are answered unevenly",
            finding=f"The best student finds {percent(means[worst])} of class {report.classes[worst]}, of all samples "
            f"{percent(report.best.test)}.",
            command=again(report, "search.metric=macro_f1"),
        )


def _noise(report: ReportData) -> Iterator[Advice]:
    if report.best is None:
        return
    error = sampling_error(report.best.test, report.samples.test)
    yield Advice(
        title="Noise of the test set",
        finding=f"It has {count(report.samples.test)} samples: one is {points(1 / report.samples.test)}, and at "
        f"{percent(report.best.test)} the standard error is {points(error)}. Differences below "
        f"{points(SIGMAS * error)} between single trainings say nothing; only more test samples would change that.",
    )


def _confidence(report: ReportData, evidence: StudyEvidence) -> Iterator[Advice]:
    found = evidence.students.get(report.best.architecture.digest) if report.best else None
    calibration = found.answered.calibration if found and found.answered else None
    if calibration is None:
        return
    if calibration.before.error > CALIBRATED > calibration.after.error:
        yield Advice(
            title="Confidences are off",
            finding=f"The best student's confidence is off by {points(calibration.before.error)} on average; with its "
            f"logits divided by {calibration.temperature:.2f} by {points(calibration.after.error)}. Where confidences "
            "matter, divide the logits of the exported student so.",
        )


def _distilled(report: ReportData, evidence: StudyEvidence) -> Iterator[Advice]:
    gains = {digest: one.distillation for digest, one in evidence.students.items() if one.distillation is not None}
    if report.students and not report.config.retrain.ablation:
        yield Advice(
            title="What distillation gave is not known",
            finding="No student was trained on labels alone for comparison.",
            command=f"wunderkind run --name {report.target} --set retrain.ablation=true",
            pressing=False,
        )
    useless = [
        digest for digest, one in gains.items() if not one.gain > SIGMAS * (0 if math.isnan(one.error) else one.error)
    ]
    if gains and len(useless) == len(gains):
        yield Advice(
            title="The teacher gave nothing that can be measured",
            finding="No student is better than its twin on labels alone by more than chance.",
            command=again(report, "retrain.recipe.temperature=4", f"retrain.seeds={2 * report.config.retrain.seeds}"),
        )


def _quantised(report: ReportData) -> Iterator[Advice]:
    for student in report.students:
        if student.int8 is not None and student.test - student.int8 > QUANTISED:
            digest = student.architecture.digest
            yield Advice(
                title="int8 costs accuracy",
                finding=f"Student {digest} falls from {percent(student.test)} to {percent(student.int8)} in 8-bit "
                "integers: choose by retrain.metric=int8_accuracy, or take the C in float.",
                command=f"wunderkind export {report.target} --student {digest} --float",
            )
