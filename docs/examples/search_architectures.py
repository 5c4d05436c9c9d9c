"""Run a search from Python and look at what it found.

    python docs/examples/search_architectures.py mnist-quick

Anything that --set takes on the command line may follow: search.trials=10 budget.parameters=3000
"""

import sys

import wunderkind as wk


def main(preset: str, *changes: str, name: str = "example", runs: str = "runs") -> None:
    config = wk.read_config(preset, changes)
    study = wk.run(config, name=name, runs=runs)  # goes on where it stopped, if it was stopped

    print(study.trials[["family", "parameters", "outcome", "epochs", "validation_accuracy"]].to_string())
    print(study.students[["family", "parameters", "seeds", "validation_accuracy", "test_accuracy"]].to_string())
    for trial in study.front:
        print(f"{trial.cost.parameters:6,} parameters  {trial.accuracy:.2%}  {wk.describe(trial.architecture)}")
    study.figures["front"].write_html(study.path / "front.html", include_plotlyjs=True)


if __name__ == "__main__":  # worker processes import this file, and must not start a search of their own
    main(*(sys.argv[1:] or ["mnist-quick"]))
