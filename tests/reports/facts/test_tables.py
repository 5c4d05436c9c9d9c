import math

import pandas as pd

from reports.facts.report_data import gather
from reports.facts.tables import student_frame, trial_frame
from studies.records import student_records, trial_records
from studies.store import Store


def test_a_frame_has_a_row_for_every_retrained_student(retrained: Store) -> None:
    frame = student_frame(gather(retrained)).set_index("digest")
    students = student_records(retrained)
    assert list(frame.index) == [student.architecture.digest for student in students]
    assert list(frame["test_accuracy"]) == [student.test for student in students]
    assert list(frame["validation_accuracy"]) == [student.validation for student in students]
    assert list(frame["parameters"]) == [student.cost.parameters for student in students]
    assert list(frame["seeds"]) == [1, 3]
    assert math.isnan(frame["test_deviation"].iloc[0]) and frame["test_deviation"].iloc[1] == students[1].test_deviation
    assert list(frame["trial"]) == [student.trial for student in students]
    assert list(frame["seconds"]) == [80.0, 240.0]
    assert set(frame["epochs"]) == {40}


def test_a_frame_of_no_students_has_the_same_columns(searched: Store) -> None:
    report = gather(searched)
    assert report.students == ()
    frame = student_frame(report)
    assert frame.empty
    assert {"digest", "trial", "parameters", "validation_accuracy", "test_accuracy", "on_front"} <= set(frame.columns)


def test_the_table_of_trials_has_a_row_a_trial(searched: Store) -> None:
    records = trial_records(searched)
    table = trial_frame(records)
    assert list(table["trial"]) == [record.number for record in records]
    assert list(table["parameters"]) == [record.cost.parameters for record in records]
    assert list(table["outcome"]) == [record.outcome for record in records]
    assert table["validation_accuracy"].isna().tolist() == [record.accuracy is None for record in records]
    assert trial_frame([]).empty


def test_a_student_of_no_trial_has_none(stray: Store) -> None:
    frame = student_frame(gather(stray))
    assert frame["trial"].dtype == pd.Int64Dtype()
    assert frame["trial"].isna().all() and len(frame) == 1
