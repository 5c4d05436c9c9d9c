import optuna
import pytest

from reports.study import open_study
from studies.store import Store


def test_a_study_opens_without_a_word_of_optunas_and_its_frames_follow_the_report(
    retrained: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        study = open_study(retrained.directory.path)
        assert optuna.logging.get_verbosity() == optuna.logging.INFO
    finally:
        optuna.logging.set_verbosity(verbosity)
    assert capfd.readouterr() == ("", "")
    assert len(study.trials) == len(study.report.trials) > 0
    assert list(study.students["parameters"]) == sorted(study.students["parameters"])
    assert study.best in study.report.students


def test_a_study_shows_itself_by_its_folder_not_by_everything_that_it_found(retrained: Store) -> None:
    assert repr(open_study(str(retrained.directory.path))) == f"Study(path={retrained.directory.path!r})"
