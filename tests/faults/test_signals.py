"""A search obeys a signal, whenever it comes: one line, nothing lost; the second signal ends it within a second.

The variable KERASTUNA_SIGNALS says how many signals are sent; `make faults` sends 500.
"""

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import optuna
from command_server import Command, CommandServer
from optuna.trial import FrozenTrial, TrialState

from kerastuna.search.commands.cli import INTERRUPTED
from kerastuna.search.study.storage import open_storage
from kerastuna.search.training.interruption import TOGETHER_SECONDS

SIGNALS = int(os.environ.get("KERASTUNA_SIGNALS", "24"))
SEED = int(os.environ.get("KERASTUNA_SEED", "0"))
LONGEST = 2.0
"""Seconds to a signal: from the beginning of the command, or from that of the search, when it takes a trial."""
SEARCH = (
    *("search", "--space", "tiny_space:build", "--data", "tiny.npz", "--budget", "2000", "--study", "tiny"),
    *("--device", "cpu", "--workers", "1", "--pruner", "none", "--no-confirm", "--epochs", "100000"),
)


def trials_of(folder: Path) -> list[FrozenTrial]:
    storage = open_storage(folder / "mlruns" / "optuna.journal")
    if "tiny" not in optuna.get_all_study_names(storage):
        return []
    return optuna.load_study(study_name="tiny", storage=storage).get_trials(deepcopy=False)


def running_among(trials: list[FrozenTrial]) -> set[int]:
    return {trial.number for trial in trials if trial.state == TrialState.RUNNING}


def check(trials: list[FrozenTrial], *, forced: bool, before: set[int], told: str) -> int:
    """What is stored after a signal; returns how many interruptions of trials there were so far.

    Args:
        before: the trials that were running before the command that was ended: a forced end left them, and a command
            that ends early does not look for them.
    """
    running = running_among(trials)
    assert forced or running <= before, told
    assert [trial.number for trial in trials] == list(range(len(trials)))
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert {trial.user_attrs["reason"] for trial in failed} <= {"interrupted"}, told
    retried = Counter(trial.user_attrs.get("retry_of") for trial in trials)
    assert all(retried[trial.number] == 1 for trial in failed), told
    waiting = [trial for trial in trials if trial.state == TrialState.WAITING]
    assert len(waiting) + len(running) <= 1, told  # the one point is tried again and again, and is never lost
    assert not failed or waiting or running, told
    return len(failed)


def obeyed(command: Command, number: signal.Signals, second: signal.Signals | None) -> tuple[str, float]:
    """Send the signals; returns how the command ended, and the seconds that it took since the last of them."""
    sent = time.monotonic()
    command.send(number)
    if second is not None:
        time.sleep(TOGETHER_SECONDS + 0.05)
        if not command.has_ended:
            sent = time.monotonic()
            command.send(second)
    assert command.wait() == INTERRUPTED, command.output
    seconds = time.monotonic() - sent
    assert "Traceback" not in command.output, command.output
    last = command.output.strip().splitlines()[-1]
    assert "nothing that was finished is lost. To go on: kerastuna search " in last, command.output
    kind = last.removeprefix("kerastuna: ").partition(";")[0]
    assert kind in ("interrupted", "ended at once by the second signal"), last
    return kind, seconds


def test_every_signal_is_obeyed_at_whatever_moment(server: CommandServer, tmp_path: Path) -> None:
    draw, how, longest, interrupted, running = random.Random(SEED), Counter[str](), Counter[str](), 0, set[int]()
    began = time.monotonic()
    for place in range(SIGNALS):
        command = server.start(*SEARCH, "--trials", "1")
        command.wait_for_handlers()
        if place % 2:
            command.wait_for("study tiny")
        time.sleep(draw.uniform(0, LONGEST))
        number, second = (draw.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)) for _ in range(2))
        print(f"signal {place}: {number.name}", flush=True)  # shown where it is not obeyed
        kind, seconds = obeyed(command, number, second if place % 8 in (0, 1) else None)
        how[kind] += 1
        longest[kind] = max(longest[kind], round(seconds, 2))  # type: ignore[assignment]
        told = f"signal {place}, {number.name}: {command.output}"
        trials = trials_of(tmp_path)
        interrupted = check(trials, forced=kind != "interrupted", before=running, told=told)
        running = running_among(trials)
    print(
        f"\n{SIGNALS} signals, all obeyed in {time.monotonic() - began:.0f} s: {dict(how)}; longest {dict(longest)} s; "
        f"{interrupted} met a trial"
    )
    assert interrupted > SIGNALS / 10  # the moments are spread over the search
