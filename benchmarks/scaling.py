"""Trials a minute with 1 to 16 workers on each kind of storage, what a trial costs the storage, and reading a study.

    kerastuna bench scaling [--quick] [--workers 1 2 4 8 16] [--storages journal sqlite postgresql grpc] [--repeats 3]
        [--trials 3] [--seconds 2] [--running 1 10 100 1000]

Nothing is trained: a trial sleeps as if a GPU trained it, and reports 20 epochs with a made-up score. Everything else
is as in a search: `ConvNet` under 15,000 parameters, TPE, and the usual pruner, which is asked after every epoch, but
never obeyed, so that all trials take equally long. Each worker is a process with a tuner of its own. They are started
once, and measured from the moment at which all have opened the study. PostgreSQL, the gRPC proxy before another
database on it, and all workers run on this machine. Then one process reads a study in which 1 to 1,000 trials run, as
every worker does for a proposal.
"""

import argparse
import contextlib
import json
import math
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

import servers  # noqa: E402
from helpers.command import write_whole  # noqa: E402

STORAGES = ("journal", "sqlite", "postgresql", "grpc")
RESULTS = ROOT / "benchmarks" / "results"
EPOCHS = 20


# What a worker does


def work() -> None:
    """Do the searches that are named on standard input, one JSON object a line."""
    import optuna
    from optuna.pruners import BasePruner
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from sqlalchemy.pool import Pool

    from kerastuna.search import OptunaTuner
    from kerastuna.search.proposals.cautious_pruner import CautiousPruner
    from kerastuna.search.proposals.pruners import named_pruner
    from kerastuna.search.study.proxy import SCHEME
    from kerastuna.search.study.storage import open_storage
    from kerastuna.spaces.convnet import ConvNet

    counts: Counter[str] = Counter()

    def counting(function: Any, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            return function(*args, **kwargs)

        return call

    usual = CautiousPruner(named_pruner("halving", EPOCHS), EPOCHS)

    class Disobeyed(BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            usual.prune(study, trial)
            return False

    class Sleeper(OptunaTuner):
        def run_trial(self, trial: Any, *args: Any, seconds: float, **kwargs: Any) -> float:
            for epoch in range(1, EPOCHS + 1):
                time.sleep(seconds / EPOCHS)
                metrics = {"val_accuracy": 1 - 1 / (epoch + 1), "loss": 1 / epoch, "seconds": seconds / EPOCHS}
                self.oracle.report(trial.trial_id, epoch, metrics, EPOCHS)
            return 1 - 1 / (EPOCHS + 1)

    event.listen(Engine, "before_cursor_execute", lambda *args: counts.update(["statements"]))
    event.listen(Pool, "connect", lambda *args: counts.update(["connections"]))
    event.listen(Engine, "commit", lambda *args: counts.update(["commits"]))
    optuna.Study.get_trials = counting(optuna.Study.get_trials, "reads")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    counted = False
    print("started", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        counts.clear()
        storage = open_storage(job["storage"])
        if job["storage"].startswith(SCHEME) and not counted:
            counted = True
            kind = type(storage)
            for name in [name for name in vars(kind) if name.startswith(("get_", "set_", "create_"))]:
                setattr(kind, name, counting(getattr(kind, name), "calls"))
        tuner = Sleeper(
            ConvNet(),
            "val_accuracy",
            job["trials"],
            budget=15_000,
            pruner=Disobeyed(),
            storage=storage,
            study_name=job["study"],
            seed=0,
            tracking_uri="",
            directory=job["folder"],
            project_name="scaling",
        )
        tuner.oracle.study  # noqa: B018  opens it
        print("ready", flush=True)
        sys.stdin.readline()
        connections = counts["connections"]
        counts.clear()
        before = resource.getrusage(resource.RUSAGE_SELF)
        tuner.search(seconds=job["seconds"], verbose=0)
        after = resource.getrusage(resource.RUSAGE_SELF)
        counts["connections"] += connections
        counts["cpu_ms"] = round(1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
        print(json.dumps(counts), flush=True)


# Trials a minute


@final
class Workers:
    """Worker processes that wait for searches; they end with the block."""

    def __init__(self, count: int) -> None:
        # The backend that is imported fastest, and takes the least memory.
        environment = os.environ | {"KERAS_BACKEND": "jax", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-W", "ignore", __file__, "--work"]
        self._all = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
            for _ in range(count)
        ]
        self._hear(self._all, "started")

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._all:
            process.kill()
            process.wait()

    def search(self, count: int, **job: Any) -> tuple[float, Counter[str]]:
        """Let `count` workers search; returns the seconds it took, and what they counted together."""
        used = self._all[:count]
        for number, process in enumerate(used):
            self._tell(process, json.dumps(job | {"folder": f"{job['folder']}/{number}"}))
            self._hear([process], "ready")  # one after the other: the first one makes the study
        began = time.perf_counter()
        for process in used:
            self._tell(process, "go")
        counts: Counter[str] = Counter()
        for process in used:
            counts.update(json.loads(self._line(process)))
        return time.perf_counter() - began, counts

    def _tell(self, process: subprocess.Popen[str], line: str) -> None:
        assert process.stdin is not None
        process.stdin.write(f"{line}\n")
        process.stdin.flush()

    def _line(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        if not (line := process.stdout.readline()):
            raise SystemExit("a worker has died")
        return line.strip()

    def _hear(self, processes: Sequence[subprocess.Popen[str]], word: str) -> None:
        for process in processes:
            if (line := self._line(process)) != word:
                raise SystemExit(f"a worker said {line!r} in place of {word!r}")


@final
@dataclass(frozen=True)
class Rate:
    """What workers did on one storage.

    Attributes:
        storage, workers: as asked for.
        per_minute: trained trials a minute, of each repetition.
        traffic: of a trained trial, with the refused proposals before it: what was counted, by name.
        load: the machine's load average over one minute, before each repetition.
    """

    storage: str
    workers: int
    per_minute: Sequence[float]
    traffic: dict[str, float]
    load: Sequence[float]


def rate(workers: Workers, count: int, kind: str, locations: dict[str, str], options: argparse.Namespace) -> Rate:
    """Measure `count` workers on a storage of this kind, each time with a study of its own."""
    trials, rates, loads = count * options.trials, [], []
    totals: Counter[str] = Counter()
    for _ in range(options.repeats):
        folder, location = fresh(kind, locations)
        loads.append(round(os.getloadavg()[0], 1))
        seconds, counts = workers.search(
            count, storage=location, study="scaling", folder=folder, trials=trials, seconds=options.seconds
        )
        assert trained(location) == trials, "not the trials that were asked for"
        rates.append(round(60 * trials / seconds, 1))
        totals.update(counts)
        if kind == "journal":
            text = Path(location).read_bytes()
            totals.update(bytes=len(text), lines=text.count(b"\n"))
        shutil.rmtree(folder)
    connections = totals.pop("connections", 0) / (count * options.repeats)
    everything = trials * options.repeats
    traffic = {name: round(number / everything, 1) for name, number in sorted(totals.items())}
    traffic |= {"connections of a worker": round(connections, 1)} if connections else {}
    return Rate(kind, count, rates, traffic, loads)


def fresh(kind: str, locations: dict[str, str]) -> tuple[str, str]:
    """A folder, and an empty storage of this kind."""
    folder = tempfile.mkdtemp(prefix="kerastuna-scaling-")
    if kind == "journal":
        return folder, f"{folder}/journal"
    if kind == "sqlite":
        return folder, f"sqlite:///{folder}/studies.db"
    delete_study(locations[kind])
    return folder, locations[kind]


def delete_study(location: str) -> None:
    import optuna

    from kerastuna.search.study.storage import open_storage

    storage = open_storage(location)
    for name in optuna.get_all_study_names(storage):
        optuna.delete_study(study_name=name, storage=storage)


def trained(location: str) -> int:
    import optuna

    from kerastuna.search.study.attributes import is_trained
    from kerastuna.search.study.storage import open_storage

    study = optuna.load_study(study_name="scaling", storage=open_storage(location))
    return sum(map(is_trained, study.get_trials(deepcopy=False)))


# Reading a study


@final
@dataclass(frozen=True)
class Read:
    """How long it takes to read a study in which `running` trials run, when one of them has reported an epoch."""

    storage: str
    running: int
    milliseconds: Sequence[float]


def reads(kind: str, location: str, running: Sequence[int], repeats: int) -> list[Read]:
    """Measure the reading of a study with more and more running trials, each in its tenth epoch."""
    import optuna
    from optuna.distributions import BaseDistribution, FloatDistribution
    from optuna.trial import TrialState, create_trial

    from kerastuna.search.study.liveness import claim_attributes
    from kerastuna.search.study.storage import open_storage
    from kerastuna.search.study.stored_study import StoredStudy

    storage = open_storage(location)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=storage, study_name="reading")
    stored = StoredStudy(study, storage)
    params = {f"p{number}": 0.5 for number in range(20)}
    space: dict[str, BaseDistribution] = {name: FloatDistribution(0, 1) for name in params}
    attributes = {"hyperparameters": params, "params": 14_000, "macs": 900_000, "seed": 1, "summary": "8 | 16 | gap"}
    made, measured = 0, []
    for wanted in running:
        while made < wanted:
            trial = create_trial(
                state=TrialState.RUNNING,
                params=params,
                distributions=space,
                user_attrs=attributes | claim_attributes(),
                intermediate_values={epoch: 0.1 * epoch for epoch in range(10)},
            )
            stored.add(trial)
            made += 1
        study.get_trials(deepcopy=False)
        took = []
        for _ in range(repeats):
            stored.keep(0, last_seen=time.time())
            began = time.perf_counter()
            study.get_trials(deepcopy=False)
            took.append(round(1000 * (time.perf_counter() - began), 1))
        measured.append(Read(kind, wanted, took))
    return measured


# The report


def machine() -> dict[str, str]:
    """The machine and the versions."""
    import sqlite3

    info = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(": ")[2] for line in info.splitlines() if line.startswith("model name")), "unknown")
    packages = ("optuna", "sqlalchemy", "psycopg", "grpcio", "keras-tuner")
    return {
        "processor": f"{len(os.sched_getaffinity(0))} cores of {model}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "python": sys.version.partition(" ")[0],
        **{name: version(name) for name in packages},
        "sqlite": sqlite3.sqlite_version,
    }


def spread(values: Sequence[float]) -> str:
    """The median, with the least and the greatest."""
    middle = statistics.median(values)
    digits = 0 if middle >= 10 else 1
    return f"{middle:,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def command_of(options: argparse.Namespace) -> str:
    """The command that measures with these options, the usual ones included, whatever is usual later."""
    words = ["kerastuna", "bench", "scaling"]
    for name in ("workers", "storages", "repeats", "trials", "seconds", "running"):
        value = getattr(options, name)
        words += [f"--{name}", *(f"{one:g}" if isinstance(one, float) else str(one) for one in as_list(value))]
    return " ".join(words)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def report(result: dict[str, Any]) -> str:
    """The results as Markdown."""
    rates, options = result["rates"], result["options"]
    counts = sorted({each["workers"] for each in rates})
    lines = [
        "# Scaling",
        "",
        *(f"    {command}" for command in result["commands"]),
        "",
        f"Trained trials a minute, the median of {options['repeats']} with the least and the greatest. "
        f"A trial sleeps {options['seconds']:g} s and reports {EPOCHS} epochs; {options['trials']} trials a worker.",
        "",
        "| Storage | " + " | ".join(f"{count} worker{'s' * (count > 1)}" for count in counts) + " |",
        "|---" * (1 + len(counts)) + "|",
        "| at best | " + " | ".join(f"{60 * count / options['seconds']:,.0f}" for count in counts) + " |",
    ]
    kinds = list(dict.fromkeys(each["storage"] for each in rates))
    for kind in kinds:
        own = {each["workers"]: spread(each["per_minute"]) for each in rates if each["storage"] == kind}
        lines.append(f"| {kind} | " + " | ".join(own.get(count, "") for count in counts) + " |")
    lines += [
        "",
        "What a trained trial costs, with the refused proposals before it. `cpu_ms`: of the processor, in the worker. "
        "`reads`: of the whole study, for proposals and where the pruner compares.",
        "",
        "| Storage | Workers | Cost |",
        "|---|---|---|",
    ]
    for each in rates:
        if each["traffic"] and each["workers"] in (counts[0], counts[-1]):
            told = ", ".join(f"{name} {number:,.0f}" for name, number in each["traffic"].items())
            lines.append(f"| {each['storage']} | {each['workers']} | {told} |")
    running = sorted({each["running"] for each in result["reads"]})
    lines += [
        "",
        "Milliseconds to read a study in which so many trials run, one of which has just reported.",
        "",
        "| Storage | " + " | ".join(f"{number:,}" for number in running) + " |",
        "|---" * (1 + len(running)) + "|",
    ]
    for kind in dict.fromkeys(each["storage"] for each in result["reads"]):
        own = {each["running"]: spread(each["milliseconds"]) for each in result["reads"] if each["storage"] == kind}
        lines.append(f"| {kind} | " + " | ".join(own.get(number, "") for number in running) + " |")
    loads = [load for each in rates for load in each["load"]]
    lines += [
        "",
        f"{result['date']}; " + ", ".join(f"{name} {value}" for name, value in result["machine"].items()) + ".",
        f"The machine's load average before a measurement was {min(loads):g} to {max(loads):g}, what was measured just "
        "before included.",
        "",
    ]
    return "\n".join(lines)


@contextlib.contextmanager
def storages(wanted: Sequence[str], workers: int) -> Iterator[dict[str, str]]:
    """Start the servers that are needed; gives where the storages on them are."""
    locations: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        if {"postgresql", "grpc"}.intersection(wanted):
            try:
                url = stack.enter_context(servers.postgresql("fsync=on", f"max_connections={10 * workers + 50}"))
            except servers.CannotServe as error:
                raise SystemExit(f"{error}; leave postgresql and grpc out of --storages") from error
            locations["postgresql"] = servers.new_database(url, "direct")
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kerastuna-scaling-")))
            if "grpc" in wanted:
                behind = servers.new_database(url, "behind_proxy")
                locations["grpc"] = stack.enter_context(servers.grpc_proxy(behind, folder))
        yield locations


def problem_with(options: argparse.Namespace) -> str | None:
    """What cannot be measured, in one line."""
    for name in ("workers", "repeats", "trials", "running"):
        if (least := min(as_list(getattr(options, name)))) < 1:
            return f"--{name} {least}: give 1 or more"
    if not 0 < options.seconds < math.inf:
        return f"--seconds {options.seconds:g}: give a number above 0"
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"--output {options.output}: {error.strerror}; give a folder"
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the results; returns the exit status: 2 for what cannot be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    add("--storages", nargs="+", choices=STORAGES, default=list(STORAGES))
    add("--repeats", type=int, default=3, metavar="N", help="measurements of each (3)")
    add("--trials", type=int, default=3, metavar="N", help="trials of each worker (3)")
    add("--seconds", type=float, default=2.0, help="of a trial (2)")
    add("--running", type=int, nargs="+", default=[1, 10, 100, 1000], help="running trials of a study that is read")
    add("--quick", action="store_true", help="1, 2 and 4 workers, once, and up to 100 running trials")
    add("--output", type=Path, default=RESULTS, metavar="FOLDER", help="for the two files (benchmarks/results)")
    add("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        work()
        return 0
    if options.quick:
        options.workers, options.repeats, options.trials, options.running = [1, 2, 4], 1, 2, [1, 10, 100]
    if problem := problem_with(options):
        print(f"scaling: {problem}", file=sys.stderr)
        return 2
    options.running = sorted(set(options.running))  # a study that is read only grows
    signal.signal(signal.SIGTERM, lambda *received: sys.exit(143))  # so that no server is left
    rates: list[Rate] = []
    read: list[Read] = []
    with storages(options.storages, max(options.workers)) as locations:
        for kind in options.storages:
            folder, location = fresh(kind, locations)
            read += reads(kind, location, options.running, 5)
            print(f"{kind}: read with {options.running[-1]} running trials in {spread(read[-1].milliseconds)} ms")
            shutil.rmtree(folder)
        with Workers(max(options.workers)) as workers:
            for count in options.workers:
                for kind in options.storages:
                    rates.append(rate(workers, count, kind, locations, options))
                    print(f"{count:2} workers, {kind:10}: {spread(rates[-1].per_minute)} trials a minute", flush=True)
                write(options, rates, read)  # what there is so far: the rest takes longest
    print(f"\n{(options.output / 'scaling.md').read_text()}\nwritten to {options.output}")
    return 0


def write(options: argparse.Namespace, rates: Sequence[Rate], read: Sequence[Read]) -> None:
    """Write scaling.json and scaling.md."""
    result = {
        "commands": [command_of(options)],
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "options": {name: getattr(options, name) for name in ("repeats", "trials", "seconds")},
        "rates": [asdict(each) for each in rates],
        "reads": [asdict(each) for each in read],
    }
    write_whole(options.output / "scaling.json", lambda new: new.write_text(json.dumps(result, indent=1) + "\n"))
    write_whole(options.output / "scaling.md", lambda new: new.write_text(report(result)))


if __name__ == "__main__":
    sys.exit(main())
