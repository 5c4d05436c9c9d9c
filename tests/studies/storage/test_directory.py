import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from space.errors import InputError
from studies.configuration.config import Config, Search
from studies.storage.directory import RunDirectory
from studies.store import create, opened, stored_config

HOLD = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from studies.storage.directory import RunDirectory
with RunDirectory(root=Path(sys.argv[1]), name="mine").locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["mine", "a", "mnist-quick", "run_2.1", "0"])
def test_plain_names_name_a_directory(name: str, tmp_path: Path) -> None:
    assert RunDirectory(root=tmp_path, name=name).path == tmp_path / name


@pytest.mark.parametrize("name", ["", ".", "..", ".views", "a/b", "/a", "-a", "a b", "ü", "a\n", "a\\b"])
def test_other_names_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="study name"):
        RunDirectory(root=tmp_path, name=name)


def test_everything_lies_in_the_directory(tmp_path: Path) -> None:
    run = RunDirectory(root=tmp_path, name="mine")
    for place in (run.config, run.database, run.checkpoints, run.artifacts, run.report, run.student("abc")):
        assert place.is_relative_to(tmp_path / "mine")
    other = RunDirectory(root=tmp_path, name="other")
    assert (run.cache, run.assistants) == (other.cache, other.assistants)


def test_a_missing_study_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="start one with wunderkind run"):
        RunDirectory(root=tmp_path, name="mine").require()
    create(RunDirectory(root=tmp_path, name="other"), Config())
    with pytest.raises(InputError, match="studies here: other"):
        stored_config(RunDirectory(root=tmp_path, name="mine"))


def test_a_missing_study_names_the_nearest(tmp_path: Path) -> None:
    for name in ("mnist-long", "cifar"):
        create(RunDirectory(root=tmp_path, name=name), Config())
    with pytest.raises(InputError, match=r"did you mean mnist-long\? studies here: cifar, mnist-long"):
        RunDirectory(root=tmp_path, name="mnist-lang").require()


def test_whether_a_study_is_in_use_can_be_asked_while_another_process_waits_for_it(tmp_path: Path) -> None:
    run = RunDirectory(root=tmp_path, name="mine")
    assert not run.in_use()
    assert not run.path.exists()  # asking leaves nothing behind
    with run.locked():
        assert run.in_use()
    assert not run.in_use()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(lambda: [run.in_use() for _ in range(2_000)])
        while not asking.done():
            with run.locked():  # is never refused because somebody asked
                pass
        assert len(asking.result()) == 2_000


def test_a_second_process_is_kept_out_until_the_first_ends(tmp_path: Path) -> None:
    run = RunDirectory(root=tmp_path, name="mine")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another process is working on study 'mine'"), run.locked():
            pass
        with RunDirectory(root=tmp_path, name="other").locked():
            pass
        holder.kill()
    with run.locked():
        pass


def test_an_error_inside_the_lock_is_passed_on_and_frees_it(tmp_path: Path) -> None:
    run = RunDirectory(root=tmp_path, name="mine")
    with pytest.raises(ZeroDivisionError), run.locked():
        raise ZeroDivisionError
    with run.locked():
        pass


def test_a_study_keeps_its_configuration(tmp_path: Path) -> None:
    run = RunDirectory(root=tmp_path, name="mine")
    create(run, Config(search=Search(trials=3)))
    create(run, Config(search=Search(trials=5)))
    assert stored_config(run).search.trials == 5
    with pytest.raises(InputError, match=r"another configuration \(search.peers is 3, not 4\)") as caught:
        create(run, Config(search=Search(trials=5, peers=4)))
    assert "\n" not in str(caught.value)
    assert stored_config(run).search.peers == 3


def test_an_opened_study_is_there_again(tmp_path: Path) -> None:
    run = RunDirectory(root=tmp_path, name="mine")
    create(run, Config())
    for _ in range(2):
        with opened(run) as store:
            assert store.study.study_name == "mine"
            assert [direction.name for direction in store.study.directions] == ["MAXIMIZE", "MINIMIZE"]
            assert store.config == Config()
    with opened(run) as store:
        store.study.tell(store.study.ask(), values=[0.9, 100])
    with opened(run) as store:
        assert len(store.study.trials) == 1
