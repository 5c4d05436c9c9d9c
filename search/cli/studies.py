"""Commands that read studies: status, report, compare, show, verify, dashboard, list."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from search.cli.opening import open_study, quiet_optuna
from search.cli.options import Name, PlaceOptions, Runs, with_options
from space.errors import InputError
from studies.storage.directory import ROOT, RunDirectory, study_names

Watch = Annotated[bool, typer.Option("--watch", help="Do it again and again until Ctrl-C.")]


WATCHED_STATUS, WATCHED_REPORT = 2, 60
"""Seconds between two looks at a study that is watched."""


@with_options
def status(name: Name, watch: Watch = False, *, places: PlaceOptions, runs: Runs = ROOT) -> None:
    """Show what a study has found so far; also while it runs."""
    with open_study(name, runs, places) as store:
        from reports.summary import status as summary
        from reports.terminal import terminal

        console = terminal()
        if not watch:
            console.print(summary(store))
            return
        from rich.live import Live

        with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
            for _ in _every(WATCHED_STATUS):
                live.update(summary(store, watched=True), refresh=True)


@with_options
def report(
    name: Name,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder to write it to; default: report/ in the study's own."),
    ] = None,
    watch: Watch = False,
    *,
    places: PlaceOptions,
    runs: Runs = ROOT,
) -> None:
    """Write a study's report: a page, Markdown, tables, figures.

    With --watch the page is written anew every minute, without the figures' files, and loads itself again.
    """
    with open_study(name, runs, places) as store:
        from reports.page import write_report
        from reports.terminal import terminal

        console = terminal()
        if not watch:
            console.print(f"report: {write_report(store, out, pictures=True)}", soft_wrap=True)
            return
        for number in _every(WATCHED_REPORT):
            page = write_report(store, out, refresh=WATCHED_REPORT)
            if number == 0:
                console.print(f"report: {page}  (written anew every {WATCHED_REPORT} s, Ctrl-C stops)", soft_wrap=True)


@with_options
def show(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET",
            help="A shipped architecture's name, the path of an architecture's .json file, or with --trial or "
            "--student a study's name; left out: list the shipped architectures.",
            show_default=False,
        ),
    ] = None,
    trial: Annotated[int | None, typer.Option(metavar="N", help="Number of a trial of the study.")] = None,
    student: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Digest of a retrained student of the study.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="File to draw the student to, as SVG.")] = None,
    *,
    places: PlaceOptions,
    runs: Runs = ROOT,
) -> None:
    """Show a student layer by layer, or the shipped ones."""
    from kd.files import write_whole
    from reports.facts.layers import layer_table, shipped_table
    from reports.figures.student_svg import student_svg
    from reports.terminal import terminal
    from search.targets import resolve_target

    if target is None:
        if trial is not None or student is not None or svg is not None:
            raise InputError("--trial, --student and --svg need a target: name a study or an architecture")
        terminal().print(shipped_table())
        return
    quiet_optuna()
    architecture = resolve_target(runs, target, trial, student, places.settings)
    terminal().print(layer_table(architecture))
    if svg is not None:
        try:
            write_whole(svg, student_svg(architecture, standalone=True))
        except OSError as error:
            raise InputError(f"--svg {svg}: cannot be written ({error.strerror}): choose another file") from error


@with_options
def verify(name: Name, *, places: PlaceOptions, runs: Runs = ROOT) -> None:
    """Check a study's students from their files.

    Parameters are counted three ways; budget, accuracies, int8 twins, and all that was exported of them are checked.
    Exit code 1 if any fails.
    """
    with open_study(name, runs, places) as store:
        from rich.text import Text

        from kd.deploy.verify import verify_exports
        from kd.students.verify import verify_manifest, verify_student
        from reports.terminal import terminal
        from search.jobs.telling import verify_told
        from studies.records import student_records
        from studies.store import stored_config

        console = terminal()
        directory = store.directory
        folders = [directory.student(student.architecture.digest) for student in student_records(store)]
        folders = folders or directory.student_folders  # of damaged students there is no record
        if not folders:
            raise InputError(f"study '{name}' has no retrained student yet: wunderkind retrain {directory.target}")
        failed = checked = 0
        for folder in folders:
            checks = verify_student(folder, store.data, store.config.budget)
            checks += verify_exports(folder, store.data)
            checks += verify_told(folder, store.data, stored_config(directory))
            checks.append(verify_manifest(folder))
            for check in checks:
                checked += 1
                failed += not check.ok
                mark = Text("ok    ", "green") if check.ok else Text("FAILED", "red")
                console.print(mark, f"{folder.name}  {check.name}: {check.detail}", soft_wrap=True)
    console.print(f"{checked - failed} of {checked} checks passed")
    if failed:
        raise typer.Exit(1)


@with_options
def repair(name: Name, *, places: PlaceOptions, runs: Runs = ROOT) -> None:
    """Rebuild a study whose database or configuration is damaged.

    The rungs of its training and its retrained students are found again in their files, trials are not.
    """
    from reports.terminal import terminal
    from search.cli.opening import quiet_optuna
    from studies.repair import repair as repaired

    quiet_optuna()
    console = terminal()
    for line in repaired(RunDirectory(root=runs, name=name), places.settings):
        console.print(line, soft_wrap=True)


@with_options
def dashboard(
    name: Annotated[
        str | None,
        typer.Argument(metavar="STUDY", help="Name of the study; left out: every study there is.", show_default=False),
    ] = None,
    port: Annotated[int, typer.Option(metavar="PORT", min=1, max=65535, help="Port on loopback to serve at.")] = 8080,
    *,
    places: PlaceOptions,
    runs: Runs = ROOT,
) -> None:
    """Serve optuna-dashboard on loopback, for a study or for all."""
    from reports.terminal import terminal

    console = terminal()
    if name is None:
        if not study_names(runs):
            raise InputError(f"no study under {runs}: start one with wunderkind run, or name another with --runs")
        quiet_optuna()
        from reports.dashboard.server import serve_all

        _check_port(port)
        console.print(f"http://127.0.0.1:{port}  (Ctrl-C stops)")
        serve_all(runs, port)
        return
    with open_study(name, runs, places) as store:
        from reports.dashboard.publish import publish
        from reports.dashboard.server import serve

        _check_port(port)
        if missing := publish(store):
            console.print(missing, soft_wrap=True)
        console.print(f"http://127.0.0.1:{port}  (Ctrl-C stops)")
        serve(store, port)


def compare(
    studies: Annotated[
        list[str], typer.Argument(metavar="STUDY", help="Names of studies, or their folders.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page to write; default: compare-A-B.html in the studies' folder."),
    ] = None,
    runs: Runs = ROOT,
) -> None:
    """Put studies side by side: fronts, equal sizes, settings."""
    from contextlib import ExitStack

    from search.cli.opening import directory_of

    directories = [directory_of(text, runs) for text in dict.fromkeys(studies)]
    if len(directories) < 2:
        raise InputError("compare needs two studies at least: name another, see wunderkind list")
    from reports.comparison_page import comparison_table, write_comparison
    from reports.facts.comparison import compare as compared
    from reports.facts.report_data import gather
    from reports.terminal import terminal
    from studies.store import opened

    quiet_optuna()
    with ExitStack() as stack:
        found = compared([gather(stack.enter_context(opened(directory))) for directory in directories])
    page = out or runs / f"compare-{'-'.join(directory.name for directory in directories)}.html"
    terminal().print(comparison_table(found))
    try:
        terminal().print(f"comparison: {write_comparison(found, page)}", soft_wrap=True)
    except OSError as error:
        raise InputError(f"--out {page}: cannot be written ({error.strerror}): choose another file") from error


def list_studies(runs: Runs = ROOT) -> None:
    """List the studies: state, trials, front, best student.

    The best student is the retrained one with the highest validation accuracy; shown are its parameters and the mean of
    its test accuracies.
    """
    from studies.overview import StudySummary, summaries

    found = summaries(runs)
    if not found:
        raise InputError(f"no study under {runs}: start one with wunderkind run, or name another folder with --runs")
    rows = [("study", "state", "trials", "front", "best student", "last change", "report")]
    for study in found:
        if isinstance(study, StudySummary):
            best = f"{study.best.parameters:,} at {100 * study.best.test:.2f} %" if study.best else "–"
            trials, changed = f"{study.trials} of {study.asked}", f"{study.changed:%Y-%m-%d %H:%M}"
            page = RunDirectory(root=runs, name=study.name).page
            link = str(page) if page.is_file() else "–"
            rows.append((study.name, study.state, trials, str(study.front), best, changed, link))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for study in found:
        if not isinstance(study, StudySummary):
            typer.echo(f"{study.name} cannot be read: {study.reason}")
    known = [study.name for study in found if isinstance(study, StudySummary)]
    if len(known) > 1:
        typer.echo(f"side by side: wunderkind compare {' '.join(known[:2])}")
    for page in sorted(runs.glob("compare-*.html")):
        typer.echo(f"compared: {page}")


def _every(seconds: int) -> Iterator[int]:
    """Numbers from 0 on, one every so many seconds, for ever."""
    import time

    number = 0
    while True:
        yield number
        number += 1
        time.sleep(seconds)


def _check_port(port: int) -> None:
    """Raise InputError where the dashboard could not listen."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(f"port {port}: {(error.strerror or str(error)).lower()}: choose another --port") from error
