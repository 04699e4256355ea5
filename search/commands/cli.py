"""The command `kerastuna`. Wiring only: whatever is heavy is imported inside the command that needs it."""

import argparse
import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

from ...spaces.errors import InputError, KerastunaError
from .options import OBJECTIVE, PROFILES, SearchOptions
from .parser import make_parser

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 the search failed, 2 bad input, 130 interrupted."""
    options = make_parser(_COMMANDS).parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminate)  # as Ctrl-C: keep everything, say how to go on
    try:
        return options.command(options)
    except KerastunaError as error:
        print(f"kerastuna: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        again = shlex.join([_program(), *(sys.argv[1:] if arguments is None else arguments)])
        print(f"kerastuna: interrupted; nothing that was finished is lost. To go on: {again}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left, as `| head` does
        return 0


def _terminate(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def _program() -> str:
    """The command as the user can type it from here."""
    program = Path(sys.argv[0])
    try:
        return str(program.resolve().relative_to(Path.cwd()))
    except ValueError:
        return program.name


# search


def _search(options: argparse.Namespace) -> int:
    wanted = _search_options(options)
    from .session import check_options

    check_options(wanted)
    from ..display.progress import make_progress

    # What the user's own code prints does not belong among the results.
    with redirect_stdout(sys.stderr), make_progress(objective=OBJECTIVE, direction="max") as progress:
        progress.message("loading Keras and the data")
        from .search import run_search
        from .session import open_session

        session = open_session(wanted, progress)
        run_search(session, progress)
        from .search import log_report

        log_report(session.study, session.tracker)
        # Of a front it is for the user to choose.
        champion = _crown(session, progress, options) if options.confirm and wanted.pareto is None else None
    from ..display.summary import print_summary, search_json

    result = search_json(session, champion)
    if options.json:
        _print_json(result)
    else:
        print_summary(session, champion, _program(), sys.stdout)
    return 0 if result["best"] is not None else _no_result(session)


def _search_options(options: argparse.Namespace, **given: Any) -> SearchOptions:
    names = [name for name in SearchOptions.__dataclass_fields__ if hasattr(options, name)]
    return SearchOptions(**{name: getattr(options, name) for name in names} | given)


def _crown(session: Any, progress: Any, options: argparse.Namespace) -> Any:
    if not session.tuner.oracle.goal.results(session.study.get_trials(deepcopy=False)):
        return None
    from .confirm import crown

    return crown(session, progress, top=options.top, seeds=options.seeds, again=options.again)


def _no_result(session: Any) -> int:
    from ..display.summary import failures
    from ..study.goal import score_of

    goal, trials = session.tuner.oracle.goal, session.study.get_trials(deepcopy=False)
    board = goal.leaderboard(trials)
    if board:
        told = (
            f"{goal.unmet()}; the closest, trial {board[0].number}, came to {score_of(board[0]):.4f}; give more "
            "--trials or --epochs, a larger --budget, or a lower target"
        )
    else:
        told = failures(trials) or "no trial is complete yet; give more --trials or a longer --timeout"
    print(f"kerastuna: {told}", file=sys.stderr)
    return 1


def _confirm(options: argparse.Namespace) -> int:
    study = _open(options)
    from .session import open_session, request_of

    wanted = _search_options(options, study=study.study_name, **request_of(study))
    _import_keras()
    from ..display.progress import make_progress
    from ..display.summary import champion_json, champion_lines
    from .confirm import crown
    from .search import log_report

    with redirect_stdout(sys.stderr), make_progress(objective=OBJECTIVE, direction="max") as progress:
        progress.message("loading Keras and the data")
        session = open_session(wanted, progress)
        champion = crown(session, progress, top=options.top, seeds=options.seeds, again=options.again)
        log_report(session.study, session.tracker)
    if options.json:
        _print_json(champion_json(champion))
    else:
        print("\n".join(champion_lines(champion)))
    return 0


def _export(options: argparse.Namespace) -> int:
    formats = options.formats and options.formats.split(",")
    if formats is not None:
        from ..export.exporter import check_formats

        check_formats(formats)
    if options.reference is not None and (options.trial is not None or options.study or options.test):
        raise InputError("--reference trains a network of its own: leave out --study, --trial and --test")
    if options.reference is not None:
        from .describe import check_reference

        check_reference(options.reference)
        wanted = _search_options(options, images=options.images or PROFILES["quick"].images)
        _import_keras()
        from .export import export_reference

        epochs = options.epochs or PROFILES["quick"].epochs
        out = options.out or Path("export") / options.reference
        manifest = export_reference(options.reference, wanted, epochs, out, formats, _say)
    else:
        study = _open(options)
        from .session import request_of

        wanted = _search_options(options, **request_of(study))
        _import_keras()
        from .export import export_champion, export_trial

        name = study.study_name if options.trial is None else f"{study.study_name}-trial-{options.trial:04d}"
        out = options.out or Path("export") / name
        with redirect_stdout(sys.stderr):
            if options.trial is None:
                manifest = export_champion(study, wanted, out, formats, options.test, _say)
            else:
                manifest = export_trial(study, options.trial, wanted, out, formats, options.test, _say)
    if options.json:
        _print_json(manifest)
    else:
        from ..display.tables import console, export_table

        console(sys.stdout).print(export_table(manifest, str(out)))
        print(manifest["lineage"].get("note", ""))
    if not manifest["passed"]:
        failed = [name for name, result in manifest["formats"].items() if result["passed"] is False]
        told = ", ".join(failed) or ", ".join(f"{name} {why}" for name, why in manifest["skipped"].items())
        print(f"kerastuna: NOT EVERY FORMAT PASSED: {told}; see {out / 'manifest.json'}", file=sys.stderr)
        return 1
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# what a study holds


def _trials(options: argparse.Namespace) -> int:
    study = _open(options)
    from ..display.tables import console, leaderboard_table, trials_table
    from ..study.attributes import is_rejection
    from ..study.goal import budget_of, goal_of
    from ..study.records import trial_records

    goal, budget, trials = goal_of(study), budget_of(study), study.get_trials(deepcopy=False)
    if options.trained:
        trials = [trial for trial in trials if not is_rejection(trial)]
    records = trial_records(trials)
    if options.json:
        _print_json(records)
        return 0
    out = console(sys.stdout)
    if options.all:
        summaries = [str(trial.user_attrs.get("summary", "")) for trial in trials]
        out.print(trials_table(records, summaries, goal))
    else:
        out.print(f"study {study.study_name}", markup=False)
        out.print(leaderboard_table(trials, goal, options.top, budget=budget))
        from ..display.summary import counts_line

        out.print(counts_line(trials), markup=False)
    return 0


def _studies(options: argparse.Namespace) -> int:
    storage = _open_storage(options)
    from ..study.records import study_rows
    from ..study.studies import delete_study

    if options.delete is not None:
        delete_study(storage, options.delete)
        print(f"deleted study {options.delete}; its runs stay in MLflow", file=sys.stderr)
        return 0
    rows = study_rows(storage)
    if options.json:
        _print_json(rows)
    else:
        from ..display.tables import console, studies_table

        console(sys.stdout).print(studies_table(rows))
    return 0


def _describe(options: argparse.Namespace) -> int:
    from . import describe

    if (options.name is None) == (options.trial is None):
        raise InputError(f"describe takes either one of {', '.join(describe.reference_names())}, or --trial N")
    if options.name is not None:
        describe.check_reference(options.name)
        _import_keras()
        name, (summary, cost) = options.name, describe.reference_cost(options.name)
    else:
        study = _open(options)
        _import_keras()
        name, summary, cost = describe.trial_cost(study, options.trial)
    from ..study.records import description

    if options.json:
        _print_json(description(name, cost))
        return 0
    from ..display.tables import console, layer_table

    out = console(sys.stdout)
    out.print(layer_table(f"{name}: {summary}", cost))
    out.print(
        f"{cost.params:,} parameters ({cost.trainable:,} trainable, {cost.non_trainable:,} not), {cost.macs:,} MACs, "
        f"{cost.peak_activation_bytes:,} bytes at the peak of activations (float32, one image)",
        markup=False,
    )
    return 0


def _import_keras() -> None:
    from ..training.device import import_keras, prepare_environment

    prepare_environment("cpu")
    import_keras()


def _ui(options: argparse.Namespace) -> int:
    if not 1 <= options.port <= 65535:
        raise InputError(f"--port {options.port}: give a number from 1 to 65535")
    from ..tracking.store import default_tracking_uri
    from ..tracking.ui import ui_command

    uri = (
        options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or default_tracking_uri(options.folder.resolve())
    )
    if uri.startswith("http"):
        raise InputError(f"the tracking server {uri.rpartition('@')[2]} has a user interface of its own: open it there")
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        raise InputError(
            f"there is nothing to show yet in {uri.removeprefix('sqlite:///')}: run {_program()} search first"
        )
    command, environment = ui_command(uri, options.port)
    print(f"MLflow on http://127.0.0.1:{options.port}  (Ctrl-C ends it)", file=sys.stderr, flush=True)
    os.execve(command[0], command, environment)


def _open_storage(options: argparse.Namespace) -> Any:
    location = options.storage or options.folder / "optuna.journal"
    if "://" not in str(location) and not Path(location).exists():
        raise InputError(f"there is no study yet in {location}: run {_program()} search first")
    from ..study.storage import open_storage
    from .session import hush_optuna

    hush_optuna()
    return open_storage(location)


def _open(options: argparse.Namespace) -> Any:
    storage = _open_storage(options)
    from ..study.studies import latest_study, load_study

    return latest_study(storage) if options.study is None else load_study(storage, options.study)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


_COMMANDS = {
    "search": _search,
    "confirm": _confirm,
    "export": _export,
    "trials": _trials,
    "studies": _studies,
    "describe": _describe,
    "ui": _ui,
}


if __name__ == "__main__":
    sys.exit(main())
