"""What a search says at its end: the leaderboard, the champion, what was refused, and what to do next; or JSON."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, final

import optuna
from optuna.trial import FrozenTrial, TrialState

from ..datasets.task import ACCURACY, unit_of
from ..messages import cause_in, counted, is_accuracy, percent, points, redact, signed
from ..study.attributes import MESSAGE, NAME, REASON, is_trained
from ..study.budget import Budget
from ..study.goal import Goal, goal_of
from ..study.int8_names import is_in_int8
from ..study.network_name import network_name
from ..study.reasons import REJECTIONS, RETRIED_REASONS
from ..study.records import counts, failure_counts, trial_record
from ..tracking.runs import StudyRun
from ..tracking.ui import ui_path
from .lines import show_commands, show_line
from .progress_state import about, words
from .tables import console, leaderboard_table

Champion = Mapping[str, Any]


@final
@dataclass(frozen=True)
class Commands:
    """What the user can type next, in the form in which the search was typed.

    Attributes:
        program: the command `kerastuna` itself.
        location: options that lead to the study where it is not in the usual place.
        tracking: the option that leads a confirmation to MLflow where it is not in the usual place.
        ui: the user interface.
        export: the export of the champion; None for that of the program.
        full: the same search again, in profile full, which begins with the best of this one.
    """

    program: str
    location: str
    tracking: str
    ui: str
    export: str | None
    full: str


@final
@dataclass(frozen=True)
class SearchResult:
    """A search that ended.

    Attributes:
        study: with every trial.
        profile: its name; `epochs` of a full trial and training `images`, as it decided them.
        unit: what these are called, "images" or "rows".
        closed_form: whether the space describes its networks, so that their layers can be shown.
        champion: the record of the confirmed winner, or None.
        limits: on the networks.
        tracking_uri: of MLflow.
        study_run: of the study in MLflow.
        seconds: that the call took.
    """

    study: optuna.Study
    profile: str
    epochs: int
    images: int
    unit: str
    closed_form: bool
    champion: Champion | None
    limits: Budget
    tracking_uri: str
    study_run: StudyRun
    seconds: float


def search_json(result: SearchResult) -> dict[str, Any]:
    """By the contract of `kerastuna search --json`."""
    trials, goal = result.study.get_trials(deepcopy=False), goal_of(result.study)
    results = goal.results(trials)
    best = trial_record(results[0]) if results else None
    return {
        "study": result.study.study_name,
        "profile": result.profile,
        "trials": counts(trials),
        "failures": failure_counts(trials),
        "best": best
        and {
            "trial": best["number"],
            "value": best["value"],
            "params": best["params"],
            "hyperparameters": best["hyperparameters"],
        },
        **({} if goal.has_winner else {"front": [trial.number for trial in results]}),
        "champion": result.champion and champion_json(result.champion),
        "mlflow": {"tracking_uri": redact(result.tracking_uri), "run_id": result.study_run.run_id},
        "seconds": result.seconds,
    }


def champion_json(champion: Champion) -> dict[str, Any]:
    """The champion by the contract of `kerastuna search --json`."""
    test = champion["test"]
    return {
        "trial": champion["trial"],
        "params": champion["params"],
        "validation": {key: champion["validation"][key] for key in ("mean", "std", "n")}
        | {"int8": champion["validation"].get("int8")},
        "test": test
        and {key: test[key] for key in ("mean", "std", "min", "max", "n", "opening")}
        | {"metric": test.get("metric", ACCURACY), "int8": test.get("int8")},
        "model": champion["mlflow"]["model"],
    }


def failures(trials: Sequence[FrozenTrial]) -> str:
    """Where trials failed and none was trained: how many, and of what the last one; otherwise nothing.

    Those that were interrupted or ran out of time do not count.
    """
    failed = [trial for trial in trials if trial.state == TrialState.FAIL and trial.user_attrs.get(MESSAGE)]
    failed = [trial for trial in failed if trial.user_attrs.get(REASON) not in RETRIED_REASONS]
    if not failed or any(map(is_trained, trials)):
        return ""
    told = f"trial {failed[-1].number} failed" if len(failed) == 1 else f"{len(failed)} trials failed, none was trained"
    return f"{told}; the last error: {cause_in(failed[-1].user_attrs[MESSAGE])}"


def counts_line(trials: Sequence[FrozenTrial]) -> str:
    """How the trials of a study ended, in one line."""
    number = counts(trials)
    refused = ", ".join(f"{number[reason]} {words(reason)}" for reason in REJECTIONS if number[reason])
    failed = ", ".join(f"{count} {words(reason)}" for reason, count in failure_counts(trials).items())
    return (
        f"{number['complete']} complete, {number['pruned']} stopped early, "
        f"{number['failed']} failed{f' ({failed})' if failed else ''}; "
        f"refused untrained: {refused or 'none'}"
    )


def champion_lines(champion: Champion) -> list[str]:
    """The champion in a few lines: what it is, what it reached and how honest the figures are."""
    validation, test = champion["validation"], champion["test"]
    metric, unit = champion["objective"].removeprefix("val_"), unit_of(champion["data"]["input_shape"])
    size = "" if champion["params"] is None else f", {champion['params']:,} parameters"
    curse = champion["winners_curse"]
    more = f"{100 * curse:+.2f} points" if is_accuracy(metric) else f"{signed(curse, metric)} against the mean"
    scored = f"{'in int8 ' if is_in_int8(metric) else ''}{_mean(validation, metric)}"
    reference = champion.get("reference")  # a record of an older version does not tell
    name = f", reference network {reference}" if reference else ""
    network = network_name(champion["summary"], champion.get("hyperparameters", {}))
    lines = [
        f"champion: trial {champion['trial']}{name}{size}  {network}".rstrip(),
        *([f"  {not_beaten(reference)}"] if reference else []),
        f"  validation {scored} over {counted(validation['n'], 'fresh seed')}; in the search "
        f"{percent(champion['search_value'], metric)}, {more}",
    ]
    lines += [f"  left out: {problem}" for problem in champion.get("diverged", {}).values()]
    if test is None:
        lines.append("  test: the data set has no test part")
    else:
        measured = test.get("metric", ACCURACY)
        error, samples = test["standard_error"], f"its {test['images']:,} {unit}"
        lines.append(
            f"  test {_mean(test, measured)}{_range(test, measured)} over {counted(test['n'], 'model')} trained on "
            f"{champion['train_images_final']:,} {unit}, validation included; "
            f"opening {test['opening']} of the test set; "
            + (f"on {samples}" if error is None else f"the standard error of {samples} is {points(error, measured)}")
        )
    lines += _int8_lines(validation.get("int8"), (test or {}).get("int8"))
    lines.append(f"  model {champion['mlflow']['model']}, file {_from_here(Path(champion['model_path']))}")
    return lines


def _int8_lines(validation: Mapping[str, Any] | None, test: Mapping[str, Any] | None) -> list[str]:
    """What the networks reach in int8, as they run on a chip; no line where it was not measured."""
    parts = {"validation": validation, "test": test}
    measured = [f"{part} {_in_int8(told)}" for part, told in parts.items() if told and "missing" not in told]
    missing = [told["missing"] for told in parts.values() if told and "missing" in told]
    lines = [f"  int8 {', '.join(measured)}: means, beside those of the same models in float"] if measured else []
    return lines + [f"  int8: not known, {why}" for why in dict.fromkeys(missing)]


def _in_int8(told: Mapping[str, Any]) -> str:
    """A mean in int8 and, in brackets, its difference from that in float: "97.30 % (-0.08)"."""
    metric, change = told["metric"], told["change"]
    more = f"{100 * change:+.2f}" if is_accuracy(metric) else signed(change, metric)
    return f"{'' if is_accuracy(metric) else f'{metric} '}{percent(told['mean'], metric)} ({more})"


def not_beaten(reference: str) -> str:
    """What a search says whose best is the reference network that it began with."""
    return f"the search began with {reference}, and found nothing that is better"


def print_summary(result: SearchResult, commands: Commands, file: TextIO) -> None:
    """Print the end of a search, for people.

    Args:
        commands: as the user types them.
        file: to print to.
    """
    out = console(file)
    trials, goal = result.study.get_trials(deepcopy=False), goal_of(result.study)
    out.print()
    out.print(leaderboard_table(trials, goal, budget=result.limits))
    out.print()
    show_line(out, f"{counts_line(trials)}; this call took {about(result.seconds)}")
    for line in champion_lines(result.champion) if result.champion else _best_is_reference(trials, goal):
        show_line(out, line)
    show_line(
        out,
        f"every figure: profile {result.profile}, {result.images:,} training {result.unit}, "
        f"{counted(result.epochs, 'epoch')}; the table shows one seed, on the validation {result.unit}, at the last "
        "epoch",
    )
    out.print("\nnext:", markup=False)
    show_commands(out, _next_steps(result, commands))


def _best_is_reference(trials: Sequence[FrozenTrial], goal: Goal) -> list[str]:
    best = next(iter(goal.results(trials)), None) if goal.has_winner else None
    name = None if best is None else best.user_attrs.get(NAME)
    return [] if best is None or not name else [f"trial {best.number}: {not_beaten(name)}"]


def _next_steps(result: SearchResult, commands: Commands) -> list[tuple[str, str]]:
    """Commands that suit what was found, each with what it does."""
    goal, program = goal_of(result.study), commands.program
    name = result.study.study_name
    study = f"--study {shlex.quote(name)}{commands.location}"
    page, uri = ui_path(result.study_run), redact(result.tracking_uri)
    more = [
        (f"{uri}{page}", "every trial in MLflow")
        if uri.startswith("http")
        else (commands.ui, f"every trial in MLflow, on http://127.0.0.1:5000{page}"),
        (f"{program} trials {study}", "this table again, also while a search runs"),
        *([(f"{program} describe {study} --trial N", "the layers of a trial")] if result.closed_form else []),
    ]
    if not goal.has_winner:
        more.append((f"{program} export {study} --trial N", "a network of the front, in every format"))
    if result.champion is not None:
        export = commands.export or f"{program} export {study}"
        more.append((export, "the champion in every format, each proven to give the same answers"))
    elif goal.has_winner and goal.results(result.study.get_trials(deepcopy=False)):
        more.append(
            (f"{program} confirm {study}{commands.tracking}", "retrain the best on fresh seeds, open the test set once")
        )
    if result.profile == "quick" and goal.compares_by_metric:
        effort = f"all {result.unit}, 20 epochs, 100 trials, the best of these first"
        more.append((commands.full, f"{effort}; made for a GPU"))
    return more


def _range(figures: Mapping[str, Any], metric: str) -> str:
    """The smallest and the largest of several values, in brackets."""
    if figures["n"] == 1:
        return ""
    return f" ({percent(figures['min'], metric)} to {percent(figures['max'], metric)})"


def _from_here(path: Path) -> Path:
    """`path` without the working folder, where it is inside it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _mean(figures: Mapping[str, Any], metric: str) -> str:
    """The mean, with the standard deviation of the sample where there is one; of which metric, but for an accuracy."""
    name = "" if is_accuracy(metric) else f"{metric} "
    deviation = f" +- {points(figures['std'], metric)}" if figures["n"] > 1 else ""
    return name + percent(figures["mean"], metric) + deviation
