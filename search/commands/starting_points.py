"""The points that a search tries first: the starting points of its space, and the best of another study."""

import argparse
import json
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InputError, SpaceError
from ..messages import one_line
from .common import open_storage_of, open_study_of, say
from .options import SearchOptions

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from ..tuning.tuner import OptunaTuner

Point = tuple[Mapping[str, Any], str | None]
"""The values of a network by hyperparameter, and its name where it has one."""


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
    """What makes a study another one, as JSON has it: not the number of trials.

    Earlier versions did not write down whether the references are tried.
    """
    asked = {"warm_start": True, **request}
    return json.loads(json.dumps({name: value for name, value in asked.items() if name != "trials"}))


def enqueue_starting_points(tuner: "OptunaTuner", options: SearchOptions, tell: Callable[[str], None] = say) -> None:
    """Enqueue what is tried first in a study without trials: references, then the best of the other study.

    A point in which a fixed value takes the place of another has no name. Points of the other study that are not in the
    space are passed over, which is told, and so it is where the other study adds nothing.

    Raises SpaceError for a reference that is not in the space, and InputError where no point of the other study is.
    Nothing is enqueued then: a study with some of its points would count as begun.
    """
    study = tuner.oracle.study
    if study.get_trials(deepcopy=False):
        if options.begin_with is not None:
            has_begun = f"study {study.study_name!r} has begun already, and goes on"
            tell(f"--begin-with {options.begin_with} adds nothing now: {has_begun}")
        return
    references = _references(tuner) if options.warm_start else {}
    points = [_point(tuner, values, name) for name, values in references.items()]
    for values, _ in points:
        tuner.oracle.parameter_space.encode(values)
    if options.begin_with is not None:
        points += _points_of_other(tuner, options, references, tell)
    for values, name in points:
        tuner.oracle.enqueue(values, name)


def _references(tuner: "OptunaTuner") -> Mapping[str, Mapping[str, Any]]:
    from ...spaces.space import SearchSpace

    return tuner.hypermodel.starting_points() if isinstance(tuner.hypermodel, SearchSpace) else {}


def _points_of_other(
    tuner: "OptunaTuner", options: SearchOptions, references: Collection[str], tell: Callable[[str], None]
) -> list[Point]:
    """The best of the other study that are in the space, at most as many as there are to be trials.

    Those that are among the `references` are left out. Raises InputError where none of its points can be tried.
    """
    from ..study.attributes import HYPERPARAMETERS, NAME

    best = _best_of(options)
    new = [trial for trial in best if trial.user_attrs.get(NAME) not in references]
    points: list[Point] = []
    outside: list[SpaceError] = []
    for trial in new:
        if len(points) == tuner.oracle.max_trials:
            break
        point = _point(tuner, trial.user_attrs[HYPERPARAMETERS], trial.user_attrs.get(NAME))
        try:
            tuner.oracle.parameter_space.encode(point[0])
        except SpaceError as error:
            outside.append(error)
        else:
            points.append(point)
    if not outside:
        return points
    if len(outside) == len(best):
        raise InputError(
            f"--begin-with {options.begin_with}: none of its networks is in this space (the first: {outside[0]}): "
            "leave it out, or give a study with networks of this space"
        )
    seen = len(best) - len(new) + len(points) + len(outside)
    told = f"{len(outside)} of its {seen} best networks {'is' if len(outside) == 1 else 'are'} outside this space"
    tell(one_line(f"--begin-with {options.begin_with}: {told}, and not tried (the first: {outside[0]})"))
    return points


def _point(tuner: "OptunaTuner", values: Mapping[str, Any], name: str | None) -> Point:
    """The point at `values` with what is fixed in place of its own; without the `name` where that changes it."""
    from keras_tuner.engine.hyperparameters import Fixed

    declared = tuner.oracle.get_space().space
    fixed = {hp.name: hp.default for hp in declared if isinstance(hp, Fixed)}
    defaults = {hp.name: hp.default for hp in declared} if fixed else {}  # of what a fixed value brings into play
    is_changed = any(values.get(other, value) != value for other, value in fixed.items())
    return {**defaults, **values, **fixed}, None if is_changed else name


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
