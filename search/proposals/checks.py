"""Samplers and pruners are tried out before the first trial, so that one that cannot work is refused at once."""

import copy
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage

from ..errors import InputError
from ..study.studies import quiet_optuna
from .distributions import ParameterSpace
from .grid import Grid
from .samplers import AtNumber, suggest

PAST_TRIALS = 12
"""Trials of the study for the try-out: more than any sampler or pruner of Optuna waits for by default."""
EPOCHS = 10
"""Epochs of each of these trials."""


def check_sampler(sampler_at: AtNumber, directions: Sequence[Any], space: ParameterSpace) -> None:
    """Let the sampler make a proposal in a study of its own, after random trials; raises InputError when it cannot.

    Args:
        sampler_at: from a proposal's number to the sampler that makes it; it is left as it was.
        directions: of the study, in Optuna's terms.
        space: what is searched.
    """
    if isinstance(sampler_at, Grid):
        sampler_at.check(space)
        return
    sampler = _copied(sampler_at(PAST_TRIALS))
    if sampler is None:
        return
    study = _study(directions, NopPruner())
    values = random.Random(0)

    def run() -> None:
        trial = study.ask()
        space.encode(space.fill(partial(suggest, trial)))
        study.tell(trial, [values.random() for _ in directions])

    with quiet_optuna():  # the search repeats these warnings
        for _ in range(PAST_TRIALS):
            run()
        study.sampler = sampler
        _attempt(run, f"sampler {type(sampler).__name__} cannot make proposals for this study", "sampler")


def check_pruner(pruner: BasePruner, directions: Sequence[Any]) -> None:
    """Let the pruner judge a trial in a study of its own, after others; raises InputError when it cannot.

    Args:
        pruner: it is left as it was.
        directions: of the study, in Optuna's terms.
    """
    if isinstance(pruner, NopPruner):
        return
    name = type(pruner).__name__
    if len(directions) > 1:
        raise InputError(
            f"pruner {name} compares trials by one metric, and this study has {len(directions)} objectives: "
            'leave it out, or give "none"'
        )
    tried = _copied(pruner)
    if tried is None:
        return
    study = _study(directions, tried)

    def run() -> None:
        trial = study.ask()
        for epoch in range(1, EPOCHS + 1):
            trial.report(epoch / (trial.number + 1), epoch)
            trial.should_prune()
        study.tell(trial, 1.0 / (trial.number + 1))

    with quiet_optuna():
        for _ in range(PAST_TRIALS):
            _attempt(run, f"pruner {name} cannot judge the trials of this study", "pruner")


def _study(directions: Sequence[Any], pruner: BasePruner) -> optuna.Study:
    with quiet_optuna():
        return optuna.create_study(
            storage=InMemoryStorage(), directions=list(directions), sampler=RandomSampler(seed=0), pruner=pruner
        )


def _copied(thing: Any) -> Any:
    """A copy, so that the study finds the original as it was given; None for what cannot be copied."""
    try:
        return copy.deepcopy(thing)
    except Exception:  # a user's own object, with a lock or a connection: its first proposal will show whether it works
        return None


def _attempt(run: Callable[[], None], problem: str, kind: str) -> None:
    try:
        run()
    except InputError:
        raise
    except Exception as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".")
        raise InputError(f"{problem} ({told}): choose another {kind}") from error
