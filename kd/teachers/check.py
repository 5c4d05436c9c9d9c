"""Measure a study's teachers before they teach, and refuse those that are no better than chance."""

import math
from dataclasses import replace

import torch
from torch import nn

from kd.data.dataset import DataSet
from kd.teachers.fingerprint import fingerprint
from kd.teachers.loading import Member, open_members
from kd.teachers.measurement import TeacherMeasurement, TeacherScore, measure
from kd.teachers.remedies import SECONDS, Remedy, best_remedy
from kd.teachers.source import TeacherSource
from kd.teachers.user_code import drawn_weights
from space.errors import InputError

MARGIN = 0.1
"""Share of the way from chance to perfect below which a teacher counts as no better than chance."""

OVERRULE = "--set teacher.check=false overrules this"

DOUBTFUL = 0.85
"""Accuracy (share) below which other settings are tried, to tell when some fit better."""


def measured_teachers(
    source: TeacherSource,
    data: DataSet,
    device: str = "cpu",
    module: nn.Module | None = None,
    known: TeacherMeasurement | None = None,
) -> TeacherMeasurement:
    """Measure the teachers of a source on labelled training and validation samples.

    Args:
        source: who teaches.
        data: on what; the test split is not touched.
        device: where they are measured.
        module: the network itself where `source` only names it.
        known: what was measured before, which is not measured again if it is of the same teachers and data.

    Raises:
        InputError: as `open_teacher`, and unless `source.check` is off for a teacher that is no better than chance,
            with the settings that fit it better, or that gives other logits each time.
    """
    identity = fingerprint(source, data, module)
    same = known is not None and (known.fingerprint, known.data) == (identity, data.digest)
    if known is not None and same and not (source.check and any(_fault(score, known) for score in known.teachers)):
        return known
    place = torch.device(device)
    members = open_members(source, data, place, module=module)
    found = measure(members, data, place, identity)
    if not source.check:
        return found
    hints: list[str] = []
    for member, score in zip(members, found.teachers, strict=True):
        fault = _fault(score, found)
        doubtful = (score.validation or score.train).accuracy < DOUBTFUL
        if (fault or doubtful) and (untrained := _untrained(member)):
            raise InputError(f"teacher {member.title} {_right(score, found)}: {untrained}; {OVERRULE}")
        remedy = best_remedy(member, data, place, SECONDS if fault else SECONDS / 4) if fault or doubtful else None
        if fault is not None:
            raise InputError(f"teacher {member.title} {fault}: {_way_out(member, remedy, len(members))}")
        if remedy is not None:
            hints.append(
                f"teacher {member.title} would be right for {100 * remedy.accuracy:.1f} % with {remedy.options}"
            )
    return replace(found, hint="; ".join(hints))


def is_chance(score: TeacherScore, found: TeacherMeasurement) -> bool:
    """Whether a teacher is no better than chance, or than always naming the largest class.

    Judged by the mean recall of the classes, which either of them brings to 1 / classes whatever the classes' shares,
    with three standard deviations of it for luck.
    """
    chance, accuracy, balanced, samples = 1 / found.classes, 0.0, 0.0, 0
    for part in (score.train, score.validation):
        if part is not None:
            accuracy += part.samples * part.accuracy
            balanced += part.samples * part.balanced_accuracy
            samples += part.samples
    accuracy, balanced = accuracy / samples, balanced / samples
    luck = 3 * math.sqrt(chance * (1 - chance) / samples)
    least = min(chance + max(luck, MARGIN * (1 - chance)), (1 + chance) / 2)
    return balanced <= least or (accuracy <= found.majority and balanced <= chance + 3 * MARGIN * (1 - chance))


def _fault(score: TeacherScore, found: TeacherMeasurement) -> str | None:
    if score.random:
        return "gives other logits for the same samples each time (dropout that is always on?)"
    return _right(score, found) if is_chance(score, found) else None


def _right(score: TeacherScore, found: TeacherMeasurement) -> str:
    parts = [part for part in (score.train, score.validation) if part is not None]
    samples = sum(part.samples for part in parts)
    right = sum(part.samples * part.accuracy for part in parts) / samples
    return (
        f"is right for {100 * right:.1f} % of {samples:,} labelled samples, where chance gives "
        f"{100 / found.classes:.1f} % and the largest class {100 * found.majority:.1f} %"
    )


def _untrained(member: Member) -> str:
    """What is wrong with code whose weights have learnt nothing; "" for any other teacher."""
    source = member.source
    weights = dict(zip(source.models, source.weights or ("",) * len(source.models), strict=True))
    if weights.get(member.name, "no code") or member.name.startswith("torchvision:") or ":" not in member.name:
        return ""
    drawn = drawn_weights(member.name, member.columns)
    return f"its weights ({drawn[0]}, …) are drawn anew each time: name a file of them with --weights" if drawn else ""


def _way_out(member: Member, remedy: Remedy | None, members: int) -> str:
    alone = "" if members == 1 else ", or leave this teacher out"
    if remedy is not None:
        return f"it would be right for {100 * remedy.accuracy:.1f} % with {remedy.options}: add that{alone}; {OVERRULE}"
    tried = "no other order of its classes" if member.stored else "no other scale, layout or order of classes"
    return f"{tried} makes it better: check what it was trained on{alone}; {OVERRULE}"
