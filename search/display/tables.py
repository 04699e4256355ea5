"""Tables for people: leaderboard, trials, studies, layers of a network, exported formats."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO, final

from optuna.trial import FrozenTrial
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...spaces.cost import Cost
from ..datasets.task import Classification, task_of, unit_of
from ..messages import counted, figure, number
from ..study.budget import ALWAYS_SHOWN, COSTS, SHORT_NAMES, Budget
from ..study.goal import Goal
from ..study.network_name import network_name
from ..study.reasons import INFEASIBLE, OVER_BUDGET, ending
from ..study.records import full_record
from .progress_state import printable

MARKS = {"reached": "reaches"}
"""The marks of a goal that get a column, and the column's name."""


@final
class _Console(Console):
    """Where nobody reads any more, it raises BrokenPipeError, as `print` does; rich would end the process."""

    def on_broken_pipe(self) -> None:
        """Raise the error that is handled."""
        raise


def console(file: TextIO) -> Console:
    """A console for `file` that shows texts as they are; 140 columns wide if that is not a terminal."""
    # In a notebook rich would show a table at once instead of writing it; with FORCE_COLOR, which Jupyter sets, it
    # would write control characters.
    terminal = file.isatty()
    return _Console(
        file=file,
        width=None if terminal else 140,
        force_terminal=terminal,
        force_jupyter=False,
        highlight=False,
        markup=False,
        emoji=False,
    )


def leaderboard_table(
    trials: Iterable[FrozenTrial], goal: Goal, limit: int = 10, *, budget: Budget | None = None
) -> Table:
    """The first `limit` trials of the leaderboard, best first.

    RAM, flash and activations have a column if the study optimises them or `budget` limits them.
    """
    board = goal.leaderboard(trials)
    results = {trial.number for trial in goal.results(board)}
    costs = [name for name in COSTS if name in {*ALWAYS_SHOWN, *_counted(goal, budget)}]
    table = _table(goal.title(board, min(limit, len(board))))
    marks = _marks(goal)
    lengths = ["seconds"] if marks else ["epochs", "seconds"]
    others = [part for part in goal.quantities if part != goal.metric and not part.is_cost]
    _add_columns(table, "trial", goal.metric.name, *(part.name for part in others), *marks, *costs, *lengths, "network")
    for trial in board[:limit]:
        record = full_record(trial)
        network = " ".join(
            part for part in (record["summary"], f"({record['name']})" if record["name"] else "") if part
        )
        _add_row(
            table,
            str(record["number"]),
            _score(record["value"], goal),
            *(figure(trial.values[goal.quantities.index(part)], part.name) for part in others),
            *("yes" if record["number"] in results else "no" for _ in marks),
            *(_number(record[name], ",") for name in costs),
            *(_number(record[name], ",.0f") for name in lengths),
            network_name(network, record["hyperparameters"]),
        )
    return table


def _counted(goal: Goal, budget: Budget | None) -> set[str]:
    return {*goal.costs, *(budget.limits if budget else ())}


def _marks(goal: Goal) -> list[str]:
    return [MARKS[goal.mark]] if goal.mark in MARKS else []


def _add_columns(table: Table, *names: str) -> None:
    """Add columns. If there is little room, only text columns are folded, since half a number is another number."""
    folded = {"network": 9}
    for name in names:
        table.add_column(
            _text(SHORT_NAMES.get(name, name)),
            justify="left" if name in (*folded, *MARKS.values()) else "right",
            overflow="fold" if name in folded else "ellipsis",
            no_wrap=name not in folded,
            min_width=folded.get(name),
        )


def trials_table(records: Sequence[Mapping[str, Any]], goal: Goal) -> Table:
    """Every trial by number, one line each: how it ended, its value, its costs, and its network.

    Args:
        records: as `full_record` makes them. Of a network that was not described, the message says why it was refused.
    """
    costs = [*ALWAYS_SHOWN, *(name for name in goal.costs if name not in ALWAYS_SHOWN)]
    limits = any(record["limits"] not in (None, ["params"]) for record in records)
    table = _table(f"{counted(len(records), 'trial')}; value: {goal.metric.name}")
    for name in ("trial", "ended", "value", *costs, "epochs", "s"):
        justify = "left" if name == "ended" else "right"
        table.add_column(_text(SHORT_NAMES.get(name, name)), justify=justify, no_wrap=True, overflow="ellipsis")
    table.add_column("network", min_width=9)
    for record in records:
        refused = record["message"] if record["reason"] == INFEASIBLE else ""
        network = network_name(record["summary"] or refused, record["hyperparameters"])
        _add_row(
            table,
            str(record["number"]),
            _ended(record, limits),
            _score(record["value"], goal),
            *(_short(record[name], name) for name in costs),
            str(record["epochs"] or ""),
            _number(record["seconds"], ".0f"),
            _text(network, no_wrap=True, overflow="ellipsis"),
        )
    return table


def layer_table(name: str, cost: Cost) -> Table:
    """The layers of a network with their output shapes and costs; the last row has the totals."""
    table = _table(name)
    for column in ("layer", "output shape", "params", "MACs", "receptive field"):
        table.add_column(_text(column), justify="left" if column == "layer" else "right")
    for layer in cost.layers:
        _add_row(
            table,
            layer.name,
            "x".join(map(str, layer.output_shape)),
            f"{layer.params:,}",
            f"{layer.macs:,}",
            str(layer.receptive_field),
            end_section=layer is cost.layers[-1],
        )
    _add_row(table, "total", "", f"{cost.params:,}", f"{cost.macs:,}", "")
    return table


def studies_table(rows: Sequence[Mapping[str, object]]) -> Table:
    """The studies of a storage."""
    table = _table("1 study" if len(rows) == 1 else f"{len(rows)} studies")
    for column in ("study", "trained", "refused", "failed", "best", "last trial"):
        table.add_column(
            _text(column), justify="left" if column in ("study", "last trial") else "right", overflow="fold"
        )
    for row in rows:
        _add_row(
            table,
            str(row["name"]),
            str(row["trained"]),
            str(row["refused"]),
            str(row["failed"]),
            number(row["best"]) if isinstance(row["best"], float) else _number(row["best"], ","),
            str(row["last_trial"] or ""),
        )
    return table


def reproduction_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Known networks: counts and test accuracies, as measured and as published."""
    table = _table("known networks, measured and published")
    headings = (
        "network",
        "parameters",
        "published",
        "epochs",
        "images",
        "n",
        "test accuracy",
        "deviation",
        "published",
    )
    for column in headings:
        table.add_column(_text(column), justify="left" if column == "network" else "right")
    for row in rows:
        test, published = row["test"], row["published_params"]
        _add_row(
            table,
            row["name"],
            _counts(row["params"]),
            "" if published is None else _counts(published),
            str(row["epochs"]),
            f"{row['images']:,}",
            str(test["n"]),
            f"{test['mean']:.4f}",
            _number(test["std"], ".4f"),
            f"{test['published']:.4f}",
        )
    return table


def _counts(params: Mapping[str, int]) -> str:
    return f"{params['total']:,} ({params['trainable']:,} + {params['non_trainable']:,})"


def export_table(manifest: Mapping[str, Any], out: str) -> Table:
    """What an export wrote and what its check found, one row for each format."""
    table = _table(f"{out}: checked against Keras")
    table.caption, table.caption_justify = Text("\n").join(map(_text, _sources(manifest))), "left"
    task = task_of(manifest["task"])
    quality = [("agrees", "agreement", ".2%")] if isinstance(task, Classification) else []
    quality.append(("largest difference", "largest_difference", ".1e"))
    quality.append((task.main_metric, task.main_metric, ".4f" if isinstance(task, Classification) else ".4g"))
    one = unit_of(manifest["input"]["shape"][1:]).removesuffix("s")
    titles = [title for title, _, _ in quality]
    for column in ("format", "file bytes", "flash", "passed", *titles, f"ms per {one}", "arena"):
        table.add_column(_text(column), justify="left" if column in ("format", "passed") else "right")
    for name, result in manifest["formats"].items():
        figures = result.get("test") or result.get("validation") or {}
        _add_row(
            table,
            name,
            _number(result["bytes"], ",") + (" (text)" if name in ("c_array", "c_program") else ""),
            _flash(result),
            {True: "yes", False: "NO", None: "not checked"}[result["passed"]],
            *(_number(figures.get(name), form) for _, name, form in quality),
            _number(result.get("milliseconds_per_image"), ".3f"),
            _number(result.get("arena_bytes"), ","),
        )
    for name, why in manifest["skipped"].items():
        _add_row(table, name, "", "", f"left out: {why}")
    return table


def _flash(result: Mapping[str, Any]) -> str:
    """Bytes of flash: of a C program its constants, as the code depends on the chip."""
    if "constant_bytes" in result:
        return f"{result['constant_bytes']:,} + code"
    return _number(result.get("flash_bytes"), ",")


def _sources(manifest: Mapping[str, Any]) -> list[str]:
    """What the figures come from, in lines: samples and runtimes."""
    unit, runs = unit_of(manifest["input"]["shape"][1:]), {}
    for name, result in manifest["formats"].items():
        if part := next((part for part in ("test", "validation") if part in result), None):
            source = f"{result[part]['images']:,} {part} {unit} in {result.get('runtime', 'an unnamed runtime')}"
            runs.setdefault(source, []).append(name)
    lines = [f"{', '.join(names)}: {source}" for source, names in runs.items()]
    if any("arena_bytes" in result for result in manifest["formats"].values()):
        lines.append("flash and arena in bytes: tflite-micro's without its own code; c_program needs no runtime")
    return lines


def _table(title: str) -> Table:
    styled = _text(title, style="table.title")
    return Table(title=styled, title_justify="left", header_style="bold", box=None, pad_edge=False)


def _add_row(table: Table, *cells: str | Text, end_section: bool = False) -> None:
    shown = [_text(cell) if isinstance(cell, str) else cell for cell in cells]
    table.add_row(*shown, end_section=end_section)


def _text(text: str, **given: Any) -> Text:
    """`text` as it is, in one line: rich takes a plain `str` for markup and the names of emojis."""
    return Text(printable(text), **given)


def _number(value: object, form: str) -> str:
    return "" if value is None else format(value, form)


def _score(value: float | None, goal: Goal) -> str:
    return "" if value is None else figure(value, goal.metric.name)


def _ended(record: Mapping[str, Any], limits: bool) -> str:
    """How a trial ended; with `limits`, of one over the budget which limits it breaks."""
    if record["reason"] == OVER_BUDGET and limits:
        return f"over {', '.join(SHORT_NAMES[str(name)] for name in record['limits'] or ())}"
    return ending(record["state"], record["reason"])


def _short(value: int | None, cost: str) -> str:
    """A cost in at most six characters, such as "1.23 M", but for parameters, which are shown to the last one."""
    if value is None or cost == "params" or value < 1000:
        return _number(value, ",")
    power = 1 if value < 999_500 else 2 if value < 999_500_000 else 3
    return f"{value / 1000**power:.3g} {' kMG'[power]}"
