import json
import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from search.cli.app import app
from search.cli.configuration import page, toml
from space.errors import InputError
from studies.configuration.config import Config
from studies.configuration.file import flatten, read
from studies.configuration.keys import sections
from studies.storage.directory import RunDirectory
from studies.store import create

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def config(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["config", *arguments], catch_exceptions=False, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    return result.output


def test_the_page_of_the_documents_is_what_is_generated() -> None:
    assert page() == PAGE.read_text(), "wunderkind config --markdown > docs/configuration.md"
    assert config("--markdown") == page()


def test_every_key_is_on_the_page_itself_or_by_the_section_it_is_like() -> None:
    text = page()
    for section in sections():
        for key in section.keys:
            name = key.name if not section.like else section.like + key.name.removeprefix(section.name)
            assert f"| `{name}` |" in text
    assert "| `retrain.recipe.epochs` |" in text
    assert "| `retrain.recipe.temperature` |" not in text  # the same as recipe.temperature


def test_tables_have_five_columns() -> None:
    rows = [line for line in page().splitlines() if line.startswith("|")]
    assert rows
    for row in rows:
        assert row.count(" |") == 5, row


def test_without_a_name_the_defaults_are_shown() -> None:
    text = config()
    assert '  search.sampler = "predictor"  predictor, evolution, tpe, nsga2 or random\n' in text
    assert "  search.trials = 40  integer ≥ 1 [students]\n      Students to train in total, over all runs;" in text
    assert "default:" not in text


def test_values_of_a_preset_are_shown_where_they_differ() -> None:
    text = config("mnist")
    asked, defaults = flatten(asdict(read("mnist"))), flatten(asdict(Config()))
    assert asked != defaults
    for name, value in asked.items():
        if value != defaults[name]:
            assert f"  {name} = {toml(value)}  (default: {toml(defaults[name])})" in text
    assert text.count("(default: ") == sum(value != defaults[name] for name, value in asked.items())


def test_values_of_a_study_and_of_a_file_are_shown(tmp_path: Path) -> None:
    create(RunDirectory(root=tmp_path, name="mnist"), read("mnist", ["search.peers=7"]))
    assert "search.peers = 7  (default: 3)" in config("mnist", "--runs", str(tmp_path))  # goes over the preset
    path = tmp_path / "mine.toml"
    path.write_text("[search]\nfloor = 0.75\n")
    text = config(str(path))
    assert "search.floor = 0.75  (default: 0.9)" in text
    assert text.count("(default: ") == 1


def test_nothing_of_that_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown preset 'mnits': did you mean mnist"):
        config("mnits", "--runs", str(tmp_path))


@pytest.mark.parametrize("value", [True, 3, 2.5, 1e-4, "text", 'a "word"', ("cnn", "mlp"), (1, 2.5), ()])
def test_values_are_written_as_toml(value: object) -> None:
    (read_back,) = tomllib.loads(f"value = {toml(value)}").values()
    assert read_back == json.loads(json.dumps(value))


def test_numbers_are_shown_to_six_digits() -> None:
    assert toml(1 / 3) == "0.333333"
    assert toml((2 / 28, 2_147_483_647)) == "[0.0714286, 2147483647]"


def test_what_is_not_set_has_no_value() -> None:
    assert toml(None) == "not set"
