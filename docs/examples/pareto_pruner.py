"""Pruning with two objectives in a study of your own: no student, no teacher, only Optuna and a Pareto pruner.

Optuna refuses `trial.report` and `trial.should_prune` in a study with several objectives. A pruner beside the study
decides instead: after every rung it is told how the trial stands, and says whether to go on.

    python docs/examples/pareto_pruner.py
"""

import optuna
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import wunderkind as wk

RUNGS = (1, 3, 9, 27)
"""Passes over the training samples at which trials are compared."""


def main(trials: int = 40, rule: str = "asha") -> tuple[optuna.Study, int]:
    """Search the width and the learning rate of a small classifier; return the study and the passes it took."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    x, y = load_digits(return_X_y=True)
    x_train, x_valid, y_train, y_valid = train_test_split(x / 16, y, random_state=0, stratify=y)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.TPESampler(seed=0))
    pruner, passes = wk.ParetoPruner(RUNGS, rule), 0
    for _ in range(trials):
        trial = study.ask()
        width = trial.suggest_int("width", 1, 64, log=True)
        rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
        model = MLPClassifier((width,), learning_rate_init=rate, random_state=0)
        parameters = 64 * width + width + 10 * width + 10
        for rung in RUNGS:
            while getattr(model, "t_", 0) < rung * len(x_train):
                model.partial_fit(x_train, y_train, classes=range(10))
                passes += 1
            accuracy = model.score(x_valid, y_valid)
            pruner.report(trial.number, rung, merit=accuracy, size=parameters)
            if pruner.should_prune(trial.number, rung):
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, (accuracy, parameters))
    return study, passes


if __name__ == "__main__":
    found, spent = main()
    for best in sorted(found.best_trials, key=lambda trial: trial.values[1]):
        print(f"{best.values[1]:6.0f} parameters  {100 * best.values[0]:.1f} %")
    print(f"{spent} passes; without pruning it would have been {len(found.trials) * RUNGS[-1]}")
