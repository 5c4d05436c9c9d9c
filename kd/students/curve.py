"""One point of a student's learning curve."""

from dataclasses import dataclass

from kd.students.scores import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A student after `epoch` passes over the training set, which may be a fraction.

    `train_loss` is the mean since the point before, `validation_loss` the cross-entropy in nats. Where views hold
    validation samples, the figures of validation are no measure of what has been learnt. Those after `seconds` are of
    validation too, as `kd.students.scores.Scores` has them; a curve that was not measured so lacks them.
    """

    epoch: float
    train_loss: float
    validation_accuracy: float
    validation_loss: float
    seconds: float
    balanced_accuracy: float | None = None
    macro_f1: float | None = None
    recalls: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        """JSON has lists."""
        object.__setattr__(self, "recalls", tuple(self.recalls))

    def score(self, metric: Metric) -> float:
        """The validation score of this name."""
        score = self.validation_accuracy if metric == "accuracy" else getattr(self, metric)
        assert score is not None, f"{metric} was not measured"
        return float(score)
