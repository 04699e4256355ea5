"""`kerastuna search`: search until the study has its trials, or go on with it."""

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import KerastunaError, SearchFailed
from ..messages import cause_in, counted, figure
from .common import print_json, search_options
from .typed import command_on, commands_after

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from ..display.progress import Progress
    from .session import Session


def search(options: argparse.Namespace) -> int:
    """Search, confirm the best trials unless told otherwise, and print what was found."""
    wanted = search_options(options)
    from .session import check_options
    from .starting_points import check_begin_with

    check_options(wanted)
    check_begin_with(wanted)
    from ..display.progress import make_progress

    # What the user's own code prints does not belong among the results.
    with redirect_stdout(sys.stderr), make_progress() as progress, ExitStack() as stack:
        progress.message("loading Keras and the data")
        from ..study.attributes import is_trained
        from .first_model import check_first_model
        from .session import log_report, open_session

        session = open_session(wanted, progress, stack)
        if session.tuner.oracle.remaining_trials() == session.profile.trials:  # none is trained yet
            metric = session.tuner.oracle.goal.metric.name
            check_first_model(session.tuner, session.dataset, wanted.space, metric, progress.message)
        ended_before = {trial.number for trial in session.study.get_trials(deepcopy=False) if is_trained(trial)}
        run_search(session, progress)
        log_report(session.study, session.tracker)
        ended = ended_before | session.ended_here.numbers
        champion = _confirmed(session, progress, options, ended) if options.confirm else None
    _print_result(session, champion, options.json)
    return 0 if _results(session) else _no_result(session)


def _results(session: "Session") -> Any:
    return session.tuner.oracle.goal.results(session.study.get_trials(deepcopy=False))


def _confirmed(
    session: "Session", progress: "Progress", options: argparse.Namespace, ended: Collection[int]
) -> Mapping[str, Any] | None:
    """The champion; None where there is no result, and where another confirms.

    It is the one that there is, or None, where the test set was opened for the winner before, and for a front, of which
    the user chooses.

    `ended` are the trials that ended in this process, or before it began.
    """
    if not _results(session):
        return None
    if not session.tuner.oracle.goal.has_winner:
        return _known_champion(session)
    if not is_last(session.study.get_trials(deepcopy=False), session.profile.trials, ended):
        command = command_on(session.options, "confirm", session.study.study_name)
        progress.message(f"another process on this study ends last, and confirms; if it was stopped: {command}")
        return None
    from ..champion.ledger import OpenedBefore
    from .confirm import confirm_session

    try:
        return confirm_session(
            session, progress, top=options.top, seeds=options.seeds, again=options.again, int8=options.int8
        )
    except OpenedBefore as refused:
        progress.message(f"not confirmed anew: {refused}")
        return _known_champion(session)


def _known_champion(session: "Session") -> Mapping[str, Any] | None:
    from ..champion.record import champion_of

    champion = champion_of(session.study)
    return champion if champion is not None and "mlflow" in champion else None


def is_last(trials: "Sequence[FrozenTrial]", wanted: int | None, ended: Collection[int]) -> bool:
    """Whether a process is the last one on a study: the trial that ended last is among its `ended`.

    Of several processes that search until the study has its `wanted` trials, this is one, whatever their clocks say.
    Before that, none is while a trial runs.
    """
    from optuna.trial import TrialState

    from ..study.attributes import is_trained

    trained = [trial for trial in trials if is_trained(trial)]
    is_full = wanted is not None and len(trained) >= wanted
    if not is_full and any(trial.state == TrialState.RUNNING for trial in trials):
        return False
    last = max(trained, key=lambda trial: (trial.datetime_complete or datetime.min, trial.number), default=None)
    return last is None or last.number in ended


def _print_result(session: "Session", champion: Mapping[str, Any] | None, as_json: bool) -> None:
    from ...spaces.space import SearchSpace
    from ..display.summary import SearchResult, print_summary, search_json

    options, profile = session.options, session.profile
    result = SearchResult(
        study=session.study,
        profile=profile.name,
        epochs=profile.epochs,
        images=len(session.dataset.x_train),
        unit=session.dataset.unit,
        closed_form=isinstance(session.tuner.hypermodel, SearchSpace),
        champion=champion,
        limits=options.limits,
        tracking_uri=session.tracker.tracking_uri,
        study_run=session.tracker.study_run,
        seconds=session.seconds,
    )
    if as_json:
        print_json(search_json(result))
    else:
        print_summary(
            result, commands_after(options, session.study.study_name if _results(session) else None), sys.stdout
        )


def _no_result(session: "Session") -> int:
    from ..display.summary import failures
    from ..study.goal import score_of

    goal, trials = session.tuner.oracle.goal, session.study.get_trials(deepcopy=False)
    board = goal.leaderboard(trials)
    if board:
        reached = figure(score_of(board[0]), goal.metric.name)
        easier = "lower" if goal.metric.direction == "max" else "higher"
        told = (
            f"{goal.unmet()}; the closest, trial {board[0].number}, came to {reached}; give more --trials or "
            f"--epochs, a larger --budget, or a {easier} target"
        )
    else:
        told = failures(trials) or "no trial is complete yet; give more --trials or a longer --timeout"
    print(f"kerastuna: {told}", file=sys.stderr)
    return 1


def run_search(session: "Session", progress: "Progress") -> None:
    """Search until the study has its trials, or the time is over.

    Raises SearchFailed when nothing fits the budget or trials only fail. On KeyboardInterrupt the running trial is
    failed as interrupted, everything else is kept, and it is raised again.
    """
    from ..compat.optuna_attributes import change_study_attribute
    from ..study.attributes import SEARCH_SECONDS
    from .starting_points import enqueue_starting_points

    options, study = session.options, session.study
    enqueue_starting_points(session.tuner, options, progress.message)
    if options.profile == "auto":
        choice = "a GPU was found" if session.device.kind == "gpu" else "no GPU was found; full is made for one"
        progress.message(f"profile {session.profile.name}: {choice}")
    try:
        _train(session)
    finally:
        change_study_attribute(study, SEARCH_SECONDS, lambda before: (before or 0.0) + session.seconds)
    if told := _ended_short(session):
        progress.message(told)


def _ended_short(session: "Session") -> str:
    """Why the study has fewer trials than it was to have, where neither the time nor another process is the reason."""
    from optuna.trial import TrialState

    left, timeout = session.tuner.oracle.remaining_trials(), session.options.timeout
    is_over = timeout is not None and session.seconds >= timeout
    trials = session.study.get_trials(deepcopy=False)
    if not left or is_over or any(trial.state == TrialState.RUNNING for trial in trials):
        return ""
    return (
        f"the search ends {counted(left, 'trial')} short: hardly any new network that fits was found; raise the "
        "budget, or widen the space"
    )


def _train(session: "Session") -> None:
    from keras_tuner.errors import FatalError

    from ..tuning.failures_in_a_row import FailedInARow
    from .session import MAX_FAILURES_IN_A_ROW, space_errors

    dataset, timeout = session.dataset, session.options.timeout
    all_trials = f"{command_on(session.options, 'trials', session.study.study_name)} --all"
    try:
        with space_errors(session.options.space, FatalError, SystemExit):
            session.tuner.search(
                dataset.x_train,
                dataset.y_train,
                validation_data=(dataset.x_validation, dataset.y_validation),
                epochs=session.profile.epochs,
                verbose=0,
                deadline=None if timeout is None else session.began + timeout,
                workers=session.pool or 1,
            )
    except FailedInARow as error:
        raise SearchFailed(f"{error}; see {all_trials}") from error
    except KerastunaError:
        raise
    except RuntimeError as error:
        if "consecutive failures" not in str(error):
            raise
        raise SearchFailed(
            f"{MAX_FAILURES_IN_A_ROW} trials in a row failed, the last with: {cause_in(str(error))}; see {all_trials}"
        ) from error
