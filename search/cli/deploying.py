"""Commands about trained students in use: predict, boards, measure."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from search.cli.options import PlaceOptions, Runs, with_options
from studies.storage.directory import ROOT

Target = Annotated[
    str,
    typer.Argument(
        metavar="STUDENT",
        help="A student's .safetensors file, or a study's name: its student best on validation, or that of --student.",
        show_default=False,
    ),
]
StudentDigest = Annotated[
    str | None, typer.Option("--student", metavar="DIGEST", help="Digest of a retrained student of the study.")
]


def predict(
    target: Target,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Pictures, which are resized to what the student takes, or arrays of one or more samples (.npy).",
            show_default=False,
        ),
    ],
    student: StudentDigest = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="Classes to name of each sample.")] = 2,
    invert: Annotated[
        bool, typer.Option("--invert", help="Turn black to white, as for ink on paper where the student learnt light.")
    ] = False,
    layout: Annotated[
        Literal["channels_first", "channels_last", "time_first", "features_first"] | None,
        typer.Option(help="Which axes of an array come first; a study's data.layout."),
    ] = None,
    range: Annotated[
        str | None,
        typer.Option(metavar="LOW..HIGH", help="Values of black and white in an array, like 0..1."),
    ] = None,
    runs: Runs = ROOT,
) -> None:
    """Say what pictures or sequences show.

    The confidence is what the student claims, not how often it is right.
    """
    from kd.data.inputs import inverted, lightness_note, read_inputs
    from kd.data.samples import Form, limits
    from kd.students.file import load_student
    from kd.students.predict import predictions
    from reports.terminal import terminal
    from search.targets import resolve_weights

    trained = load_student(resolve_weights(runs, target, student))
    found = read_inputs(inputs, trained.architecture.shape, Form(layout=layout, range=limits(range)))
    if invert:
        found = inverted(found)
    console = terminal()
    for note in (*found.notes, *(() if invert else lightness_note(found.samples, trained.mean))):
        console.print(f"note: {note}", soft_wrap=True)
    width = max(map(len, found.names))
    for name, one in zip(found.names, predictions(trained, found.samples, top), strict=True):
        answers = (f"{label} {100 * share:.1f} %" for label, share in zip(one.classes, one.confidences, strict=True))
        console.print(f"{name.ljust(width)}  {', '.join(answers)}", soft_wrap=True)


@with_options
def boards(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET",
            help="What to judge: a shipped architecture's name, a .json file, or a study with --trial or --student.",
            show_default=False,
        ),
    ] = None,
    trial: Annotated[int | None, typer.Option(metavar="N", help="Number of a trial of the study.")] = None,
    student: StudentDigest = None,
    *,
    places: PlaceOptions,
    runs: Runs = ROOT,
) -> None:
    """List microcontroller boards, and whether a student fits.

    Without a measurement, flash and RAM are those of the closed form, with room for code and stack.
    """
    from reports.facts.boards import board_table
    from reports.terminal import terminal
    from search.cli.opening import quiet_optuna
    from search.targets import resolve_target

    quiet_optuna()
    architecture = None if target is None else resolve_target(runs, target, trial, student, places.settings)
    terminal().print(board_table(architecture))


@with_options
def measure(
    target: Target,
    targets: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="TARGET", help="cortex-m0, cortex-m4, riscv32 or host. Repeatable."),
    ] = None,
    student: StudentDigest = None,
    board: Annotated[
        str | None, typer.Option(metavar="NAME", help="Board to judge by: adds its core as a target.")
    ] = None,
    form: Annotated[Literal["int8", "float"], typer.Option(help="Arithmetic of the C.")] = "int8",
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Validation samples of these data are answered; default: the student's."),
    ] = None,
    optimisation: Annotated[
        Literal["s", "2", "3"], typer.Option("--optimise", help="How the compiler optimises: for size, or speed.")
    ] = "s",
    *,
    runs: Runs = ROOT,
) -> None:
    """Compile a student and measure it in an emulator of a device.

    Flash and RAM are read by size, the stack by painting it, instructions by QEMU's counter, and the answers are
    compared with those that they should be. What was found is kept beside the student.
    """
    from kd.measure.measurement import place
    from kd.measure.target import find
    from reports.facts.measurements import measurement_lines
    from reports.terminal import terminal
    from search.jobs.measuring import data_of, measure_student
    from search.jobs.telling import retell
    from search.targets import resolve_weights
    from space.board import find as find_board

    judged = None if board is None else find_board(board)
    names = dict.fromkeys([*(targets or ()), *([judged.target] if judged else [])] or ["cortex-m4"])
    found = [find(name) for name in names]  # before anything that takes seconds
    path, console = resolve_weights(runs, target, student), terminal()
    samples = data_of(path, data)
    try:
        for one in found:
            for measurement in measure_student(path, form, [one], samples, f"-O{optimisation}"):
                for line in measurement_lines(measurement, judged):
                    console.print(line, soft_wrap=True)
    finally:  # however it ended, page and card tell what is kept
        retell(path, samples)
    console.print(f"kept in {place(path)}", soft_wrap=True)
