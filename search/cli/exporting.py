"""The command that writes a student's ONNX files and C code."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Runs
from space.board import Board, find
from space.errors import InputError
from studies.storage.directory import ROOT, RunDirectory

if TYPE_CHECKING:
    from kd.data.dataset import DataSet


def export(
    target: Annotated[
        str,
        typer.Argument(
            metavar="STUDENT",
            help="A study's name, for all its retrained students, or one student's .safetensors file.",
            show_default=False,
        ),
    ],
    student: Annotated[
        str | None, typer.Option("--student", metavar="DIGEST", help="Only the retrained student of this digest.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Only in 8-bit integers.")] = False,
    float_: Annotated[bool, typer.Option("--float", help="Only in float.")] = False,
    c: Annotated[bool, typer.Option("--c", help="Only C.")] = False,
    onnx: Annotated[bool, typer.Option("--onnx", help="Only ONNX.")] = False,
    board: Annotated[str | None, typer.Option(metavar="NAME", help="Board to say whether it fits.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder to write to; default: the student's own, or one named as the file."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="What the student learnt from: of a file, default mnist; where a study's lie now."
        ),
    ] = None,
    runs: Runs = ROOT,
) -> None:
    """Write students as ONNX and C, in float and 8-bit integers.

    C needs no runtime. A folder of it has one header, one source and a main program, and nothing is allocated. It
    compiles with gcc *.c (float: and -lm), and runs on a sample whose answer is known.
    """
    judged = None if board is None else find(board)
    found = _targets(target, student, out, runs)
    languages = {name for name, only, other in (("c", c, onnx), ("onnx", onnx, c)) if only or not other}
    arithmetic = {name for name, only, other in (("int8", int8, float_), ("float", float_, int8)) if only or not other}
    samples = _samples(next(iter(found)), data)
    for weights, folder in found.items():
        try:
            _write(weights, folder, languages, arithmetic, samples)
        except OSError as error:
            raise InputError(f"--out {folder}: cannot be written ({error.strerror}): choose another") from error
        if judged is not None:
            _judge(weights, judged)


def _targets(target: str, student: str | None, out: Path | None, runs: Path) -> dict[Path, Path]:
    """Files of students, each with the folder that it goes to."""
    if target.endswith(".safetensors"):
        if student is not None:
            raise InputError("--student is of a study, and a file has one student: leave it out")
        path = Path(target)
        if not path.is_file():  # before imports that take seconds
            raise InputError(f"no student at {path}: check the path")
        return {path: out or path.with_suffix("")}
    directory = RunDirectory(root=runs, name=target)
    directory.require()
    found = {weights: out or weights.parent for weights in _of_study(directory, student)}
    if out is not None and len(found) > 1:
        found = {weights: out / weights.parent.name for weights in found}
    return found


def _samples(weights: Path, name: str | None) -> "DataSet":
    """The data that a student learnt from, or those named in their place."""
    from kd.students.file import load_student
    from reports.terminal import terminal
    from search.jobs.measuring import data_of

    data = data_of(weights, name)
    if data is None:
        raise InputError(f"{weights}: it did not learn from mnist, and lies in no study: name its --data")
    if data.digest != load_student(weights).data:
        terminal().print(f"note: {weights} did not learn from {data.name}, which it is calibrated on", soft_wrap=True)
    return data


def _write(weights: Path, folder: Path, languages: set[str], arithmetic: set[str], data: "DataSet") -> None:
    """Write forms of a student, and in its own folder what tells of it."""
    from kd.deploy.c_code import HEADER, MAIN, SOURCE
    from kd.deploy.export import COMPARED, export_forms, student_code
    from kd.deploy.onnx import export_onnx
    from kd.deploy.places import CODE, ONNX
    from reports.terminal import terminal
    from search.jobs.telling import ARDUINO, CARD, PAGE, retell

    if other := [form for form in CODE if (folder / form).exists() and not (folder / form).is_dir()]:
        raise InputError(f"--out {folder}: {other[0]} in it is a file, not a folder for C: choose another")
    console = terminal()
    training, samples = data.train.images, data.test.images[:COMPARED]
    written = []
    if "onnx" in languages:
        if "float" in arithmetic:
            export_onnx(weights, folder / ONNX, samples)
            written.append(ONNX)
        if "int8" in arithmetic:
            written += export_forms(weights, folder, ["onnx-int8"], training, samples)
        for name in written:
            console.print(f"{folder / name}: {(folder / name).stat().st_size:,} bytes", soft_wrap=True, highlight=False)
    for form in CODE if "c" in languages else ():
        if ("int8" if form == "c-int8" else "float") in arithmetic:
            code = student_code(weights, form, training, samples[:1])
            code.write(folder / form)
            written += [f"{form}/{name}" for name in (HEADER, SOURCE, MAIN)]
            sizes = f"constants {code.constant_bytes:,} bytes, activations {code.arena_bytes:,} bytes"
            console.print(f"{folder / form}: {sizes}", soft_wrap=True, highlight=False)
    if folder == weights.parent and retell(weights, data, written):
        console.print(f"{folder}: {PAGE}, {CARD}, {ARDUINO}", soft_wrap=True, highlight=False)


def _judge(weights: Path, board: Board) -> None:
    """Say whether a student fits a board, by what was measured of it, if anything was."""
    from kd.files import checksum
    from kd.measure.measurement import known
    from kd.students.file import load_student
    from reports.facts.boards import judge
    from reports.terminal import terminal

    architecture = load_student(weights).architecture
    measured = known(weights, architecture.digest, checksum(weights)).measured
    terminal().print(judge(architecture, board, measured).in_words, soft_wrap=True)


def _of_study(directory: RunDirectory, digest: str | None) -> list[Path]:
    """Weights of the exported seed of each retrained student, or of the one of this digest."""
    from kd.students.results import StudentResults
    from search.targets import of_digest

    if digest is not None:
        of_digest(directory, digest)
    folders = [folder for folder in directory.student_folders if digest in (None, folder.name)]
    if not folders:
        raise InputError(
            f"study '{directory.name}' has no retrained student yet: wunderkind retrain {directory.target}"
        )
    results = {folder: StudentResults.from_json(folder / "results.json") for folder in folders}
    # of the seed best on validation, as student.onnx is
    return [folder / f"seed-{found.best_seed}.safetensors" for folder, found in results.items()]
