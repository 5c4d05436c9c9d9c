"""The command that writes a student's C code and its quantised twin."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Runs
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
    int8: Annotated[bool, typer.Option("--int8", help="Only C in 8-bit integers.")] = False,
    float_: Annotated[bool, typer.Option("--float", help="Only C in float.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder to write to; default: the student's own, or one named as the file."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Data of a file's student, default mnist; where a study's data lie now."),
    ] = None,
    runs: Runs = ROOT,
) -> None:
    """Write students as C, which needs no runtime.

    A folder has one header, one source and a main program, and nothing is allocated. It compiles with gcc *.c
    (float: and -lm), and runs on a sample whose answer is known.
    """
    if target.endswith(".safetensors"):
        if student is not None:
            raise InputError("--student is of a study, and a file has one student: leave it out")
        path = Path(target)
        if not path.is_file():  # before imports that take seconds
            raise InputError(f"no student at {path}: check the path")
        from kd.data.dataset import DataSource, load

        found = {path: out or path.with_suffix("")}
        samples = load(DataSource(name=data or "mnist"))
    else:
        directory = RunDirectory(root=runs, name=target)
        directory.require()
        found = {weights: out or weights.parent for weights in _of_study(directory, student)}
        if out is not None and len(found) > 1:
            found = {weights: out / weights.parent.name for weights in found}
        samples = _data_of(directory, data)
    forms = ([] if float_ and not int8 else ["c-int8"]) + ([] if int8 and not float_ else ["c"])
    for weights, folder in found.items():
        _write(weights, folder, sorted(forms), samples)


def _write(weights: Path, folder: Path, forms: list[str], data: "DataSet") -> None:
    from kd.deploy.export import student_code
    from kd.deploy.places import FORMATS
    from kd.students.file import load_student
    from reports.terminal import terminal

    architecture = load_student(weights).architecture
    if architecture.shape != data.shape:
        raise InputError(f"{weights} takes {architecture.shape}, {data.name} has {data.shape}: name its --data")
    for form in FORMATS:
        if form in forms:
            code = student_code(weights, form, data.train.images, data.test.images[:1])
            try:
                code.write(folder / form)
            except OSError as error:
                raise InputError(f"--out {folder}: cannot be written ({error.strerror}): choose another") from error
            sizes = f"constants {code.constant_bytes:,} bytes, activations {code.arena_bytes:,} bytes"
            terminal().print(f"{folder / form}: {sizes}", soft_wrap=True, highlight=False)


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


def _data_of(directory: RunDirectory, place: str | None) -> "DataSet":
    from kd.data.dataset import load
    from studies.configuration.file import changed
    from studies.store import stored_config

    config = stored_config(directory)
    return load((config if place is None else changed(config, [f"data.name={place}"])).data)
