"""Whether the space of a study still gives the networks that the study has."""

from collections.abc import Callable

import keras
import keras_tuner
import optuna

from ..errors import InfeasibleArchitecture, SpaceError, StudyError
from ..study.attributes import HYPERPARAMETERS, is_trained
from ..study.budget import Size
from .hyperparameters import hyperparameters_at


def check_same_networks(
    study: optuna.Study,
    space: keras_tuner.HyperParameters,
    measure: Callable[[keras_tuner.HyperParameters], Size | None],
) -> None:
    """Raise StudyError when the network that was trained last has another number of parameters now.

    The code of a space may change while its hyperparameters stay the same. One leaderboard would then have networks of
    both.

    Args:
        study: that a search goes on with.
        space: its hyperparameters.
        measure: counts the network at some of them; None where it is not counted.
    """
    trained = [trial for trial in study.get_trials(deepcopy=False) if is_trained(trial)]
    if not trained or (known := trained[-1].user_attrs.get("params")) is None:
        return
    try:
        size = measure(hyperparameters_at(space, trained[-1].user_attrs[HYPERPARAMETERS]))
    except InfeasibleArchitecture:
        now = "do not fit the input"
    else:
        if size is None or size.params == known:
            return
        now = f"have {size.params:,}"
    raise StudyError(
        f"trial {trained[-1].number} of the study {study.study_name!r} was trained with {known:,} parameters, and its "
        f"layers {now} now: the space was changed: put it back as it was, or begin another study"
    )


def check_parameters(model: keras.Model, trial: optuna.trial.FrozenTrial) -> None:
    """Raise SpaceError unless `model` has as many parameters as the network of `trial` had in the search."""
    known, now = trial.user_attrs.get("params"), model.count_params()
    if known is not None and now != known:
        raise SpaceError(
            f"trial {trial.number} had {known:,} parameters in the search, and its hyperparameters give {now:,} now: "
            "let build(hp) depend on nothing but hp, put the space back as it was, or search anew under another name"
        )
