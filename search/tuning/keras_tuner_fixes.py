"""What has to be mended in KerasTuner before an oracle can stand on it."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, final

import keras_tuner
from keras_tuner.engine.trial import Trial

from ..compat.keras_tuner import with_values

Method = TypeVar("Method", bound=Callable[..., Any])


def exclusive(method: Method) -> Method:
    """`keras_tuner.synchronized` without its fault: it never gives its lock back once the method raises."""

    @keras_tuner.synchronized
    @functools.wraps(method)
    def attempt(*args: Any, **kwargs: Any) -> tuple[Any, BaseException | None]:
        try:
            return method(*args, **kwargs), None
        except BaseException as error:  # raised again below, once the lock is free
            return None, error

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        result, error = attempt(*args, **kwargs)
        if error is not None:
            raise error
        return result

    return call  # type: ignore[return-value]


@final
class DefaultingHyperParameters(keras_tuner.HyperParameters):
    """Takes the default where KerasTuner draws a missing value at random, so that exploring a space is repeatable.

    It also keeps a value whose name is shared by another hyperparameter that is inactive.
    """

    def ensure_active_values(self) -> None:
        for hp in self.space:
            if self.is_active(hp):
                self.values.setdefault(hp.name, hp.default)
            elif not self.is_active(hp.name):
                self.values.pop(hp.name, None)


class MendedOracle(keras_tuner.Oracle):
    """The base of an oracle; abstract, as `keras_tuner.Oracle` is."""

    @exclusive
    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Trial:
        """Take the metrics of a trial, without NumPy's warning where they are NaN: `end_trial` fails such a trial."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="All-NaN axis encountered")
            return super().update_trial(trial_id, metrics, step)

    def score_trial(self, trial: Trial) -> None:
        """Set the score to the objective at the last step that was reported. The best step would look too good."""
        last = trial.metrics.get_history(self.objective.name)[-1]
        trial.score, trial.best_step = float(last.mean()), last.step

    def get_space(self) -> keras_tuner.HyperParameters:
        """A copy of the hyperparameters known by now."""
        return self._at(self.hyperparameters.values)

    def _at(self, values: Mapping[str, Any]) -> keras_tuner.HyperParameters:
        return with_values(DefaultingHyperParameters, self.hyperparameters, values)

    def _forget(self, trial_id: str) -> None:
        """Neither run nor retry a trial any more."""
        self._retry_queue = [waiting for waiting in self._retry_queue if waiting != trial_id]
        self.ongoing_trials = {key: trial for key, trial in self.ongoing_trials.items() if trial.trial_id != trial_id}
