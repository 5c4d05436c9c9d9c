"""What optuna-dashboard shows beside its own plots: notes, figures, a learning curve for every trained trial."""

from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import run_server

from reports.dashboard_attributes import DashboardAttributes, UnsupportedVersionError
from reports.facts.formats import costs, count, counted, mean_test, percent
from reports.facts.report_data import ReportData, gather, headline
from reports.figures.curve_svg import curve_svg
from reports.figures.study_figures import TITLES, study_figures
from space.describe import describe
from studies.records import TrialRecord
from studies.storage.database import database_url
from studies.store import Store


def publish(store: Store) -> str | None:
    """Put notes, figures and learning curves onto the study; a second call writes only what is new.

    Returns:
        None when all of it is there, else one line that says what the installed version of a library does not offer:
        the dashboard then goes without, and no run fails over it.
    """
    try:
        _publish(store, gather(store))
    except UnsupportedVersionError as error:
        return str(error)
    return None


def serve(store: Store, port: int, host: str = "127.0.0.1") -> None:
    """Serve the dashboard of a study until interrupted. It has no login: keep it on loopback."""
    artifacts = FileSystemArtifactStore(store.directory.artifacts)
    run_server(database_url(store.directory.database), host=host, port=port, artifact_store=artifacts)


def _publish(store: Store, report: ReportData) -> None:
    attributes = DashboardAttributes.of(store.study, store.directory.artifacts)
    attributes.save_note(None, _study_note(report))
    for name, figure in study_figures(report).items():
        # the dashboard's cards have a height of their own and no title
        figure.update_layout(height=None, margin={"t": 60}, title={"text": TITLES[name], "x": 0.02})
        attributes.save_figure(name, figure)
    identifiers = attributes.trial_ids()
    for trial in report.trials:
        attributes.save_note(identifiers[trial.number], _trial_note(trial))
        if trial.trained:
            attributes.attach_svg(identifiers[trial.number], f"trial-{trial.number}.svg", curve_svg(trial))


def _study_note(report: ReportData) -> str:
    lines = [headline(report), ""]
    if report.students:
        lines += ["| student | family | parameters | validation | test |", "| --- | --- | ---: | ---: | ---: |"]
        lines += [
            f"| {s.architecture.digest} | {s.architecture.family} | {count(s.cost.parameters)} "
            f"| {percent(s.validation)} | {mean_test(s)} |"
            for s in report.students
        ]
    return "\n".join([*lines, "", f"Full report: `{report.name}/report/index.html`", ""])


def _trial_note(trial: TrialRecord) -> str:
    facts = [
        f"**{trial.outcome}**" + (f": {trial.reason}" if trial.reason else ""),
        f"{trial.architecture.family} `{trial.architecture.digest}`: {describe(trial.architecture)}",
        costs(trial.cost),
    ]
    if trial.trained:
        facts.append(f"{percent(trial.accuracy)} validation after {counted(trial.epochs, 'epoch')}")
    return "\n\n".join(facts) + "\n"
