"""One point of a student's learning curve."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A student after `epoch` passes over the training set, which may be a fraction.

    `train_loss` is the mean since the point before, `validation_loss` the cross-entropy in nats. Where views hold
    validation samples, the latter two are no measure of what has been learnt.
    """

    epoch: float
    train_loss: float
    validation_accuracy: float
    validation_loss: float
    seconds: float
