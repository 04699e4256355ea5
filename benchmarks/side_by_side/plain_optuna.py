"""Plain Optuna, as its examples do it: TPE, Keras's `fit`, and the pruning callback of optuna-integration.

The sampler and the pruner are Optuna's defaults (TPE and the median rule), the study is in memory, which is its fastest
storage. A network is built by Keras, and its parameters are counted. Where they are over the budget, or the layers do
not fit the input, the trial is pruned: nothing is needed to keep the search alive, and TPE learns from it. A refusal is
as cheap as Keras's building is: its session is cleared for networks that are trained.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, final

import keras
import optuna
from optuna.trial import FrozenTrial, TrialState

from kerastuna.spaces.errors import InfeasibleArchitecture

from .clock import TimeUp, check_time
from .job import Job
from .measures import RUNNING, Proposal

OUTCOME = "outcome"
"""The attribute of a trial that was not trained, and why."""
PARAMS = "params"


@final
class SuggestedHyperparameters:
    """What a space asks of KerasTuner's hyperparameters, suggested by an Optuna trial. Inactive ones are None."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial
        self._values: dict[str, Any] = {}
        self._scopes: list[bool] = []
        self.active_scopes: list[Any] = []
        self.inactive_scopes: list[Any] = []

    def Int(self, name: str, low: int, high: int, step: int = 1, **rest: Any) -> int | None:  # noqa: N802
        return self._suggested(name, rest, lambda: self._trial.suggest_int(name, low, high, step=step))

    def Float(  # noqa: N802
        self, name: str, low: float, high: float, step: float | None = None, sampling: str | None = None, **rest: Any
    ) -> float | None:
        log = sampling == "log"
        return self._suggested(name, rest, lambda: self._trial.suggest_float(name, low, high, step=step, log=log))

    def Choice(self, name: str, values: Sequence[Any], **rest: Any) -> Any:  # noqa: N802
        return self._suggested(name, rest, lambda: self._trial.suggest_categorical(name, list(values)))

    def Boolean(self, name: str, **rest: Any) -> bool | None:  # noqa: N802
        return self._suggested(name, rest, lambda: self._trial.suggest_categorical(name, [False, True]))

    @contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Sequence[Any]) -> Iterator[None]:
        """What is declared in the block is active where the parent has one of these values."""
        self._scopes.append(self._values.get(parent_name) in parent_values)
        try:
            yield
        finally:
            self._scopes.pop()

    def _suggested(self, name: str, rest: dict[str, Any], suggest: Any) -> Any:
        parent = rest.get("parent_name")
        active = all(self._scopes) and (parent is None or self._values.get(parent) in rest["parent_values"])
        self._values[name] = suggest() if active else None
        return self._values[name]


def plain_optuna(job: Job) -> list[Proposal]:
    """Search, and return the proposals."""
    keras.utils.set_random_seed(job.seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=job.seed))
    ended: list[Proposal] = []
    last = [job.now()]

    def write_down(study: optuna.Study, trial: FrozenTrial) -> None:
        now = job.now()
        ended.append(Proposal(outcome(trial), now, now - last[0], trial.value, trial.user_attrs.get(PARAMS)))
        last[0] = now

    try:
        study.optimize(lambda trial: _score(job, trial), n_trials=None, callbacks=[write_down])
    except TimeUp:
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        ended += [Proposal("failed", RUNNING) for _ in running]
    return ended


def outcome(trial: FrozenTrial) -> str:
    """How a trial ended."""
    if trial.state == TrialState.COMPLETE:
        return "complete"
    if trial.state != TrialState.PRUNED:
        return "failed"
    return trial.user_attrs.get(OUTCOME, "stopped_early")


def _score(job: Job, trial: optuna.Trial) -> float:
    check_time(job.deadline)
    hyperparameters: Any = SuggestedHyperparameters(trial)
    try:
        model = job.space.build(hyperparameters)
    except InfeasibleArchitecture as error:
        trial.set_user_attr(OUTCOME, "infeasible")
        raise optuna.TrialPruned from error
    params = model.count_params()
    trial.set_user_attr(PARAMS, params)
    if params > job.budget:
        trial.set_user_attr(OUTCOME, "over_budget")
        raise optuna.TrialPruned
    # Only now: it collects all garbage, and forgets what building made fast. Both cost more than building and refusing.
    keras.utils.clear_session()
    arguments = job.fit_arguments(stops=True)
    integration = import_module("optuna_integration")  # of an extra, which type checks do without
    arguments["callbacks"].append(integration.KerasPruningCallback(trial, "val_accuracy"))
    history = job.space.fit(hyperparameters, model, **arguments)
    return float(history.history["val_accuracy"][-1])
