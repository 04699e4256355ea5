"""`kerastuna search`: the search in a study that was opened for it."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import optuna

from ...spaces.errors import KerastunaError
from ..display.progress import Progress
from ..errors import SearchFailed
from ..messages import cause_in
from ..report.study_report import leaderboard_csv, study_figures
from ..study.attributes import SEARCH_SECONDS
from ..study.goal import goal_of
from ..tracking.tracker import Tracker
from .session import MAX_FAILURES_IN_A_ROW, Session, _in_one_line

if TYPE_CHECKING:
    from ..tuning.tuner import OptunaTuner


def log_report(study: optuna.Study, tracker: Tracker) -> None:
    """Put the figures and `leaderboard.csv` of `study` under `report` at its run in MLflow, in place of older ones."""
    with tempfile.TemporaryDirectory() as folder:
        study_figures(study).save(Path(folder))
        board = leaderboard_csv(study.get_trials(deepcopy=False), goal_of(study))
        Path(folder, "leaderboard.csv").write_text(board)
        tracker.log_files(Path(folder), "report")


def run_search(session: Session, progress: Progress) -> None:
    """Search until the study has its trials, or the time is over.

    Raises SearchFailed when nothing fits the budget or trials only fail. On KeyboardInterrupt the running trial is
    failed as interrupted, everything else is kept, and it is raised again.
    """
    oracle, options, profile = session.tuner.oracle, session.options, session.profile
    oracle.deadline = None if options.timeout is None else session.began + options.timeout
    if options.warm_start:
        _enqueue_starting_points(session.tuner)
    if options.profile == "auto":
        choice = "a GPU was found" if session.device.kind == "gpu" else "no GPU was found; full takes hours on a CPU"
        progress.message(f"profile {profile.name}: {choice}")
    _announce(session, progress)
    try:
        _train(session)
    finally:
        progress.search_ended()
        session.study.set_user_attr(SEARCH_SECONDS, session.study.user_attrs.get(SEARCH_SECONDS, 0.0) + session.seconds)


def _enqueue_starting_points(tuner: "OptunaTuner") -> None:
    from ...spaces.space import SearchSpace

    if tuner.oracle.study.get_trials(deepcopy=False) or not isinstance(tuner.hypermodel, SearchSpace):
        return
    for name, values in tuner.hypermodel.starting_points().items():
        tuner.oracle.enqueue(values, name)


def _train(session: Session) -> None:
    from keras_tuner.errors import FatalError

    dataset = session.dataset
    try:
        with _in_one_line(session.options.space, FatalError, SystemExit):
            session.tuner.search(
                dataset.x_train,
                dataset.y_train,
                validation_data=(dataset.x_validation, dataset.y_validation),
                epochs=session.profile.epochs,
                verbose=0,
            )
    except KerastunaError:
        raise
    except RuntimeError as error:
        if "consecutive failures" not in str(error):
            raise
        raise SearchFailed(
            f"{MAX_FAILURES_IN_A_ROW} trials in a row failed, the last with: {cause_in(str(error))}; see kerastuna "
            "trials --all"
        ) from error


def _announce(session: Session, progress: Progress) -> None:
    from ..study.attributes import is_trained
    from ..study.goal import score_of

    trials = session.study.get_trials(deepcopy=False)
    goal = session.tuner.oracle.goal
    results = goal.results(trials)
    progress.search_started(
        study=session.study.study_name,
        profile=session.profile.name,
        trials_done=sum(map(is_trained, trials)),
        trials_total=session.profile.trials,
        epochs=session.profile.epochs,
        best=score_of(results[0]) if results else None,
        best_rank=goal.rank(score_of(results[0]), results[0].user_attrs) if results else None,
        deadline=session.options.timeout,
    )
