"""What int8 costs a student, and whether it fits the board, wherever a student is told."""

import io
import json
from dataclasses import replace
from pathlib import Path

import measured
import optuna
import pandas as pd
from optuna.trial import FrozenTrial
from rich.console import Console

from kd.files import checksum
from kd.measure.measurement import keep, known
from reports.dashboard.notes import study_note
from reports.dashboard.publish import publish
from reports.facts.advice import advice
from reports.facts.evidence import gather_evidence
from reports.facts.report_data import gather
from reports.facts.tables import student_frame
from reports.figures.pareto import front_figure
from reports.page import write_report
from reports.summary import status
from studies.records import student_records
from studies.storage.database import database_url
from studies.store import Store

FLOAT, INT8, ALONE = "99.38 ± 0.03 % (n = 3)", "99.08 ± 0.03 %", "97.54 %"
MEASURED = replace(
    measured.MEASURED, flash=20_000, ram=5_000, image_flash=21_345, image_ram=9_300, stack=200, instructions=6_400_000
)


def printed(store: Store) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(status(store))
    return console.export_text()


def test_int8_stands_beside_float_in_status_note_page_and_tables(twinned: Store, tmp_path: Path) -> None:
    page = write_report(twinned, tmp_path)
    markdown = (tmp_path / "report.md").read_text()
    for text in (printed(twinned), study_note(gather(twinned)), page.read_text(), markdown):
        assert FLOAT in text and INT8 in text and ALONE in text
    assert "-0.30 points" in page.read_text() and "-0.30 points" in markdown
    table = pd.read_csv(tmp_path / "pareto.csv")
    retrained = table[table["stage"] == "retrained"].set_index("seeds")
    assert retrained.loc[3, "int8_accuracy"] == 0.9908
    assert retrained["int8_deviation"].round(6).loc[3] == 0.0003
    frame = student_frame(gather(twinned))
    assert list(frame["int8_accuracy"]) == [0.9754, 0.9908]


def test_students_without_twins_are_told_without_int8(told: Store, tmp_path: Path) -> None:
    page = write_report(told, tmp_path)
    assert "int8 test" not in page.read_text()
    assert pd.read_csv(tmp_path / "pareto.csv")["int8_accuracy"].isna().all()
    assert not any("int8" in (trace.name or "") for trace in front_figure(gather(told)).data)


def test_a_gap_is_advised_upon_with_the_command_that_keeps_accuracy(twinned: Store) -> None:
    report = gather(twinned)
    found = {one.title: one for one in advice(report, gather_evidence(twinned, report.students))}
    told = found["int8 costs accuracy"]
    best = report.students[-1].architecture.digest
    assert told.finding.startswith(f"Student {best} falls from 99.38 % to 99.08 %")
    assert told.command == f"wunderkind export {report.target} --student {best} --float"


def test_the_figure_has_a_point_for_every_twin(twinned: Store) -> None:
    (trace,) = (t for t in front_figure(gather(twinned)).data if t.name == "retrained, int8 (test)")
    assert [round(100 - y, 2) for y in trace.y] == [97.54, 99.08]


def test_the_dashboard_has_columns_of_retrained_trials(twinned: Store) -> None:
    def columns(trial: FrozenTrial) -> dict[str, float]:
        return {name: value for name, value in trial.user_attrs.items() if name.endswith("_accuracy")}

    assert publish(twinned) is None
    students = {student.trial: student for student in student_records(twinned)}
    for _ in range(2):  # a second time they are what they were
        study = optuna.load_study(study_name=twinned.study.study_name, storage=database_url(twinned.directory.database))
        for trial in study.get_trials(deepcopy=False):
            student = students.get(trial.number)
            told = {} if student is None else {"test_accuracy": student.test, "int8_accuracy": student.int8}
            assert columns(trial) == told
        publish(twinned)


def test_the_board_is_judged_by_estimate_until_it_is_measured(twinned: Store, tmp_path: Path) -> None:
    config = replace(twinned.config, space=replace(twinned.config.space, board="microbit-v1"))
    store = replace(twinned, config=config)
    page = write_report(store, tmp_path).read_text()
    assert "<th>microbit-v1</th>" in page and "BBC micro:bit v1" in page
    assert "estimated, and about" in page and "measured on such a core" not in page
    student = student_records(store)[-1]
    path = store.directory.student(student.architecture.digest) / f"seed-{student.exported.seed}.safetensors"
    m0 = replace(MEASURED, target="cortex-m0")
    keep(path, known(path, student.architecture.digest, checksum(path)).having(m0))
    words = "microbit-v1: tight, 21,345 bytes of flash and 9,500 of RAM in int8, measured on such a core, and about "
    page = write_report(store, tmp_path).read_text()
    assert f"{words}600 ms a sample" in page  # 1.5 cycles an instruction at 16 MHz
    assert f"{words}600 ms a sample" in (tmp_path / "report.md").read_text()


def test_a_json_of_the_front_has_int8(twinned: Store, tmp_path: Path) -> None:
    write_report(twinned, tmp_path)
    rows = json.loads((tmp_path / "pareto.json").read_text())
    assert {row["int8_accuracy"] for row in rows if row["stage"] == "retrained"} == {0.9754, 0.9908}
