"""Shows a search while it runs: a live display on a terminal, plain lines elsewhere.

Events arrive as plain values and update one immutable `State`. What is shown is a function of that state and the time.
Any number of trials may run at the same time; each is known by its number.
"""

import importlib.util
import math
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self, TextIO, final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from ..messages import Nowhere
from ..study.directions import Direction
from ..study.reasons import RETRIED_REASONS, TIMEOUT
from .live_table import live_table
from .progress_state import (
    RunningTrial,
    State,
    ended_line,
    estimate_line,
    printable,
    rejection_counts,
    running_line,
    score,
    started_line,
    trial_line,
    words,
)

Clock = Callable[[], float]

# A log shows that the search is still working even where nearly every proposal is rejected.
REJECTIONS_PER_LINE = 500
LONGEST_SILENCE = 60.0
"""After so many seconds without a line, a log tells how far the running trials have come."""


class Progress(ABC):
    """Shows a search, given its events.

    It is a context manager: leaving it ends the search that is shown, if that has not ended yet.

    Args:
        clock: the time in seconds, from any origin.
    """

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._state = State()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._state.study and self._state.ended is None:
            self.search_ended()

    @abstractmethod
    def message(self, text: str) -> None:
        """Show text that stays visible, of one or more lines."""

    @abstractmethod
    def _log(self, line: str) -> None:
        """Write a line about a change, unless the display shows the change in another way."""

    @abstractmethod
    def _went_on(self) -> None:
        """The running trials have come further."""

    def search_started(
        self,
        *,
        study: str,
        objective: str,
        direction: Direction,
        profile: str,
        trials_done: int,
        trials_total: int | None,
        epochs: int | None,
        best: float | None = None,
        best_rank: Sequence[float] | None = None,
        deadline: float | None = None,
        may_stop_early: bool = False,
    ) -> None:
        """A search of a study starts or goes on; `trials_done` of `trials_total` have been trained.

        Args:
            study: its name.
            objective: name of the metric that is optimised, for example `val_accuracy`.
            direction: "max" where larger is better, "min" where smaller is better.
            profile: its name.
            trials_done: trained trials of the study so far.
            trials_total: trained trials that the study is to have; None for no limit.
            epochs: of a full trial; None where not known.
            best: value of the best trial so far.
            best_rank: its rank, the smaller the better, where the value alone does not decide.
            deadline: seconds from now until the search stops.
            may_stop_early: whether a trial can end before its last epoch.
        """
        now = self._clock()
        self._state = State(
            objective=printable(objective),
            direction=direction,
            study=printable(study),
            profile=printable(profile),
            trials_done=trials_done,
            trials_total=trials_total,
            epochs=epochs,
            best=best,
            best_rank=best_rank,
            may_stop_early=may_stop_early,
            started=now,
            deadline=math.inf if deadline is None else now + deadline,
        )
        self._log(started_line(self._state))

    def rejected(self, *, number: int, reason: str, summary: str) -> None:
        """A proposal will not be trained; it is counted by its reason: over_budget, infeasible or duplicate."""
        counts = self._state.rejections
        self._state = replace(self._state, rejections={**counts, reason: counts.get(reason, 0) + 1})
        if sum(self._state.new_rejections.values()) >= REJECTIONS_PER_LINE:
            self._log_rejections()

    def trial_started(self, *, number: int | str, summary: str) -> None:
        """A trial begins to train."""
        self._log_rejections()
        trial = RunningTrial(number, printable(summary), epochs=self._state.epochs, began=self._clock())
        self._state = self._state.with_running(trial)

    def epoch_ended(
        self, *, number: int | str, epoch: int, epochs: int | None, metrics: Mapping[str, float], seconds: float
    ) -> None:
        """Epoch `epoch` of `epochs`, None if not known, counted from 1, ended with these metrics after `seconds`."""
        now = self._clock()
        before = self._state.running.get(number, RunningTrial(number))
        trial = replace(
            before,
            epoch=epoch,
            epochs=epochs,
            epoch_seconds=before.epoch_seconds + seconds,
            metrics={printable(name): value for name, value in metrics.items()},
            began=now,
            batch=0,
        )
        pace = self._state.pace.with_epoch(epoch, seconds)
        if epoch == 1 and number in self._state.running:
            pace = pace.with_start(now - before.began - seconds)
        self._state = replace(self._state.with_running(trial), pace=pace)
        if pace.first_epochs + pace.later_epochs == 1:
            self.message(estimate_line(self._state, seconds, now))
        self._went_on()

    def batches_done(self, *, number: int | str, done: int, batches: int | None) -> None:
        """Within an epoch that takes long, `done` of its `batches` are done; None where their number is not known."""
        before = self._state.running.get(number, RunningTrial(number))
        self._state = self._state.with_running(replace(before, batch=done, batches=batches))
        self._went_on()

    def trial_ended(
        self,
        *,
        number: int | str,
        state: str,
        reason: str | None = None,
        value: float | None = None,
        seconds: float | None,
        rank: Sequence[float] | None = None,
        note: str = "",
    ) -> None:
        """A trial ended `seconds` after its start; None where it was not trained here.

        Args:
            number: of the trial, or another name by which it is known here.
            state: COMPLETE, PRUNED (stopped early) or FAIL. A failed trial does not count as done.
            reason: why it failed, or why it ended and is tried again.
            value: of the objective.
            rank: how good the trial is, the smaller the better, where the value alone does not decide.
            note: shown after the value, or alone where there is no value.
        """
        now = self._clock()
        trial = self._state.running.get(number, RunningTrial(number))
        after = self._state.without_running(number)
        if state == "FAIL" and reason in RETRIED_REASONS:
            after = replace(after, interrupted=after.interrupted + 1)
            outcome = f"{'ended by the time limit' if reason == TIMEOUT else 'interrupted'}, to be tried again,"
        elif state == "FAIL":
            after = replace(after, failed=after.failed + 1)
            outcome = f"failed ({words(reason or 'error')})"
        else:
            if trial.epoch and seconds is not None:  # else it was not trained, and tells nothing of those that are
                after = replace(after, pace=after.pace.with_trial(trial.epoch, seconds - trial.epoch_seconds))
            after = replace(after, trials_done=after.trials_done + 1)
            told = f"{after.objective} {score(value, after.objective)}"
            outcome = note if note and value is None else ", ".join(filter(None, (told, note)))
            if state == "PRUNED":
                after = replace(after, stopped_early=after.stopped_early + 1)
                outcome = f"stopped early, {outcome}"
            elif value is not None and after.improves(value, rank):
                after = replace(after, best=value, best_trial=number, best_rank=rank, best_note=note)
        self._state = after
        self._log(trial_line(after, trial, outcome, seconds, now))

    def study_read(
        self,
        *,
        trials_done: int,
        interrupted: int,
        best: float | None = None,
        best_trial: int | str | None = None,
        best_rank: Sequence[float] | None = None,
        best_note: str = "",
    ) -> None:
        """What all processes that search in the study have trained, where that is more than is shown here.

        Args:
            trials_done: their trials, and those of before.
            interrupted: trials that are still to be tried again.
            best, best_trial, best_rank, best_note: the best of these with its number, rank and note, if there is one.
        """
        after = replace(self._state, trials_done=max(self._state.trials_done, trials_done), interrupted=interrupted)
        if best is not None and after.improves(best, best_rank):
            after = replace(after, best=best, best_trial=best_trial, best_rank=best_rank, best_note=best_note)
        self._state = after

    def search_ended(self) -> None:
        """The search ended, by itself or by an error."""
        now = self._clock()
        self._log_rejections()
        self._state = replace(self._state, running={}, ended=now)
        self._log(ended_line(self._state, now))

    def _log_rejections(self) -> None:
        new = {reason: count for reason, count in self._state.new_rejections.items() if count}
        if new:
            self._log(f"skipped without training: {rejection_counts(new)}")
        self._state = replace(self._state, logged_rejections=self._state.rejections)


@final
class PlainProgress(Progress):
    """Writes lines without control characters: one for each trial that ended, and one a minute while none does."""

    def __init__(self, *, file: TextIO, clock: Clock = time.monotonic) -> None:
        super().__init__(clock=clock)
        self._file = file
        self._wrote = clock()

    def message(self, text: str) -> None:
        for line in text.splitlines():
            self._log(printable(line))

    def _log(self, line: str) -> None:
        print(line, file=self._file, flush=True)
        self._wrote = self._clock()

    def _went_on(self) -> None:
        now = self._clock()
        if now - self._wrote >= LONGEST_SILENCE:
            self._log(running_line(self._state, now))


@final
class RichProgress(Progress):
    """A live display on a terminal. As a rich renderable it draws what it shows at the moment."""

    def __init__(self, *, console: Console | None = None, clock: Clock = time.monotonic) -> None:
        super().__init__(clock=clock)
        self._console = console or Console(stderr=True)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        # rich takes over only the streams that write to the terminal; a file or a pipe gets its output unchanged.
        out, err = _is_terminal(sys.stdout), _is_terminal(sys.stderr)
        self._live = Live(self, console=self._console, redirect_stdout=out, redirect_stderr=err)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # A terminal prints ^C after the last line. If that line wrapped, the next redraw would start a line too low.
        narrower = options.update_width(max(1, options.max_width - len("^C")))
        if self._state.study:
            yield from console.render(live_table(self._state, self._clock()), narrower)

    def search_ended(self) -> None:
        """The search ended: its last state stays visible, and the display is free for the next search."""
        super().search_ended()
        self._console.print(self)
        self._state = State()

    def message(self, text: str) -> None:
        for line in text.splitlines():
            self._console.print(Text(printable(line)))

    def _log(self, line: str) -> None:
        pass  # the display shows it

    def _went_on(self) -> None:
        pass  # the display is drawn again anyway


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether this stream, None where it was closed, writes to a terminal."""
    return stream is not None and stream.isatty()


def is_notebook() -> bool:
    """Whether this process runs a notebook in which rich can update what it shows: that needs ipywidgets."""
    return Console().is_jupyter and importlib.util.find_spec("ipywidgets") is not None


def make_progress(*, file: TextIO | None = None, force_plain: bool = False) -> Progress:
    """The live display in a notebook, and where `file` (standard error by default) is a capable terminal.

    Plain lines elsewhere.
    """
    if file is None and not force_plain and is_notebook():
        return RichProgress(console=Console())  # which writes to the notebook
    stream: TextIO = file or sys.stderr or Nowhere()
    # Checked before rich is used: with FORCE_COLOR set, rich takes a file for a terminal and writes control characters.
    if not force_plain and stream.isatty():
        console = Console(file=stream)
        if console.is_interactive and not console.is_dumb_terminal:
            return RichProgress(console=console)
    return PlainProgress(file=stream)
