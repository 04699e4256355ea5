"""The trainings of a confirmation: one after the other in this process, or by workers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from optuna.trial import FrozenTrial

from ..training.epochs import EpochMetrics
from ..training.interruption import was_told_to_stop
from ..tuning.parallel import keras_settings, use_keras_settings
from ..workers.process import Channel
from ..workers.tasks import Pool
from .retraining import CONFIRM, FINAL, NOBODY, ConfirmationObserver, Retraining


@final
@dataclass(frozen=True)
class Training:
    """One training of a confirmation.

    Attributes:
        trial: whose network is trained, from `seed`.
        is_final: on training and validation samples together; otherwise as in the search.
    """

    trial: FrozenTrial
    seed: int
    is_final: bool

    def run(self, retraining: Retraining) -> Any:
        """What `Retraining.on_all_images` or `Retraining.on_training_images` returns.

        It goes on where an interrupted one stopped. Its checkpoint stays until the result is stored.
        """
        train = retraining.on_all_images if self.is_final else retraining.on_training_images
        try:
            return train(self.trial, self.seed)
        except Exception:
            if not was_told_to_stop():  # TensorFlow makes errors of its own of an interruption
                retraining.forget(self.trial, self.seed, FINAL if self.is_final else CONFIRM)
            raise


def run_trainings(
    trainings: Sequence[Training],
    retraining: Retraining,
    pool: Pool[Any] | None,
    on_result: Callable[[Training, Any], None],
) -> list[Any]:
    """Do all `trainings`; returns their results in this order, and tells of each at once.

    Args:
        trainings: to be done.
        retraining: how. Its observer is told of every step, in this process.
        pool: of the workers that train; None for this process.
        on_result: called with each training and its result.

    Raises what a training raises.
    """
    if pool is None:
        results = []
        for training in trainings:
            results.append(training.run(retraining))
            on_result(training, results[-1])
        return results
    alone = replace(retraining, observer=NOBODY)  # that of this process stays here
    tasks = [_WorkerTraining(alone, training, keras_settings()) for training in trainings]

    def relay(index: int, name: str, values: tuple[Any, ...]) -> None:
        getattr(retraining.observer, name)(*values)

    return pool.run(tasks, relay, on_result=lambda index, result: on_result(trainings[index], result))


@final
@dataclass(frozen=True)
class _WorkerTraining:
    """The task of a worker."""

    retraining: Retraining
    training: Training
    settings: tuple[str, str, Any]

    def __call__(self, channel: Channel) -> Any:
        use_keras_settings(self.settings)
        return self.training.run(replace(self.retraining, observer=_Reports(channel)))


@final
class _Reports(ConfirmationObserver):
    """Tells the process that started the worker of the steps of a training."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def training_started(self, trial: int, seed: int, summary: str, purpose: str) -> None:
        self._channel.tell("training_started", trial, seed, summary, purpose)

    def epoch_ended(self, trial: int, seed: int, epoch: int, metrics: EpochMetrics) -> None:
        self._channel.tell("epoch_ended", trial, seed, epoch, dict(metrics))

    def batches_done(self, trial: int, seed: int, epoch: int, done: int, batches: int | None) -> None:
        self._channel.tell("batches_done", trial, seed, epoch, done, batches)
