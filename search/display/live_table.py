"""What the live display of a search shows, from its state and the time."""

from datetime import timedelta

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .progress_state import (
    State,
    about,
    best_so_far,
    epoch_of,
    epochs_done,
    rejection_counts,
    score,
    tally,
    within_epoch,
)

BAR_WIDTH = 16
"""Characters of a bar."""


def live_table(state: State, now: float) -> RenderableType:
    """The study, its trials, every running trial, the best so far, what was skipped, and the times.

    Args:
        state: of the search.
        now: on the clock of the state, in seconds.
    """
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("study", Text(f"{state.study}  {state.profile} profile" if state.profile else state.study))
    trials = f"{tally(state)}  {state.stopped_early} stopped early, {state.failed} failed"
    rows.add_row("trials", _bar(state.trials_done, state.trials_total, trials))
    for trial in state.running.values():
        rows.add_row(Text(f"trial {trial.number}"), Text(trial.summary))
        first = {state.objective: trial.metrics[state.objective]} if state.objective in trial.metrics else {}
        metrics = "  ".join(f"{name} {score(value, name)}" for name, value in {**first, **trial.metrics}.items())
        told = "  ".join(filter(None, [epoch_of(trial), within_epoch(trial, now), metrics]))
        rows.add_row("epoch", _bar(epochs_done(trial), trial.epochs, told))
    rows.add_row("best", Text("none yet" if state.best is None else f"{state.objective} {best_so_far(state)}"))
    rows.add_row("skipped", Text(rejection_counts(state.rejections)))
    end = now if state.ended is None else state.ended
    times = f"{timedelta(seconds=int(end - state.started))} elapsed"
    if state.ended is None:
        left = state.seconds_left(now)
        if left is not None:
            times += f", about {about(left)} left"
        elif state.trials_left is not None:
            times += ", time left not known yet"
    rows.add_row("time", Text(times))
    return rows


def _bar(done: float, total: int | None, text: str) -> RenderableType:
    """The bar is left out, but not its place, where the total is not known."""
    row = Table.grid(padding=(0, 1))
    row.add_column(width=BAR_WIDTH)
    row.add_column(overflow="fold")
    bar = "" if total is None else ProgressBar(total=max(1, total), completed=done, width=BAR_WIDTH)
    row.add_row(bar, Text(text))
    return row
