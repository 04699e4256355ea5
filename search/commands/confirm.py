"""`kerastuna confirm`: retrain the best on fresh seeds, open the test set once, register the champion."""

import argparse
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing, redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .common import open_study_of, print_json, search_options

if TYPE_CHECKING:
    from ..display.progress import Progress
    from .session import Session

CANDIDATES = {"quick": 2, "full": 3}
"""Trials to confirm, by profile."""
SEEDS = {"quick": 2, "full": 5}
"""Fresh seeds for each, by profile."""


def confirm(options: argparse.Namespace) -> int:
    """Confirm the best trials of a study and print the champion."""
    champion = confirmed(options)
    from ..display.lines import show_line
    from ..display.summary import champion_json, champion_lines
    from ..display.tables import console

    if options.json:
        print_json(champion_json(champion))
    else:
        out = console(sys.stdout)
        for line in champion_lines(champion):
            show_line(out, line)
    return 0


def confirmed(options: argparse.Namespace) -> Mapping[str, Any]:
    """Confirm the best trials of the study that `options` name; returns the champion's record."""
    study = open_study_of(options)
    from .session import check_options, log_report, open_session, request_of

    wanted = search_options(options, study=study.study_name, **request_of(study))
    check_options(wanted)
    trainings = _candidates(options.top, wanted.profile) * _seeds(options.seeds, wanted.profile)
    from ..display.progress import make_progress

    with redirect_stdout(sys.stderr), make_progress() as progress, ExitStack() as stack:
        progress.message("loading Keras and the data")
        session = open_session(wanted, progress, stack, trainings)
        champion = confirm_session(
            session, progress, top=options.top, seeds=options.seeds, again=options.again, int8=options.int8
        )
        log_report(session.study, session.tracker)
    return champion


def _candidates(top: int | None, profile: str) -> int:
    return top or CANDIDATES.get(profile, 3)


def _seeds(seeds: int | None, profile: str) -> int:
    return seeds or SEEDS.get(profile, 5)


def confirm_session(
    session: "Session", progress: "Progress", *, top: int | None, seeds: int | None, again: bool, int8: bool
) -> Mapping[str, Any]:
    """Confirm the `top` best trials of the session's study on `seeds` fresh seeds; None leaves it to the profile.

    While another process confirms the study, this one waits, and finds its champion. With `int8`, the networks are
    measured in int8 too.

    Returns the champion's record. Raises what `confirm_study` raises. Where that is OpenedBefore, the study has not
    failed in MLflow.
    """
    from ..champion.claim import confirming
    from ..champion.confirm_study import Confirmation, confirm_study
    from ..champion.confirmation import fresh_seeds
    from ..champion.ledger import OpenedBefore
    from ..champion.publish import Publisher
    from ..champion.record import champion_of
    from ..champion.retraining import Retraining
    from ..study.events import observed
    from ..study.study_id import id_of
    from ..tracking.inputs import parts_of
    from .observers import ConfirmationProgress, ConfirmationRecorder
    from .typed import command_on

    profile, oracle = session.profile, session.tuner.oracle
    metric = oracle.goal.metric

    def costs(number: int) -> Mapping[str, Any]:
        return session.study.get_trials(deepcopy=False)[number].user_attrs

    display = ConfirmationProgress(progress, oracle.goal, costs, profile.name, profile.epochs)
    dataset = session.dataset
    parts = parts_of(dataset.name, dataset.identity() | {"input_shape": dataset.input_shape})
    observer = ConfirmationRecorder(session.tracker, session.facts, parts, display)
    command = command_on(session.options, "confirm", session.study.study_name)
    confirmation = Confirmation(
        study=session.study,
        retraining=Retraining(
            session.tuner.hypermodel,
            oracle.get_space(),
            session.dataset,
            metric.name,
            profile.epochs,
            observer,
            int8=int8,
        ),
        data=session.options.data,
        folder=session.options.folder,
        facts={
            "profile": profile.name,
            "space": session.options.space,
            **{key: session.facts[key] for key in ("device", "backend", "versions", "git_commit")},
        },
        publisher=Publisher(session.tracker, session.tracking_uri, session.facts, id_of(session.study.user_attrs)),
        command=command,
        pool=session.pool,
    )
    before = champion_of(session.study)
    refused: OpenedBefore | None = None
    champion: Mapping[str, Any] = {}
    with (
        confirming(oracle.stored, progress.message, command) as claim,
        observed([session.recorder], session.study, oracle.search_record(profile.epochs)),
        closing(observer),
    ):
        if claim.waited and champion_of(session.study) != before:
            again = False  # this is the other look that was asked for
        try:
            champion = confirm_study(
                replace(confirmation, check=claim.check),
                top=_candidates(top, profile.name),
                seeds=fresh_seeds(oracle.seed, _seeds(seeds, profile.name)),
                again=again,
            )
        except OpenedBefore as error:
            refused = error
    if refused is not None:
        raise refused
    return champion
