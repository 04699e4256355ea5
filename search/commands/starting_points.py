"""The points that a search tries first: the starting points of its space, and the best of another study."""

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .common import open_storage_of, open_study_of
from .options import SearchOptions

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from ..tuning.tuner import OptunaTuner


def check_begin_with(options: SearchOptions) -> None:
    """Check that the study of `--begin-with` has results, and of the same space, before a search begins with them.

    Raises InputError where it has none, and StudyError where there is no such study.
    """
    if options.begin_with is not None and not _has_begun(options):
        _best_of(options)


def _has_begun(options: SearchOptions) -> bool:
    """Whether the study of these options has trials: what was to be tried first is among them."""
    import optuna

    from ..study.attributes import REQUEST

    storage = open_storage_of(argparse.Namespace(storage=options.storage, folder=options.folder))
    wanted = [_asked(options.request(options.resolved(on_gpu))) for on_gpu in (False, True)]
    return any(
        study.n_trials > 0
        and (
            _asked(study.user_attrs.get(REQUEST, {})) in wanted
            if options.study is None
            else study.study_name == options.study
        )
        for study in optuna.get_all_study_summaries(storage, include_best_trial=False)
    )


def _asked(request: Mapping[str, Any]) -> Any:
    """What makes a study another one, as JSON has it: not the number of trials."""
    return json.loads(json.dumps({name: value for name, value in request.items() if name != "trials"}))


def enqueue_starting_points(tuner: "OptunaTuner", options: SearchOptions) -> None:
    """Enqueue what is tried first in a study without trials: references, then the best of the other study.

    A point in which a fixed value takes the place of another has no name. Raises SpaceError for a trial of the other
    study whose values are not in the space.
    """
    from ..study.attributes import HYPERPARAMETERS, NAME

    if tuner.oracle.study.get_trials(deepcopy=False):
        return
    points: list[tuple[Mapping[str, Any], str | None]] = []
    if options.warm_start:
        points += [(values, name) for name, values in _references(tuner).items()]
    if options.begin_with is not None:
        best = [(trial.user_attrs[HYPERPARAMETERS], trial.user_attrs.get(NAME)) for trial in _best_of(options)]
        known = [name for _, name in points]
        new = [(values, name) for values, name in best if name is None or name not in known]
        points += new if tuner.oracle.max_trials is None else new[: tuner.oracle.max_trials]
    _enqueue(tuner, points)


def _references(tuner: "OptunaTuner") -> Mapping[str, Mapping[str, Any]]:
    from ...spaces.space import SearchSpace

    return tuner.hypermodel.starting_points() if isinstance(tuner.hypermodel, SearchSpace) else {}


def _enqueue(tuner: "OptunaTuner", points: list[tuple[Mapping[str, Any], str | None]]) -> None:
    from keras_tuner.engine.hyperparameters import Fixed

    declared = tuner.oracle.get_space().space
    fixed = {hp.name: hp.default for hp in declared if isinstance(hp, Fixed)}
    defaults = {hp.name: hp.default for hp in declared} if fixed else {}  # of what a fixed value brings into play
    for values, name in points:
        is_changed = any(values.get(other, value) != value for other, value in fixed.items())
        tuner.oracle.enqueue({**defaults, **values, **fixed}, None if is_changed else name)


def _best_of(options: SearchOptions) -> "list[FrozenTrial]":
    """The results of the other study, the best first."""
    from ..study.attributes import REQUEST
    from ..study.goal import goal_of

    where = argparse.Namespace(study=options.begin_with, storage=options.storage, folder=options.folder)
    study = open_study_of(where)
    space = study.user_attrs.get(REQUEST, {}).get("space")
    if space != options.space:
        told = "was not made by kerastuna search" if space is None else f"searched the space {space}"
        raise InputError(f"--begin-with {study.study_name}: it {told}: give a study of the space {options.space}")
    goal = goal_of(study)
    best = goal.results(study.get_trials(deepcopy=False))
    if not best:
        raise InputError(f"--begin-with {study.study_name}: {goal.unmet()}: give a study with results")
    return best
