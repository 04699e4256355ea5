"""What the live display of a search shows."""

import io

from rich.console import Console

from kerastuna.search.display.live_table import live_table
from kerastuna.search.display.progress_state import RunningTrial, State


def shown(state: State, now: float) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(live_table(state, now))
    return console.export_text()


def test_every_running_trial_has_its_epoch_with_the_objective_first() -> None:
    state = State(objective="val_accuracy", study="s", profile="full", trials_total=4, trials_done=1, epochs=20)
    metrics = {"loss": 0.1, "val_accuracy": 0.97}
    for number, epoch in ((3, 2), (4, 0)):
        told = metrics if epoch else {}
        state = state.with_running(RunningTrial(number, f"network {number}", epoch, 20, metrics=told, began=90.0))
    lines = shown(state, 100.0).splitlines()
    assert lines[0].split() == ["study", "s", "full", "profile"]
    assert "1/4  0 stopped early, 0 failed" in lines[1]
    assert [line.split()[-2:] for line in lines if line.startswith("trial ")] == [["network", "3"], ["network", "4"]]
    epochs = [line for line in lines if line.startswith("epoch")]
    assert "2/20  epoch 3: 10 s  val_accuracy 0.9700  loss 0.1" in epochs[0]
    assert "0/20  epoch 1: 10 s" in epochs[1]
    assert "none yet" in shown(state, 100.0)
    assert "time left not known yet" in lines[-1]


def test_what_is_not_known_is_left_out() -> None:
    state = State("loss", "s", trials_done=3, trials_total=None, epochs=None)
    state = state.with_running(RunningTrial(4, "wide", 1, None, metrics={"loss": 0.5}, began=90.0))
    lines = [" ".join(line.split()) for line in shown(state, 100.0).splitlines()]
    assert lines == [
        "study s",
        "trials 3 done 0 stopped early, 0 failed",
        "trial 4 wide",
        "epoch 1 loss 0.5000",
        "best none yet",
        "skipped 0 over budget, 0 infeasible, 0 duplicate",
        "time 0:01:40 elapsed",
    ]


def test_more_trials_than_were_asked_for() -> None:
    state = State("loss", "s", trials_done=25, trials_total=3, epochs=3)
    assert "25 done, 3 asked for  0 stopped early, 0 failed" in shown(state, 0.0)
