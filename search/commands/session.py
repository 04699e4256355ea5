"""A study opened for work: its data, space, device, tuner and MLflow records put together."""

import contextlib
import io
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from ..datasets.data import Dataset, check_spec, load_dataset
from ..display.progress import Progress
from ..errors import InputError, KerastunaError, SpaceError
from ..messages import cause, shown
from ..study.waiting import outage
from ..tracking.store import check_tracking_uri, default_tracking_uri
from ..tracking.tracker import Tracker
from ..training.device import (
    Device,
    check_device,
    software,
)
from ..training.interruption import was_told_to_stop
from ..workers.tasks import Pool
from .open_workers import open_workers
from .options import Profile, SearchOptions, objective_of
from .user_space import check_space, load_space, space_slug

if TYPE_CHECKING:
    import optuna

    from ..study.events import SearchObserver
    from ..tracking.recorder import TrackingObserver
    from ..tuning.tuner import OptunaTuner
    from .observers import EndedHere

MAX_FAILURES_IN_A_ROW = 10


@final
@dataclass(frozen=True)
class Session:
    """A study opened for work.

    Attributes:
        options: of the command.
        profile: as it was resolved.
        device: that trains.
        dataset: with training and validation samples.
        tuner: of the study.
        tracker: of the study in MLflow.
        recorder: the observer that writes to the tracker.
        facts: recorded with every run: device, backend, versions, commit, data fingerprint.
        tracking_uri: of MLflow. It may contain a password.
        began: when the session was opened, on the clock of `time.monotonic`.
        ended_here: told of the trials of this process and its workers.
        pool: of the workers that train; None for this process.
    """

    options: SearchOptions
    profile: Profile
    device: Device
    dataset: Dataset
    tuner: "OptunaTuner"
    tracker: Tracker
    recorder: "TrackingObserver"
    facts: Mapping[str, str]
    tracking_uri: str
    began: float
    ended_here: "EndedHere"
    pool: Pool[Any] | None = None

    @property
    def study(self) -> "optuna.Study":
        """The Optuna study."""
        return self.tuner.oracle.study

    @property
    def seconds(self) -> float:
        """Seconds since the session was opened."""
        return round(time.monotonic() - self.began, 3)


def check_options(options: SearchOptions) -> None:
    """Check data, space, device, storage and MLflow's address, quickly and without importing Keras.

    Nothing is written. Raises InputError.
    """
    check_spec(options.data, options.target)
    check_space(options.space)
    check_device(options.own_device)
    check_tracking_uri(tracking_uri_of(options))
    from ..study.storage import check_storage  # imports Optuna

    check_storage(options.storage_location)


def tracking_uri_of(options: SearchOptions) -> str:
    """Where the search is recorded in MLflow. It may contain a password."""
    return options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or default_tracking_uri(options.folder)


def open_session(
    options: SearchOptions, progress: Progress, stack: contextlib.ExitStack, trainings: int | None = None
) -> Session:
    """Open the study that `options`, which `check_options` has checked, describe, or create it.

    The workers, where there is more than one, end with `stack`, and so do temporary files. There are no more of them
    than `trainings`; None stands for the trials of the search.

    Raises InputError for options that cannot be used, and StudyError when the study has another identity.
    """
    began = time.monotonic()
    from ..study.scratch import own_temporary_folder

    stack.enter_context(own_temporary_folder())
    stack.enter_context(outage.told_by(lambda answers, text: progress.message(text), was_told_to_stop))
    device, pool = open_workers(options, progress, stack, trainings)
    from ..display.search_observer import ProgressObserver
    from ..study.attributes import REQUEST
    from ..tracking.recorder import TrackingObserver
    from .observers import EndedHere

    profile = options.resolved(device.kind == "gpu")
    dataset, space = load_data_and_space(options, profile.images, check_test=True)
    facts = _facts(device, dataset)
    tracking_uri = tracking_uri_of(options)
    tracker = _open_tracker(options, tracking_uri, f"{dataset.name}-{space_slug(options.space)}", progress)
    recorder = TrackingObserver(tracker, facts, _params(options, profile, dataset))
    observers = (ProgressObserver(progress, profile.name, options.timeout), recorder, ended_here := EndedHere())
    tuner = open_tuner(options, profile, dataset, space, observers)
    tuner.oracle.study.set_user_attr(REQUEST, options.request(profile))
    why = f" ({device.note})" if device.note else ""
    by = "" if pool is None else f", {len(pool)} workers"
    progress.message(f"training on {device.kind}: {device.name}, Keras on {device.backend}{why}{by}")
    return Session(
        options, profile, device, dataset, tuner, tracker, recorder, facts, tracking_uri, began, ended_here, pool
    )


def load_data_and_space(options: SearchOptions, images: int | None, check_test: bool = False) -> tuple[Dataset, Any]:
    """The data set and the space that `options` name, at most `images` of its samples, fit for each other.

    With `check_test`, its test part must be usable too, as far as that can be told before it is opened.

    Raises InputError for what cannot be used.
    """
    from ...spaces.space import SearchSpace

    given: Any = {"task": options.task, "target": options.target, "check_test": check_test}
    dataset = load_dataset(options.data, images=images, seed=options.seed, **given)
    space = load_space(options.space, dataset.input_shape, dataset.task, options.budget, options.wants_smaller)
    if isinstance(space, SearchSpace):  # its loss wants class numbers
        dataset = dataset.with_class_numbers()
    return dataset, space


def request_of(study: "optuna.Study") -> dict[str, Any]:
    """The options that `study` was created with; raises InputError when `kerastuna search` did not create it."""
    from ..study.attributes import REQUEST

    request = study.user_attrs.get(REQUEST)
    if request is None:
        raise InputError(f"study {study.study_name!r} was not made by kerastuna search, so its data are not known")
    return request


@contextlib.contextmanager
def space_errors(space: str, *kinds: type[BaseException]) -> Iterator[None]:
    """Raise a SpaceError in place of errors of these `kinds`, which the user's `space` raises."""
    try:
        yield
    except KerastunaError:
        raise
    except kinds as error:
        raise SpaceError(f"space {shown(space)} cannot be used ({cause(error)}): correct it") from error


def open_tuner(
    options: SearchOptions, profile: Profile, dataset: Dataset, space: Any, observers: Sequence["SearchObserver"] = ()
) -> "OptunaTuner":
    """The tuner of the study that `options` describe; raises InputError for a space that cannot be used.

    Args:
        options: of the search.
        profile: as it was resolved.
        dataset: that the options name.
        space: that the options name.
        observers: of the searches of this tuner.
    """
    import keras_tuner

    from ..tuning.tuner import OptunaTuner

    objectives = [keras_tuner.Objective(*objective_of(metric)) for metric in options.metrics]
    by_name = dict(zip(options.metrics, objectives, strict=True))
    usual = keras_tuner.Objective(*dataset.task.objective)
    name = options.study_name(dataset.name, space_slug(options.space), profile.name)
    with (
        space_errors(options.space, Exception, SystemExit),
        contextlib.redirect_stdout(io.StringIO()),  # KerasTuner prints that it reloads
    ):
        return OptunaTuner(
            space,
            objective=None if options.pareto or options.reach else (*objectives, usual)[0],
            pareto=options.pareto and [by_name.get(part, part) for part in options.pareto],
            minimize=options.minimize,
            reach=options.reach,
            max_trials=profile.trials,
            budget=options.limits,
            sampler=options.sampler,
            pruner=options.pruner,
            storage=options.storage_location,
            study_name=name,
            seed=options.seed,
            fixed=options.fix,
            tracking_uri="",  # the recorder among the observers does that
            observers=observers,
            identity={
                "data": dataset.identity() | {"input_shape": dataset.input_shape} | dataset.task.record(),
                "epochs": profile.epochs,
                "space": options.space,
            },
            max_consecutive_failed_trials=MAX_FAILURES_IN_A_ROW,
            trial_timeout=options.trial_timeout,
            directory=options.folder / "trials",
            project_name=name,
        )


def _open_tracker(options: SearchOptions, uri: str, experiment: str, progress: Progress) -> Tracker:
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return Tracker(uri, f"kerastuna-{experiment}", artifact_root=folder / "artifacts", warn=progress.message)


def _params(options: SearchOptions, profile: Profile, dataset: Dataset) -> dict[str, Any]:
    """Parameters of the study's run in MLflow, besides the settings that the tuner knows."""
    fixed = {} if not options.fix else {"fix": ", ".join(f"{name}={value}" for name, value in options.fix.items())}
    return fixed | {
        "space": options.space,
        "data": dataset.name,
        "profile": profile.name,
        "images": len(dataset.x_train),
        "validation_images": len(dataset.x_validation),
    }


def _facts(device: Device, dataset: Dataset) -> dict[str, str]:
    return {
        "device": device.name,
        **software(),
        "git_commit": git_commit() or "none",
        "data_fingerprint": dataset.fingerprint,
    }


def git_commit() -> str | None:
    """The commit of the working folder, with "-dirty" for uncommitted changes; None outside a repository."""
    try:
        describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(describe, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def log_report(study: "optuna.Study", tracker: Tracker) -> None:
    """Put the figures and `leaderboard.csv` of `study` under `report` at its run in MLflow, in place of older ones."""
    from ..report.study_report import leaderboard_csv, study_figures
    from ..study.goal import goal_of

    with tempfile.TemporaryDirectory() as folder:
        study_figures(study).save(Path(folder))
        board = leaderboard_csv(study.get_trials(deepcopy=False), goal_of(study))
        Path(folder, "leaderboard.csv").write_text(board)
        tracker.log_files(Path(folder), "report")
