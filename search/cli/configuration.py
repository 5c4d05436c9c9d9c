"""The command that explains configurations, `config`, which also writes docs/configuration.md."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Board, Runs
from space.errors import InputError
from studies.configuration.written import read_toml
from studies.storage.directory import ROOT, RunDirectory

if TYPE_CHECKING:
    from studies.configuration.config import Config
    from studies.configuration.keys import Key, Section

INTRODUCTION = """# Configuration

Everything that can be asked of a study, as `wunderkind config` prints it; this page is what
`wunderkind config --markdown` writes. `wunderkind config NAME` shows the values of a preset, a `.toml` file or a study.

A key is written in a TOML file, in the section before its last dot, or on the command line:

    [search]                                wunderkind run mnist --set search.trials=60
    trials = 60

Start from a file in `studies/presets/`; what it leaves out keeps its default. An unknown key is an error.
"""


def config(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY|PRESET",
            help="A study's name, a preset's name or the path of a .toml file, whose values to show; left out: the "
            "defaults.",
            show_default=False,
        ),
    ] = None,
    board: Board = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/configuration.md.")] = False,
    runs: Runs = ROOT,
) -> None:
    """Explain every key of a configuration.

    Shown are type, default, unit and meaning, and the value that a study or preset has.
    """
    if markdown:
        if target is not None or board is not None:
            raise InputError("--markdown describes the defaults: leave the study or preset and --board out")
        typer.echo(page(), nl=False)
        return
    if board is not None and target is None:
        raise InputError(f"--board {board} changes a preset's budget: name the preset")
    if target is not None and not (runs / target / "config.json").is_file():
        read_toml(target)  # before imports that take seconds
    from dataclasses import asdict

    from rich.text import Text

    from reports.terminal import terminal
    from studies.configuration.file import flatten

    console = terminal()
    values = flatten(asdict(_config(target, runs, board))) if target is not None else {}
    for line, style in _lines(values):
        console.print(Text(line, style=style), soft_wrap=True)


def page() -> str:
    """The text of docs/configuration.md."""
    from studies.configuration.keys import sections

    parts = [INTRODUCTION]
    for section, keys in _listed(sections(), {}):
        parts.append(f"## {section.name}\n\n{_heading(section)}\n")
        if keys:
            head = ("key | type | default | unit | meaning", "--- | --- | --- | --- | ---")
            rows = (f"`{key.name}` | {key.type} | `{toml(key.default)}` | {key.unit} | {key.meaning}" for key in keys)
            parts.append("".join(f"| {row} |\n" for row in (*head, *rows)))
    return "\n".join(parts)


def toml(value: object) -> str:
    """A value as TOML has it, numbers to six digits; "not set" for None, which TOML has not."""
    if value is None:
        return "not set"
    if isinstance(value, tuple):
        return f"[{', '.join(toml(item) for item in value)}]"
    return json.dumps(float(f"{value:.6g}") if isinstance(value, float) else value)


def _config(target: str, runs: Path, board: str | None) -> "Config":
    """What a study was asked, else what a preset or a file says; with the budget of a board if one is named."""
    from studies.configuration import file as config_file
    from studies.store import stored_config

    changes = [] if board is None else [f"space.board={json.dumps(board)}"]
    if (runs / target / "config.json").is_file():
        return config_file.changed(stored_config(RunDirectory(root=runs, name=target)), changes)
    return config_file.read(target, changes)


def _lines(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Lines for the terminal, each with its style; `values` are those that a study or preset has."""
    from studies.configuration.keys import sections

    for section, keys in _listed(sections(), values):
        yield f"{section.name}: {_heading(section)}", "bold"
        for key in keys:
            value = values.get(key.name, key.default)
            default = f"  (default: {toml(key.default)})" if value != key.default else ""
            unit = f" [{key.unit}]" if key.unit else ""
            yield f"  {key.name} = {toml(value)}{default}  {key.type}{unit}", "bold" if default else ""
            if key.meaning:
                yield f"      {key.meaning}", "dim"
        yield "", ""


def _heading(section: "Section") -> str:
    like = f"It has all keys that {section.like} has, sections included; here are those with another default or value."
    return f"{section.meaning} {like}" if section.like else section.meaning


def _listed(sections: "list[Section]", values: Mapping[str, object]) -> "Iterator[tuple[Section, list[Key]]]":
    """Sections with the keys to show: of one that has the keys of another, those that differ."""
    defaults = {key.name: key.default for section in sections for key in section.keys}
    for section in sections:
        keys = list(section.keys)
        if section.like:
            twins = {key.name: section.like + key.name.removeprefix(section.name) for key in keys}
            keys = [
                key for key in keys if not key.default == defaults[twins[key.name]] == values.get(key.name, key.default)
            ]
        if keys or not section.like:
            yield section, keys
