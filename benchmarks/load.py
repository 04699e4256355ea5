"""How long a search takes to begin, to propose and to end in a study that has thousands of trained trials.

    python benchmarks/load.py [--trials 1000 5000 10000] [--claims 30] [--folder FOLDER] [--profile PART]

The study is `ConvNet` under 15,000 parameters in a journal file, with runs in MLflow's SQLite database. Nothing is
trained: each trial gets a made-up history of five epochs, a third of them is stopped early, and refused proposals lie
between them as random sampling makes them. Each study is measured in a process of its own, as `kerastuna search` would
go on with it. Seconds are of the wall clock, and in brackets of the processor. `--folder` keeps the studies for the
next call. `--profile` prints where the time of one part goes.
"""

import argparse
import cProfile
import json
import math
import os
import pstats
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from kerastuna.search import OptunaTuner
from kerastuna.search.commands.session import log_report
from kerastuna.search.display.progress import make_progress
from kerastuna.search.display.search_observer import ProgressObserver
from kerastuna.search.display.summary import Commands, SearchResult, print_summary
from kerastuna.search.proposals.claims import Claim
from kerastuna.search.proposals.distributions import ParameterSpace
from kerastuna.search.study.attributes import SEED
from kerastuna.search.study.budget import Budget
from kerastuna.search.study.events import Announcer, SearchObserver, TrialRecord
from kerastuna.search.study.liveness import claim_attributes
from kerastuna.search.study.stored_study import StoredStudy
from kerastuna.search.tracking.recorder import TrackingObserver
from kerastuna.search.tracking.store import default_tracking_uri, open_client
from kerastuna.search.tracking.tracker import Tracker
from kerastuna.search.training.garbage import old_objects_passed_over
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.cost import cost
from kerastuna.spaces.errors import InfeasibleArchitecture
from kerastuna.spaces.point import Point

BUDGET = Budget(15_000)
EPOCHS = 5
NAME = "load"
TAGS = {"device": "none", "backend": "none", "git_commit": "0" * 40, "data_fingerprint": "0" * 16}
MANY_TRIALS = 1_000_000


@final
class Collected(BaseJournalBackend):
    """The journal of a study in memory, to be written at once: a file that is synced at every line takes minutes."""

    def __init__(self, path: Path) -> None:
        self._file = JournalFileBackend(str(path))
        self._logs = list(self._file.read_logs(0))
        self._written = len(self._logs)

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self._logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._logs += json.loads(json.dumps(logs))

    def write(self) -> None:
        self._file.append_logs(self._logs[self._written :])
        self._written = len(self._logs)


@final
class Clock(SearchObserver):
    """Milliseconds of refusals and claims, by the wall clock and by the processor."""

    def __init__(self) -> None:
        self.refusals: list[tuple[float, float]] = []
        self.claims: list[tuple[float, float]] = []
        self.restart()

    def restart(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def lap(self, times: list[tuple[float, float]]) -> None:
        wall, processor = self._began
        times.append((1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - processor)))
        self.restart()

    def proposal_refused(self, record: TrialRecord) -> None:
        self.lap(self.refusals)

    def trial_started(self, record: TrialRecord) -> None:
        self.lap(self.claims)


@final
@dataclass
class Parts:
    """Seconds by part, each of the wall clock and of the processor."""

    seconds: dict[str, tuple[float, float]]
    profiled: str | None

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure the block as `name`."""
        profile = cProfile.Profile() if name == self.profiled else None
        wall, processor = time.perf_counter(), time.process_time()
        if profile:
            profile.enable()
        try:
            yield
        finally:
            if profile:
                profile.disable()
                pstats.Stats(profile, stream=sys.stderr).sort_stats("cumulative").print_stats(45)
            self.seconds[name] = time.perf_counter() - wall, time.process_time() - processor


def open_tuner(folder: Path, observers: Sequence[SearchObserver] = ()) -> OptunaTuner:
    """The study in `folder`, opened as the command does."""
    with redirect_stdout(sys.stderr):  # KerasTuner prints that it reloads
        return OptunaTuner(
            ConvNet(),
            objective="val_accuracy",
            max_trials=MANY_TRIALS,
            budget=BUDGET,
            storage=folder / "optuna.journal",
            study_name=NAME,
            seed=0,
            tracking_uri="",
            identity={"data": {"images": 4000}, "epochs": EPOCHS},
            observers=observers,
            directory=folder / "trials",
            project_name=NAME,
        )


def build(folder: Path, trained: int) -> None:
    """Make a study with so many trained trials in `folder`, with its runs in MLflow."""
    tuner = open_tuner(folder)
    tuner.oracle.study.set_user_attr("search_seconds", 1.0)
    journal = Collected(folder / "optuna.journal")
    storage = JournalStorage(journal)
    stored = StoredStudy(optuna.load_study(study_name=NAME, storage=storage), storage)
    trials = MadeUpTrials(stored, tuner)
    trials.add_trained()
    recorder = TrackingObserver(open_tracker(folder), TAGS)
    recorder.search_started(stored.study, tuner.oracle.search_record(EPOCHS))  # records the first trial
    recorder.search_ended("FINISHED")
    while trials.trained < trained:
        trials.add_trained()
    copy_runs(folder / "mlflow.db", stored.trials())
    journal.write()
    recorder.search_ended("FINISHED")  # notes that the runs are complete


def open_tracker(folder: Path) -> Tracker:
    """MLflow beside the study."""
    uri = default_tracking_uri(folder)
    return Tracker(uri, "kerastuna-load", artifact_root=folder / "artifacts", warn=lambda line: sys.exit(line))


@final
class MadeUpTrials:
    """Random trials with made-up histories: written as a search writes them, but without training."""

    def __init__(self, stored: StoredStudy, tuner: OptunaTuner) -> None:
        self._stored = stored
        self._space: ParameterSpace = tuner.oracle.parameter_space
        self._declared = tuner.oracle.get_space().space
        self._network = ConvNet()
        self._draw = random.Random(0)
        self.trained = 0

    def add_trained(self) -> None:
        """Add a trained trial, after the refused proposals that come before it."""
        while True:
            values: dict[str, Any] = {}
            for hp in self._declared:
                if all(condition.is_active(values) for condition in hp.conditions):
                    values[hp.name] = hp.random_sample(self._draw.randrange(2**32))
            try:
                counted = cost(self._network.architecture(Point(values)))
            except InfeasibleArchitecture as error:
                self._add(values, TrialState.PRUNED, {"reason": "infeasible", "message": str(error)})
                continue
            size = {"params": counted.params, "macs": counted.macs, "activations": counted.peak_activation_bytes}
            size |= {"summary": self._network.architecture(Point(values)).summary}
            if counted.params <= BUDGET.limits["params"]:
                self._train(values, size)
                return
            message = f"{counted.params:,} parameters, more than {BUDGET.limits['params']:,}"
            refusal = {"reason": "over_budget", "message": message, "limits": ["params"]}
            self._add(values, TrialState.PRUNED, refusal | size)

    def _add(self, values: Mapping[str, Any], state: TrialState, attributes: Mapping[str, Any]) -> int:
        params, distributions = self._space.encode(values)
        own = {"hyperparameters": dict(values), **attributes}
        return self._stored.add(create_trial(state=state, params=params, distributions=distributions, user_attrs=own))

    def _train(self, values: Mapping[str, Any], size: Mapping[str, Any]) -> None:
        number = self._add(values, TrialState.RUNNING, {**size, **claim_attributes()})
        claim = Claim(self._stored, Announcer(), number, values)
        claim.keep(**{SEED: self._draw.randrange(2**32)})
        if self.trained:
            claim.keep(mlflow_run_id=uuid.UUID(int=self._draw.getrandbits(128)).hex)
        distance = math.log10(values["learning_rate"]) + 2.5
        reached = 0.9 + 0.008 * math.log10(size["params"]) - 0.02 * distance**2 + self._draw.gauss(0, 0.004)
        epochs = self._draw.randint(1, EPOCHS - 1) if self._draw.random() < 1 / 3 else EPOCHS
        history: list[dict[str, float]] = []
        for epoch in range(1, epochs + 1):
            value = reached - 0.3 * math.exp(-epoch)
            rates = {"loss": 1.1 - value, "val_loss": 1.15 - value, "learning_rate": values["learning_rate"]}
            history.append({"accuracy": value - 0.01, "val_accuracy": value, **rates, "seconds": 4.0})
            claim.report(epoch, history[-1], value, None)
        claim.keep_history(history)
        if epochs < EPOCHS:
            claim.stop({})
        else:
            claim.complete(history[-1]["val_accuracy"], [history[-1]["val_accuracy"]], {})
        self.trained += 1


def copy_runs(database: Path, trials: Sequence[FrozenTrial]) -> None:
    """Write runs for `trials` into MLflow's tables, after the one run that MLflow itself wrote."""
    with closing(sqlite3.connect(database)) as rows, rows:
        rows.row_factory = sqlite3.Row
        (model,) = rows.execute("SELECT * FROM runs WHERE name LIKE 'trial-%'").fetchall()
        own = {
            row["key"]: row["value"]
            for row in rows.execute("SELECT * FROM tags WHERE run_uuid = ?", [model["run_uuid"]])
        }
        for trial in trials:
            attributes = trial.user_attrs
            if "mlflow_run_id" not in attributes:
                continue
            run_id, name = attributes["mlflow_run_id"], f"trial-{trial.number:04d}"
            assert trial.datetime_start is not None
            assert trial.datetime_complete is not None
            start, end = (round(1000 * at.timestamp()) for at in (trial.datetime_start, trial.datetime_complete))
            status = "FINISHED" if trial.state == TrialState.COMPLETE else "KILLED"
            changed = {"run_uuid": run_id, "name": name, "status": status, "start_time": start, "end_time": end}
            changed["artifact_uri"] = model["artifact_uri"].replace(model["run_uuid"], run_id)
            _insert(rows, "runs", [dict(model) | changed])
            tags = own | {"mlflow.runName": name, "architecture": attributes["summary"], "seed": attributes["seed"]}
            tags |= {"trial.number": trial.number, "trial.state": trial.state.name}
            tags |= {"trial.reason": attributes["reason"]} if "reason" in attributes else {}
            _insert(
                rows, "tags", [{"key": key, "value": str(value), "run_uuid": run_id} for key, value in tags.items()]
            )
            params = attributes["hyperparameters"].items()
            _insert(rows, "params", [{"key": key, "value": str(value), "run_uuid": run_id} for key, value in params])
            points = {(name, 0): attributes[name] for name in ("params", "macs", "activations", "seconds")}
            points["value", 0] = attributes["history"][-1]["val_accuracy"]
            for step, epoch in enumerate(attributes["history"], start=1):
                points |= {("epoch_seconds" if key == "seconds" else key, step): value for key, value in epoch.items()}
            metrics = [
                {"key": key, "step": step, "value": value, "timestamp": end, "is_nan": 0, "run_uuid": run_id}
                for (key, step), value in points.items()
            ]
            _insert(rows, "metrics", metrics)
            _insert(rows, "latest_metrics", list({metric["key"]: metric for metric in metrics}.values()))


def _insert(rows: sqlite3.Connection, table: str, values: Sequence[Mapping[str, Any]]) -> None:
    columns = list(values[0])
    places = ", ".join("?" for _ in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    rows.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", [tuple(row.values()) for row in values])


def measure(folder: Path, claims: int, profiled: str | None, began: float) -> dict[str, Any]:
    """Go on with the study in `folder` as `kerastuna search` does, and end it; what each part took."""
    parts = Parts({"imports": (time.perf_counter() - began, time.process_time())}, profiled)
    clock, progress = Clock(), make_progress()
    with parts.part("MLflow opened"):
        tracker = open_tracker(folder)
    recorder = TrackingObserver(tracker, TAGS)
    observers = (ProgressObserver(progress, "quick", None), recorder, clock)
    with parts.part("study opened"):
        tuner = open_tuner(folder, observers)
        tuner.oracle.remaining_trials()
    oracle, began = tuner.oracle, time.perf_counter()
    oracle.verbose = 0  # as the command does
    search = ExitStack()
    with parts.part("search started"):
        search.enter_context(old_objects_passed_over())  # as `OptunaTuner.search` does
        search.enter_context(oracle.searching(epochs=EPOCHS))
    with parts.part("first proposal"):
        trial = oracle.create_trial(tuner.tuner_id)
    _end(tuner, trial)
    with parts.part("further proposals"):
        clock.refusals, clock.claims = [], []
        for _ in range(claims):
            clock.restart()
            trial = oracle.create_trial(tuner.tuner_id)
            _end(tuner, trial)
    with parts.part("search ended"):
        search.close()
    with parts.part("report"):
        log_report(oracle.study, tracker)
    with parts.part("summary"), open(os.devnull, "w") as nowhere:
        result = SearchResult(
            study=oracle.study,
            profile="quick",
            epochs=EPOCHS,
            images=4000,
            unit="images",
            closed_form=True,
            champion=None,
            limits=BUDGET,
            tracking_uri=tracker.tracking_uri,
            study_run=tracker.study_run,
            seconds=time.perf_counter() - began,
        )
        commands = Commands("kerastuna", "", "", "kerastuna ui", None, "kerastuna search --profile full")
        print_summary(result, commands, nowhere)
    client = open_client(default_tracking_uri(folder))
    with parts.part("MLflow's first page"):
        page = client.search_runs(
            [tracker.experiment_id],
            f"tags.`kerastuna.study` = '{NAME}'",
            max_results=100,
            order_by=["metrics.`value` DESC"],
        )
    assert len(page) == 100
    return {
        "trials": len(oracle.study.trials),
        "parts": parts.seconds,
        "refusals": clock.refusals,
        "claims": clock.claims,
    }


def _end(tuner: OptunaTuner, trial: Any) -> None:
    """End a trial as if it had been trained for one epoch."""
    claim = tuner.oracle.claim_of(trial.trial_id)
    assert claim is not None
    claim.keep_history([{"val_accuracy": 0.9, "seconds": 1.0}])
    tuner.oracle.update_trial(trial.trial_id, {"val_accuracy": 0.9})
    trial.status = "COMPLETED"
    tuner.oracle.end_trial(trial)


def main() -> None:
    """Measure, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--trials", type=int, nargs="+", default=[1000, 5000, 10000], help="trained trials in the study"
    )
    parser.add_argument("--claims", type=int, default=30, help="trials that are claimed and ended")
    parser.add_argument("--folder", type=Path, help="keeps the studies")
    parser.add_argument("--profile", metavar="PART", help="print where its time goes")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if options.measure:
        print(json.dumps(measure(options.measure, options.claims, options.profile, options.began)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        for trained in options.trials:
            kept = (options.folder or Path(temporary)) / str(trained)
            if not kept.exists():
                began = time.perf_counter()
                build(kept, trained)
                print(f"built in {time.perf_counter() - began:.0f} s", file=sys.stderr)
            with tempfile.TemporaryDirectory() as copied:
                shutil.copytree(kept, copied, dirs_exist_ok=True)
                arguments = ["--measure", copied, "--claims", str(options.claims), "--began", str(time.perf_counter())]
                arguments += ["--profile", options.profile] if options.profile else []
                command = [sys.executable, __file__, *arguments]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
            if options.profile:
                print(done.stderr, file=sys.stderr)
            print_measured(trained, json.loads(done.stdout.splitlines()[-1]))


def print_measured(trained: int, measured: Mapping[str, Any]) -> None:
    """Print the seconds of each part, and the milliseconds of proposals."""
    print(f"\n{trained:,} trained of {measured['trials']:,} trials: seconds (of the processor)")
    for name, (wall, processor) in measured["parts"].items():
        print(f"  {name:22}{wall:8.2f}  ({processor:.2f})")
    print(f"  {'':22}milliseconds: median (of the processor; n)")
    for name in ("refusals", "claims"):
        walls, processors = zip(*measured[name], strict=True)
        middle = f"{statistics.median(walls):8.1f}  ({statistics.median(processors):.1f}; {len(walls)})"
        print(f"  {name:22}{middle}", flush=True)


if __name__ == "__main__":
    main()
