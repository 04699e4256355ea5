"""The display of a search: the live one on a terminal, and plain lines elsewhere."""

import builtins
import importlib.util
import io
import math
import os
import pty
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import pytest
from rich.console import Console

from kerastuna.search.display.progress import PlainProgress, Progress, RichProgress, is_notebook, make_progress

SUMMARY = "16-32-p16 | 16-32 | p10 | conv | 14,652 params"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


ACCURACY: dict[str, Any] = {"objective": "val_accuracy", "direction": "max"}
QUICK: dict[str, Any] = {"profile": "quick", "trials_done": 0, "trials_total": 4, "epochs": 3}


def train(progress: Progress, clock: Clock, number: int, epoch_seconds: list[float], values: list[float]) -> None:
    """Epochs that take the given seconds and end with the given accuracies, after one second of building."""
    progress.trial_started(number=number, summary=SUMMARY)
    clock.now += 1.0
    for epoch, (seconds, value) in enumerate(zip(epoch_seconds, values, strict=True), start=1):
        clock.now += seconds
        metrics = {"loss": 0.0931, "val_accuracy": value}
        progress.epoch_ended(number=number, epoch=epoch, epochs=3, metrics=metrics, seconds=seconds)


def run_search(progress: Progress, clock: Clock) -> None:
    with progress:
        progress.search_started(
            study="mnist-15000",
            **ACCURACY,
            profile="quick",
            trials_done=0,
            trials_total=4,
            epochs=3,
            may_stop_early=True,
        )
        for number in range(3):
            progress.rejected(number=number, reason="over_budget", summary=SUMMARY)
        progress.rejected(number=3, reason="duplicate", summary=SUMMARY)
        train(progress, clock, 4, [6.0, 4.0, 4.0], [0.9, 0.95, 0.97])
        progress.trial_ended(number=4, state="COMPLETE", value=0.97, seconds=15.0)
        train(progress, clock, 5, [6.0], [0.5])
        progress.trial_ended(number=5, state="PRUNED", reason="stopped_early", value=0.5, seconds=7.0)
        train(progress, clock, 6, [], [])
        progress.trial_ended(number=6, state="FAIL", reason="out_of_memory", seconds=1.0)
        progress.message("a note\nof two lines")
        progress.rejected(number=7, reason="infeasible", summary=SUMMARY)
        train(progress, clock, 8, [6.0, 4.0, 4.0], [0.9, 0.95, 0.98])
        progress.trial_ended(number=8, state="COMPLETE", value=0.98, seconds=15.0)
        progress.search_ended()


def test_plain_lines_of_a_search() -> None:
    clock, file = Clock(), io.StringIO()
    run_search(PlainProgress(file=file, clock=clock), clock)
    assert file.getvalue().splitlines() == [
        "study mnist-15000 (quick): 4 trials of 3 epochs",
        "skipped without training: 3 over budget, 1 duplicate",
        "one epoch takes about 6 s; 4 trials of 3 epochs: about 76 s, less where trials stop early",
        "trial 4 (1/4): val_accuracy 0.9700 after 3 epochs in 15 s; best 0.9700 (trial 4); about 45 s left | "
        + SUMMARY,
        # A usual trial now has 2 epochs: 1 s + 6 s + 4 s.
        "trial 5 (2/4): stopped early, val_accuracy 0.5000 after 1 epoch in 7 s; best 0.9700 (trial 4); "
        "about 22 s left | " + SUMMARY,
        "trial 6 (2/4): failed (out of memory) after 0 epochs in 1 s; best 0.9700 (trial 4); "
        "about 22 s left | " + SUMMARY,
        "a note",
        "of two lines",
        "skipped without training: 1 infeasible",
        "trial 8 (3/4): val_accuracy 0.9800 after 3 epochs in 15 s; best 0.9800 (trial 8); about 12 s left | "
        + SUMMARY,
        "mnist-15000 ended after 38 s: 3 of 4 trials done, 1 stopped early, 1 failed; "
        "3 over budget, 1 infeasible, 1 duplicate; best val_accuracy 0.9800 (trial 8)",
    ]


def test_plain_tells_once_a_minute_how_far_long_trials_have_come() -> None:
    clock, file = Clock(), io.StringIO()
    progress = PlainProgress(file=file, clock=clock)
    progress.search_started(study="long", **ACCURACY, **{**QUICK, "epochs": 20})
    progress.trial_started(number=1, summary=SUMMARY)
    progress.trial_started(number=2, summary=SUMMARY)
    for epoch in (1, 2, 3):
        clock.now += 25.0
        progress.epoch_ended(number=1, epoch=epoch, epochs=20, metrics={"val_accuracy": 0.98}, seconds=25.0)
    clock.now += 70.0  # the epoch of trial 2 is longer
    progress.batches_done(number=2, done=300, batches=600)
    progress.batches_done(number=2, done=301, batches=600)
    trials = (
        "trial 1: epoch 3/20, val_accuracy 0.9800, epoch 4: 70 s; trial 2: epoch 0/20, epoch 1: batch 300/600, 2 min"
    )
    assert file.getvalue().splitlines()[2:] == [
        f"{trials}; 0/4 trials done; about 14 min left",
    ]


def test_plain_resumes_with_a_time_limit() -> None:
    clock, file = Clock(), io.StringIO()
    progress = PlainProgress(file=file, clock=clock)
    progress.search_started(
        study="s",
        objective="val_loss",
        direction="min",
        profile="full",
        trials_done=7,
        trials_total=100,
        epochs=20,
        best=0.05,
        deadline=600.0,
    )
    progress.trial_started(number=9, summary="")
    clock.now += 30.0
    progress.epoch_ended(number=9, epoch=1, epochs=20, metrics={"val_loss": 0.2}, seconds=30.0)
    progress.trial_ended(number=9, state="COMPLETE", value=0.06, seconds=30.0)
    progress.trial_started(number=10, summary="")
    progress.trial_ended(number=10, state="COMPLETE", value=0.04, seconds=30.0)
    assert file.getvalue().splitlines() == [
        "study s (full): 100 trials of 20 epochs, 7 done, best val_loss 0.05000, stops after 10 min",
        "one epoch takes about 30 s; 93 more trials of 20 epochs: about 15.5 h, but the time limit leaves 10 min",
        "trial 9 (8/100): val_loss 0.06000 after 1 epoch in 30 s; best 0.05000; about 10 min left",
        "trial 10 (9/100): val_loss 0.04000 after 0 epochs in 30 s; best 0.04000 (trial 10); about 10 min left",
    ]


def test_trials_that_run_at_the_same_time_are_told_apart() -> None:
    clock, file = Clock(), io.StringIO()
    progress = PlainProgress(file=file, clock=clock)
    progress.search_started(
        study="s", **ACCURACY, profile="quick", trials_done=0, trials_total=4, epochs=2, may_stop_early=True
    )
    progress.trial_started(number=0, summary="wide")
    progress.trial_started(number=1, summary="deep")
    for number, epoch in ((1, 1), (0, 1), (1, 2)):
        clock.now += 5.0
        progress.epoch_ended(number=number, epoch=epoch, epochs=2, metrics={"val_accuracy": 0.5}, seconds=10.0)
    progress.trial_ended(number=0, state="PRUNED", reason="stopped_early", value=0.5, seconds=15.0)
    progress.trial_ended(number=1, state="COMPLETE", value=0.9, seconds=20.0)
    assert file.getvalue().splitlines()[1:] == [
        "one epoch takes about 10 s; 4 trials of 2 epochs: about 40 s, less where trials stop early",
        # 1 epoch a trial and 5 s besides; trial 1 is expected to have another one, and two trials train at a time.
        "trial 0 (1/4): stopped early, val_accuracy 0.5000 after 1 epoch in 15 s; about 15 s left | wide",
        "trial 1 (2/4): val_accuracy 0.9000 after 2 epochs in 20 s; best 0.9000 (trial 1); about 18 s left | deep",
    ]


@pytest.mark.parametrize("value", [math.nan, 0.96, None])
def test_what_does_not_improve_is_not_the_best(value: float | None) -> None:
    file = io.StringIO()
    progress = PlainProgress(file=file, clock=Clock())
    progress.search_started(study="s", **ACCURACY, profile="quick", trials_done=1, trials_total=2, epochs=1, best=0.97)
    progress.trial_started(number=1, summary="")
    progress.trial_ended(number=1, state="COMPLETE", value=value, seconds=1.0)
    assert "; best 0.9700" in file.getvalue().splitlines()[-1]
    assert "(trial 1)" not in file.getvalue()


def test_a_note_stands_beside_the_value_or_in_its_place_and_a_rank_decides_on_the_best() -> None:
    file = io.StringIO()
    progress = PlainProgress(file=file, clock=Clock())
    progress.search_started(study="s", **ACCURACY, profile="quick", trials_done=1, trials_total=4, epochs=1)
    for number, value, rank, note in ((1, 0.99, (0, 900), "large"), (2, 0.9, (0, 300), "small")):
        progress.trial_ended(number=number, state="COMPLETE", value=value, seconds=1.0, rank=rank, note=note)
    progress.trial_ended(number=2, state="COMPLETE", seconds=1.0, note="final model trained")
    assert file.getvalue().splitlines()[1:] == [
        "trial 1 (2/4): val_accuracy 0.9900, large after 0 epochs in 1 s; best 0.9900 (trial 1, large)",
        "trial 2 (3/4): val_accuracy 0.9000, small after 0 epochs in 1 s; best 0.9000 (trial 2, small)",
        "trial 2 (4/4): final model trained after 0 epochs in 1 s; best 0.9000 (trial 2, small)",
    ]


def test_what_was_not_trained_tells_nothing_of_the_time_left() -> None:
    clock, file = Clock(), io.StringIO()
    progress = PlainProgress(file=file, clock=clock)
    progress.search_started(study="s", **ACCURACY, **QUICK)
    train(progress, clock, 1, [5.0, 5.0, 5.0], [0.5, 0.5, 0.5])
    progress.trial_ended(number=1, state="COMPLETE", value=0.5, seconds=16.0)
    progress.trial_ended(number=2, state="COMPLETE", seconds=None, note="final model kept")
    told = "trial 2 (2/4): final model kept; best 0.5000 (trial 1); about 32 s left"
    assert file.getvalue().splitlines()[-1] == told


def test_trials_stopped_early_are_never_the_best() -> None:
    file = io.StringIO()
    progress = PlainProgress(file=file, clock=Clock())
    progress.search_started(study="s", **ACCURACY, profile="quick", trials_done=0, trials_total=2, epochs=3)
    progress.trial_started(number=0, summary="")
    progress.trial_ended(number=0, state="PRUNED", reason="stopped_early", value=0.99, seconds=1.0)
    assert "best" not in file.getvalue()


def test_plain_shows_long_runs_of_rejections() -> None:
    file = io.StringIO()
    progress = PlainProgress(file=file, clock=Clock())
    progress.search_started(study="s", **ACCURACY, profile="quick", trials_done=0, trials_total=2, epochs=3)
    for number in range(1001):
        progress.rejected(number=number, reason="over_budget", summary=SUMMARY)
    assert file.getvalue().splitlines()[1:] == ["skipped without training: 500 over budget"] * 2


def test_plain_never_writes_control_characters() -> None:
    file = io.StringIO()
    progress = PlainProgress(file=file, clock=Clock())
    progress.search_started(
        study="s\x07",
        objective="val\x1b[31m",
        direction="max",
        profile="quick",
        trials_done=0,
        trials_total=1,
        epochs=1,
    )
    progress.message("red \x1b[31mtext\rover\tthere")
    progress.rejected(number=0, reason="over\x1bbudget", summary="\x1b[2J")
    progress.trial_started(number=1, summary="\x1b[2J\nsecond line")
    progress.trial_ended(number=1, state="FAIL", reason="error\x1b", seconds=1.0)
    progress.search_ended()
    assert all(character.isprintable() for character in file.getvalue().replace("\n", ""))
    assert "second line" in file.getvalue()


def test_an_interrupted_search_is_summarised_once() -> None:
    file = io.StringIO()
    progress = PlainProgress(file=file, clock=Clock())

    def interrupted() -> None:
        with progress:
            progress.search_started(study="s", **ACCURACY, profile="quick", trials_done=0, trials_total=2, epochs=3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file.getvalue().count("s ended after") == 1


def rendered(progress: RichProgress, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(progress)
    return capture.get()


@pytest.mark.parametrize("width", [60, 100])
def test_rich_shows_the_running_trial(width: int) -> None:
    clock = Clock()
    progress = RichProgress(console=Console(file=io.StringIO()), clock=clock)
    assert rendered(progress, width) == ""
    progress.search_started(study="mnist-15000", **ACCURACY, profile="quick", trials_done=0, trials_total=4, epochs=3)
    assert "time left not known yet" in rendered(progress, width)
    progress.rejected(number=3, reason="over_budget", summary=SUMMARY)
    train(progress, clock, 4, [6.0, 4.0, 4.0], [0.9, 0.95, 0.97])
    progress.trial_ended(number=4, state="COMPLETE", value=0.97, seconds=15.0)
    train(progress, clock, 5, [6.0, 4.0], [0.9, 0.95])
    clock.now += 2.0
    lines = rendered(progress, width).splitlines()
    assert max(map(len, lines)) <= width - len("^C")
    text = " ".join(" ".join(lines).split())
    assert "study mnist-15000 quick profile" in text
    assert "1/4 0 stopped early, 0 failed" in text
    assert f"trial 5 {SUMMARY}" in text
    assert "2/3 val_accuracy 0.9500 loss 0.0931" in text
    assert "best val_accuracy 0.9700 (trial 4)" in text
    assert "skipped 1 over budget, 0 infeasible, 0 duplicate" in text
    # One more epoch of 4 s, of which 2 s are over, and two trials of 15 s.
    assert "time 0:00:28 elapsed, about 32 s left" in text


def test_rich_shows_how_far_a_long_epoch_has_come_until_it_ends() -> None:
    clock = Clock()
    progress = RichProgress(console=Console(file=io.StringIO()), clock=clock)
    progress.search_started(study="s", **ACCURACY, profile="quick", trials_done=0, trials_total=4, epochs=3)
    progress.trial_started(number=4, summary="wide")
    clock.now += 30.0
    assert "0/3 epoch 1: 30 s" in " ".join(rendered(progress, 100).split())
    progress.batches_done(number=4, done=750, batches=1875)
    assert "0/3 epoch 1: batch 750/1,875, 30 s" in " ".join(rendered(progress, 100).split())
    progress.epoch_ended(number=4, epoch=1, epochs=3, metrics={"val_accuracy": 0.5}, seconds=30.0)
    assert "1/3 val_accuracy 0.5000" in " ".join(rendered(progress, 100).split())


def test_rich_shows_every_running_trial() -> None:
    clock = Clock()
    progress = RichProgress(console=Console(file=io.StringIO()), clock=clock)
    progress.search_started(study="s", **ACCURACY, profile="quick", trials_done=0, trials_total=4, epochs=3)
    progress.trial_started(number=4, summary="wide")
    progress.trial_started(number=7, summary="deep")
    for number, epoch, value in ((7, 1, 0.7), (4, 1, 0.4), (7, 2, 0.8)):
        clock.now += 2.0
        progress.epoch_ended(number=number, epoch=epoch, epochs=3, metrics={"val_accuracy": value}, seconds=4.0)
    text = " ".join(rendered(progress, 100).split())
    assert re.search(
        r"trial 4 wide epoch \S+ 1/3 val_accuracy 0.4000 trial 7 deep epoch \S+ 2/3 val_accuracy 0.8", text
    )
    progress.trial_ended(number=4, state="COMPLETE", value=0.4, seconds=6.0)
    text = " ".join(rendered(progress, 100).split())
    assert "trial 4 wide" not in text
    assert re.search(r"trial 7 deep epoch \S+ 2/3 val_accuracy 0.8", text)
    assert "best val_accuracy 0.4000 (trial 4)" in text


def test_rich_display_on_a_terminal() -> None:
    clock, file = Clock(), io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    run_search(RichProgress(console=console, clock=clock), clock)
    output = file.getvalue()
    assert "one epoch takes about 6 s; 4 trials of 3 epochs" in output
    assert "a note" in output
    last = output[output.rindex("mnist-15000") :]
    assert "3/4  1 stopped early, 1 failed" in last
    assert "val_accuracy 0.9800 (trial 8)" in last
    assert "3 over budget, 1 infeasible, 1 duplicate" in last
    assert "0:00:38 elapsed" in last
    assert "left" not in last
    assert SUMMARY not in last
    assert output.count("\x1b[?25l") == output.count("\x1b[?25h") == 1  # the cursor hidden, and shown again


def test_rich_keeps_a_search_that_ended_above_the_next() -> None:
    clock, file = Clock(), io.StringIO()
    with RichProgress(console=Console(file=file, width=100), clock=clock) as progress:
        run_search(progress, clock)
        assert rendered(progress, 100) == ""
        progress.search_started(
            study="confirmation", **ACCURACY, profile="quick", trials_done=0, trials_total=6, epochs=3
        )
    kept = file.getvalue()
    assert kept.count("mnist-15000") == kept.count("confirmation") == 1
    assert kept.index("val_accuracy 0.9800 (trial 8)") < kept.index("confirmation") < kept.index("0/6")


def test_rich_gives_the_terminal_back_after_an_interrupt() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    streams = sys.stdout, sys.stderr

    def interrupted() -> None:
        with RichProgress(console=console, clock=Clock()) as progress:
            progress.search_started(study="s", **ACCURACY, profile="quick", trials_done=0, trials_total=2, epochs=3)
            progress.trial_started(number=1, summary="[16]")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (sys.stdout, sys.stderr) == streams
    assert file.getvalue().rindex("\x1b[?25h") > file.getvalue().rindex("elapsed")


def test_rich_leaves_piped_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    with RichProgress(console=console):
        print('{"study": "s"}')
        print("a warning", file=sys.stderr)
    assert capsys.readouterr() == ('{"study": "s"}\n', "a warning\n")
    assert "study" not in file.getvalue()


def test_rich_takes_brackets_as_text() -> None:
    progress = RichProgress(console=Console(file=io.StringIO()), clock=Clock())
    progress.search_started(study="[bold]s", **ACCURACY, profile="quick", trials_done=0, trials_total=2, epochs=3)
    progress.trial_started(number=1, summary="[red]16[/red]")
    assert "[bold]s" in rendered(progress, 100)
    assert "[red]16[/red]" in rendered(progress, 100)


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    """The writing end of a new pseudo-terminal."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as file:
        yield file
    os.close(master)


def test_a_terminal_gets_the_display(terminal: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(make_progress(file=terminal), RichProgress)
    assert isinstance(make_progress(file=terminal, force_plain=True), PlainProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_progress(file=terminal), PlainProgress)


def test_without_standard_streams_a_search_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it after >&-
    with RichProgress(console=Console(file=io.StringIO())):
        pass
    monkeypatch.setattr(sys, "stderr", None)
    run_search(make_progress(), Clock())


def test_a_file_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(make_progress(file=io.StringIO()), PlainProgress)


def test_a_notebook_gets_the_live_display_where_it_can_update_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shell:  # what rich looks for in the name space of a notebook
        pass

    assert not is_notebook()
    Shell.__name__ = "ZMQInteractiveShell"
    monkeypatch.setattr(builtins, "get_ipython", Shell, raising=False)
    for installed in (True, False):
        spec = importlib.util.spec_from_loader("ipywidgets", None) if installed else None
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, spec=spec: spec)
        assert is_notebook() is installed
        assert isinstance(make_progress(), RichProgress if installed else PlainProgress)
    assert isinstance(make_progress(force_plain=True), PlainProgress)


@pytest.mark.parametrize(("reason", "told"), [("timeout", "ended by the time limit"), ("interrupted", "interrupted")])
def test_a_trial_that_is_tried_again_has_not_failed(reason: str, told: str) -> None:
    clock, file = Clock(), io.StringIO()
    progress = PlainProgress(file=file, clock=clock)
    with progress:
        progress.search_started(study="s", **ACCURACY, **QUICK)
        train(progress, clock, 4, [6.0], [0.9])
        progress.trial_ended(number=4, state="FAIL", reason=reason, seconds=7.0)
    lines = file.getvalue().splitlines()
    assert lines[-2].startswith(f"trial 4 (0/4): {told}, to be tried again, after 1 epoch in 7 s")
    assert "0 of 4 trials done, 0 stopped early, 0 failed, 1 to be tried again; best none" in lines[-1]


UNKNOWN: dict[str, Any] = {"profile": "", "trials_done": 0, "trials_total": None, "epochs": None}


def search_without_numbers(progress: Progress, clock: Clock) -> None:
    progress.search_started(study="s", **ACCURACY, **UNKNOWN)
    progress.trial_started(number=4, summary=SUMMARY)
    clock.now += 70.0
    progress.batches_done(number=4, done=3, batches=None)
    progress.epoch_ended(number=4, epoch=1, epochs=None, metrics={"val_accuracy": 0.9}, seconds=70.0)


def test_plain_lines_without_numbers_of_trials_and_epochs() -> None:
    clock, file = Clock(), io.StringIO()
    progress = PlainProgress(file=file, clock=clock)
    search_without_numbers(progress, clock)
    progress.trial_ended(number=4, state="COMPLETE", value=0.9, seconds=70.0)
    progress.search_ended()
    assert file.getvalue().splitlines() == [
        "study s",
        "trial 4: epoch 0, epoch 1: batch 3, 70 s; 0 trials done",
        "one epoch takes about 70 s",
        f"trial 4 (1 done): val_accuracy 0.9000 after 1 epoch in 70 s; best 0.9000 (trial 4) | {SUMMARY}",
        "s ended after 70 s: 1 trial done, 0 stopped early, 0 failed; best val_accuracy 0.9000 (trial 4)",
    ]


def test_rich_without_numbers_of_trials_and_epochs() -> None:
    clock, file = Clock(), io.StringIO()
    progress = RichProgress(console=Console(file=file, width=100), clock=clock)
    search_without_numbers(progress, clock)
    text = " ".join(rendered(progress, 100).split())
    assert "trials 0 done 0 stopped early, 0 failed" in text
    assert "epoch 1 val_accuracy 0.9000" in text
    assert text.endswith("time 0:01:10 elapsed")
    progress.trial_ended(number=4, state="COMPLETE", value=0.9, seconds=70.0)
    progress.search_ended()
    assert "1 done  0 stopped early, 0 failed" in file.getvalue()
