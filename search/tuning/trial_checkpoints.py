"""The checkpoints of trials: where they are, and how long they are kept.

A trial that is interrupted is tried again under another number. All retries of a trial share its checkpoint.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import keras_tuner

from ..compat.keras_tuner import trains_as
from ..study.attributes import CONTINUED_AFTER, RETRY_OF
from ..study.names import CHECKPOINT_FOLDER
from ..study.retries import first_of, unsettled
from ..training.checkpoints import Checkpoint, SavedState
from ..training.epochs import EpochReporter
from ..training.resuming import Checkpointer, checkpoint_for, first_epoch, seeded, trained_on
from .keras_tuner_trials import trial_id_of
from .oracle import OptunaOracle

_HOOKS = ("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end")


@final
class TrialCheckpoints:
    """Trains the trials of a tuner, from their checkpoints where they have one.

    Args:
        tuner: whose trials they are.
        base: the class whose way of training is known: a subclass may train in another way.
        build_and_fit: builds and trains the model of a trial.
        seed_of: the seed of a trial.
    """

    def __init__(
        self,
        tuner: Any,
        base: type[keras_tuner.Tuner],
        build_and_fit: Callable[..., Any],
        seed_of: Callable[[Any], int],
    ) -> None:
        self._tuner, self._base, self._build_and_fit, self._seed_of = tuner, base, build_and_fit, seed_of
        self._open: dict[str, Checkpoint] = {}  # by the ids of running trials

    @property
    def _folder(self) -> Path:
        return Path(self._tuner.project_dir) / CHECKPOINT_FOLDER  # known once the study is open

    def train(
        self,
        trial: Any,
        execution: int,
        reporter: EpochReporter,
        callbacks: Sequence[Any],
        of_user: Sequence[Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """The result of one training of a trial.

        Args:
            trial: of KerasTuner.
            execution: which of its trainings this is, from 0.
            reporter: of its epochs.
            callbacks: all of them, the reporter among them; `of_user` are those that were given to the search.
            args, kwargs: of `fit`, without callbacks.
        """
        seed = (self._seed_of(trial) + execution) % 2**32
        checkpoint = self._checkpoint_of(trial, seed, args, {**kwargs, "callbacks": of_user})

        def train_on(saved: SavedState | None) -> Any:
            keeper = [] if checkpoint is None else [Checkpointer(checkpoint, reporter, saved)]
            given = {**kwargs, **first_epoch(saved), "callbacks": [*callbacks, *keeper]}
            with seeded(seed, saved):
                return self._build_and_fit(trial, *args, **given)

        try:
            return trained_on(checkpoint, train_on)
        finally:
            if reporter.taken_over:
                self._tuner.oracle.claim_of(trial.trial_id).keep(**{CONTINUED_AFTER: reporter.taken_over})

    def _checkpoint_of(
        self, trial: Any, seed: int, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Checkpoint | None:
        """None where the training has to begin anew if it is interrupted."""
        oracle = self._tuner.oracle
        claim = oracle.claim_of(trial.trial_id) if isinstance(oracle, OptunaOracle) else None
        if claim is None or not self._trains_plainly():
            return None
        number = claim.number
        if RETRY_OF in claim.attributes:
            number = first_of(number, oracle.study.get_trials(deepcopy=False))
        path, values = self._folder / f"{trial_id_of(number)}.npz", trial.hyperparameters.values
        checkpoint = checkpoint_for(path, self._tuner.hypermodel, values, seed, args, kwargs)
        if checkpoint is not None:
            self._open[trial.trial_id] = checkpoint
        return checkpoint

    def _trains_plainly(self) -> bool:
        """Whether a trial is one training as the base class does it, and nothing else happens in its epochs."""
        tuner, kind = self._tuner, type(self._tuner)
        return (
            trains_as(tuner, self._base)
            and tuner.executions_per_trial == 1
            and tuner.distribution_strategy is None
            and all(getattr(kind, hook) is getattr(keras_tuner.Tuner, hook) for hook in _HOOKS)
        )

    def trial_ended(self, trial_id: str) -> None:
        """Remove the checkpoint of a trial, unless it is tried again."""
        checkpoint = self._open.pop(trial_id, None)
        if checkpoint is not None and checkpoint.path.exists():
            self.clean()

    def clean(self) -> None:
        """Remove the checkpoints of all trials that have come to an end."""
        # Looked for first: a trial that begins meanwhile is in the study, and its checkpoint is not among these.
        found = list(self._folder.glob("*"))
        oracle = self._tuner.oracle
        if not found or not isinstance(oracle, OptunaOracle):
            return
        needed = set(map(trial_id_of, unsettled(oracle.study.get_trials(deepcopy=False))))
        for path in found:
            if path.name.partition(".")[0] not in needed:
                with contextlib.suppress(OSError):  # another process may do it too
                    path.unlink()
