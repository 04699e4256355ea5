"""Tables for people: the leaderboard of a study, what there is, and the layers of a network."""

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from optuna.trial import FrozenTrial
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..spaces.cost import Cost
from .records import full_record


def console(file: TextIO) -> Console:
    """A console that does not fold the lines of a file or a pipe."""
    return Console(file=file, width=None if file.isatty() else 140, highlight=False)


def leaderboard_table(trials: Sequence[FrozenTrial], objective: str, limit: int = 10) -> Table:
    """The best `limit` of trials that are already in order."""
    table = _table(f"best {min(limit, len(trials))} of {len(trials)} complete trials")
    for name, justify in (
        ("trial", "right"),
        (objective, "right"),
        ("params", "right"),
        ("MACs", "right"),
        ("epochs", "right"),
        ("seconds", "right"),
        ("network", "left"),
    ):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for trial in trials[:limit]:
        record = full_record(trial)
        network = " ".join(
            part for part in (record["summary"], f"({record['name']})" if record["name"] else "") if part
        )
        table.add_row(
            str(record["number"]),
            _number(record["value"], ".4f"),
            _number(record["params"], ","),
            _number(record["macs"], ","),
            str(record["epochs"]),
            _number(record["seconds"], ".0f"),
            Text(network or _values(record["hyperparameters"])),
        )
    return table


def trials_table(records: Sequence[Mapping[str, object]], summaries: Sequence[str], objective: str) -> Table:
    """Every trial, by number, with how it ended."""
    table = _table(f"{len(records)} trials")
    for name in ("trial", "state", "reason", objective, "params", "epochs", "seconds", "network"):
        table.add_column(name, justify="left" if name in ("state", "reason", "network") else "right", overflow="fold")
    for record, summary in zip(records, summaries, strict=True):
        table.add_row(
            str(record["number"]),
            str(record["state"]),
            str(record["reason"] or ""),
            _number(record["value"], ".4f"),
            _number(record["params"], ","),
            str(record["epochs"]),
            _number(record["seconds"], ".0f"),
            Text(summary or _values(record["hyperparameters"])),
        )
    return table


def layer_table(name: str, cost: Cost) -> Table:
    """The layers of a network with their shapes and costs; totals in the last row."""
    table = _table(name)
    for column in ("layer", "output shape", "params", "MACs", "receptive field"):
        table.add_column(column, justify="left" if column == "layer" else "right")
    for layer in cost.layers:
        table.add_row(
            layer.name,
            "x".join(map(str, layer.output_shape)),
            f"{layer.params:,}",
            f"{layer.macs:,}",
            str(layer.receptive_field),
            end_section=layer is cost.layers[-1],
        )
    table.add_row("total", "", f"{cost.params:,}", f"{cost.macs:,}", "")
    return table


def studies_table(rows: Sequence[Mapping[str, object]]) -> Table:
    """The studies of a storage."""
    table = _table(f"{len(rows)} studies")
    for column in ("study", "trained", "refused", "failed", "best", "last trial"):
        table.add_column(column, justify="left" if column in ("study", "last trial") else "right", overflow="fold")
    for row in rows:
        table.add_row(
            Text(str(row["name"])),
            str(row["trained"]),
            str(row["refused"]),
            str(row["failed"]),
            _number(row["best"], ".4f"),
            str(row["last_trial"] or ""),
        )
    return table


def export_table(manifest: Mapping[str, Any], out: str) -> Table:
    """What an export wrote and what its check found, format by format."""
    table = _table(f"{out}: checked against Keras")
    for column in ("format", "bytes", "passed", "agrees", "largest difference", "accuracy", "ms per image", "arena"):
        table.add_column(column, justify="left" if column in ("format", "passed") else "right")
    for name, result in manifest["formats"].items():
        figures = result.get("test") or result.get("validation") or {}
        table.add_row(
            name,
            _number(result["bytes"], ","),
            {True: "yes", False: "NO", None: "not checked"}[result["passed"]],
            _number(figures.get("agreement"), ".2%"),
            _number(figures.get("largest_difference"), ".1e"),
            _number(figures.get("accuracy"), ".4f"),
            _number(result.get("milliseconds_per_image"), ".3f"),
            _number(result.get("arena_bytes"), ","),
        )
    for name, why in manifest["skipped"].items():
        table.add_row(name, "", f"left out: {why}", "", "", "", "", "")
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)


def _number(value: object, form: str) -> str:
    return "" if value is None else format(value, form)


def _values(hyperparameters: object) -> str:
    return ", ".join(f"{key}={value}" for key, value in dict(hyperparameters).items())  # type: ignore[call-overload]
