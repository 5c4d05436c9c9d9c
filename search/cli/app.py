"""The command line: its commands, and what becomes of an error. Commands import what they need when they are called."""

import sys
from typing import Annotated, Any

import typer

from search.cli import configuration, data, deploying, exporting, running, studies, teaching
from space.errors import InputError

USAGE = typer.BadParameter.__mro__[1]
"""Any error of usage: typer gives it no public name."""

WORDS = {
    "Input should be greater than or equal to ": "must be at least ",
    "Input should be less than or equal to ": "must be at most ",
    "Input should be greater than ": "must be above ",
    "Input should be less than ": "must be below ",
    "Input should be a valid integer": "must be a whole number",
    "Input should be a valid number": "must be a number",
    "Input should be ": "must be ",
}
"""What typer says of values, and how we do."""

app = typer.Typer(
    name="wunderkind",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # typer's pretty help imports for twice as long as all the rest
    context_settings={"max_content_width": 100},
)

for command, name, example in (
    (running.run, "run", "run mnist-quick --name mine --trials 60 --set budget.parameters=5000"),
    (studies.status, "status", "status mine"),
    (studies.list_studies, "list", "list --runs runs"),
    (studies.report, "report", "report mine"),
    (studies.compare, "compare", "compare mine runs/other"),
    (studies.show, "show", "show mine --trial 17 --svg student.svg"),
    (running.retrain, "retrain", "retrain mine --trial 17 --seeds 5"),
    (running.distil, "distil", "distil mnist tied-cnn my.json --name long --set retrain.recipe.epochs=60"),
    (exporting.export, "export", "export mine --student 0a1b2c3d4e5f --int8 --out firmware"),
    (deploying.predict, "predict", "predict mine picture.png"),
    (deploying.boards, "boards", "boards tied-cnn"),
    (deploying.measure, "measure", "measure mine --target cortex-m4 --board microbit-v2"),
    (studies.verify, "verify", "verify mine"),
    (studies.repair, "repair", "repair mine"),
    (studies.dashboard, "dashboard", "dashboard mine --port 8080"),
    (teaching.teach, "teach", "teach mnist --members 3 --epochs 30 --out my-teacher.safetensors"),
    (teaching.teachers, "teachers", "teachers my-data.npz --teacher my-teacher.onnx --set teacher.scale=0..255"),
    (data.describe_data, "data", "data fashion-mnist"),
    (configuration.config, "config", "config mnist-quick"),
):
    app.command(name, epilog=f"Example: wunderkind {example}")(command)


@app.callback(invoke_without_command=True, add_help_option=False)
def wunderkind(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    # typer's own --help of a group imports pydantic, even for the help of a command
    usage: Annotated[bool, typer.Option("--help", help="Show this message and exit.")] = False,
) -> None:
    """Finds the smallest student network that still does its teacher's job."""
    if version:
        from importlib import metadata

        typer.echo(f"wunderkind {metadata.version('wunderkind')}")
        raise typer.Exit
    if usage or context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


def main() -> None:
    """Run the command line: what a user can mend is one line and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except Exception as error:
        from search.cli.faults import explain

        line = _usage_message(error) if isinstance(error, USAGE) else explain(error)
        if line is None:
            raise
        _fail(line)
    sys.exit(code)


def _usage_message(error: Any) -> str:
    message = error.format_message().rstrip(".?").replace(". Did you mean ", ", did you mean ")
    for theirs, ours in WORDS.items():
        message = message.replace(theirs, ours)
    asked = error.ctx.command_path if error.ctx else "wunderkind"
    return f"{message[0].lower()}{message[1:]}: see {asked} --help"


def _fail(message: str) -> None:
    print("error:", " ".join(message.split()), file=sys.stderr)
    sys.exit(2)
