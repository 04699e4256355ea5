"""The Optuna study: where it is stored, what identifies it, what is noted about its trials, and who is alive."""

import json
import logging
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ..errors import StudyError
from ..messages import counted
from .attributes import IDENTITY
from .liveness import hosts_at_work
from .patient_storage import deleted
from .study_id import identify
from .waiting import is_joining

_logger = logging.getLogger(__name__)


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Hide Optuna's log messages below errors, such as the one about every new study."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def open_study(
    storage: BaseStorage,
    name: str,
    *,
    directions: Sequence[str],
    identity: Mapping[str, Any],
    pruner: BasePruner,
    seed: int,
    names: Sequence[str] | None = None,
) -> optuna.Study:
    """The study `name`, made when it is not there yet; `names` are those of its values, for Optuna's figures.

    A study that is there keeps its seed where the identity has none.

    Raises StudyError when it is there with another identity, naming what differs, or was made by another program; and
    when it is not there although this process joins it.
    """
    wanted = [StudyDirection[direction.upper()] for direction in directions]
    chosen: dict[str, Any] = {"pruner": pruner, "sampler": RandomSampler(seed=seed)}
    with quiet_optuna():
        if is_joining():
            try:
                study = optuna.load_study(storage=storage, study_name=name, **chosen)
            except KeyError as error:
                raise deleted(name) from error
        else:
            study = optuna.create_study(
                storage=storage, study_name=name, directions=wanted, load_if_exists=True, **chosen
            )
    identity = json.loads(json.dumps(identity, default=str))
    begun = any(trial.state != TrialState.WAITING for trial in study.get_trials(deepcopy=False))
    known = study.user_attrs.get(IDENTITY)
    if known is None:
        if begun or study.directions != wanted:
            raise StudyError(f"study {name!r} exists and was not made by Kerastuna: give another name")
        identify(storage, study, born=True)
        study.set_user_attr(IDENTITY, identity)
        if names is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.set_metric_names(list(names))
    elif differences := _differences(known, _with_seed_of(known, identity)):
        raise StudyError(
            f"study {name!r} exists with another identity ({'; '.join(differences.values())}): "
            f"{_remedy(known, identity, differences)} to go on with it, or give another name to start afresh"
        )
    elif identify(storage, study, born=False)[1]:
        _logger.warning(
            "study %r is of an earlier version: what is kept under its name, weights and runs in MLflow, is taken as "
            "its own from now on",
            name,
        )
    return study


def load_study(storage: BaseStorage, name: str) -> optuna.Study:
    """The study `name`; raises StudyError, naming those there are, when there is none."""
    names = optuna.get_all_study_names(storage)
    if name not in names:
        there = ", ".join(sorted(names)) or "none yet"
        raise StudyError(f"study {name!r} does not exist; there is: {there}")
    return optuna.load_study(study_name=name, storage=storage)


def _with_seed_of(known: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The identity `given`, with the seed of the `known` one where none is given: KerasTuner reloads it too."""
    return given if given.get("seed") is not None else {**given, "seed": known.get("seed")}


def _differences(known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: f"{key}: {_difference(known.get(key), value)}" for key, value in given.items() if known.get(key) != value
    }


def _difference(known: Any, given: Any) -> str:
    if isinstance(known, dict) and isinstance(given, dict):
        return ", ".join(_differences(dict.fromkeys(given) | known, dict.fromkeys(known) | given).values())
    if isinstance(known, list) and isinstance(given, list) and all(isinstance(item, dict) for item in known + given):
        names = sorted({str(item.get("name")) for item in _one_sided(known, given)})
        return f"other {', '.join(names)}" if names else "in another order"
    return f"{_short(known)}, now {_short(given)}"


def _remedy(known: Mapping[str, Any], given: Mapping[str, Any], differences: Mapping[str, str]) -> str:
    """What makes the identity `given` the `known` one again, in which there are these differences by key."""
    if "hyperparameters" not in differences:
        return "give the same arguments"
    spaces = (identity.get("hyperparameters") for identity in (known, given))
    declared = [space if isinstance(space, list) else [] for space in spaces]  # a program may give one of its own
    is_fixed = any(isinstance(item, dict) and item.get("kind") == "Fixed" for item in _one_sided(*declared))
    if len(differences) == 1 and not is_fixed:
        return "put the space back as it was"
    # A value that the user fixes is declared as one that the space itself fixes, and a space may follow a limit.
    return "give the same --fix (in Python: fixed=) and other arguments, or put the space back as it was,"


def _one_sided(known: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """The items of one of two lists that are not in the other one."""
    return [item for item in known if item not in given] + [item for item in given if item not in known]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def latest_study(storage: BaseStorage) -> optuna.Study:
    """The study whose trial began last; raises StudyError when there is none."""
    names = optuna.get_all_study_names(storage)
    if not names:
        raise StudyError("there is no study yet: run kerastuna search first")
    studies = [optuna.load_study(study_name=name, storage=storage) for name in names]
    return max(studies, key=lambda study: last_begun(study.get_trials(deepcopy=False)) or datetime.min)


def last_begun(trials: Sequence[FrozenTrial]) -> datetime | None:
    """When the latest of `trials` began; None when none has."""
    return max((trial.datetime_start for trial in trials if trial.datetime_start is not None), default=None)


def delete_study(storage: BaseStorage, name: str, force: bool = False) -> int:
    """Delete a study with all its trials; returns how many processes worked on it, which end at their next step.

    Raises StudyError when there is none of that name, and without `force` when a process works on it.
    """
    at_work = hosts_at_work(load_study(storage, name))
    if at_work and not force:
        hosts = Counter(host for host, _ in at_work)
        on = ", ".join(f"{count} on {host}" for host, count in sorted(hosts.items()))
        reports = [seen for _, seen in at_work if seen is not None]
        heard = f", the last heard of {max(0, round(time.time() - max(reports)))} s ago" if reports else ""
        raise StudyError(
            f"study {name!r} is worked on, by {counted(len(at_work), 'worker')} "
            f"({on}{heard}); stop the search, or give --force, which ends it"
        )
    optuna.delete_study(study_name=name, storage=storage)
    return len(at_work)
