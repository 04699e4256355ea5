"""The arguments of the command `kerastuna`, and what it says of a wrong one."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, final

from ..datasets.names import TASKS
from ..errors import InputError
from ..messages import one_line, shown
from ..proposals.names import PRUNER_NAMES, SAMPLER_NAMES
from ..study.boards import BOARDS
from .argument_values import amount_of, names, positive, seconds, target
from .options import DEFAULT_SPACE, PROFILES, RUNS_FOLDER, SPACES

Command = Callable[[argparse.Namespace], int]


class _Parser(argparse.ArgumentParser):
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if any("\0" in given for given in (sys.argv[1:] if args is None else args)):
            self.error("an argument holds the character NUL, which no name or path can hold")
        known, rest = super().parse_known_args(args, namespace)
        for name, value in vars(known).items():
            if value == [] and name != "arguments":  # Python before 3.13 takes the value of --study=-- for no value
                self.error(f"argument --{name.replace('_', '-')}: -- is no value")
        return known, rest

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {one_line(message, 500)}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(InputError.exit_status)


class _Version(argparse.Action):
    """As argparse's own, but the version is only looked up when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> NoReturn:
        from importlib.metadata import version

        print(f"kerastuna {version('kerastuna')}")
        parser.exit()


def make_parser(functions: Mapping[str, Command]) -> argparse.ArgumentParser:
    """The parser of the command; `functions` are what its subcommands call, by name."""
    parser = _Parser(prog="kerastuna", description="Find the best small Keras network that fits a hard budget.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version, and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    _add_search(_command(commands, "search", functions, "search until the study has its trials, or go on with it"))

    confirm = _command(commands, "confirm", functions, "retrain the best on fresh seeds, open the test set once")
    _add_study(confirm)
    _add_device(confirm)
    confirm.add_argument("--tracking-uri", metavar="URI", help="of MLflow, as in search")
    _add_confirmation(confirm)
    _add_json(confirm)

    export = _command(commands, "export", functions, "the champion in every format, each proven against Keras")
    _add_study(export)
    export.add_argument("--trial", type=int, metavar="N", help="a complete trial instead of the champion")
    export.add_argument("--reference", metavar="NAME", help="a known network instead, trained first: see reproduce")
    export.add_argument("--model", type=Path, metavar="FILE", help="a trained model in a .keras file instead")
    left_out = argparse.SUPPRESS  # the study or the reference knows its data
    export.add_argument("--data", default=left_out, help="with --model: what it was trained on, as in search (mnist)")
    export.add_argument("--task", choices=TASKS, default=left_out, help="with --model: as in search")
    export.add_argument("--target", metavar="COLUMN", default=left_out, help="with --model: as in search")
    export.add_argument("--images", type=positive, metavar="N", help="with --reference: training images (as quick)")
    export.add_argument("--epochs", type=positive, metavar="N", help="with --reference: epochs (as quick)")
    export.add_argument(
        "--formats", metavar="A,B", help="keras, savedmodel, onnx, litert, litert_int8, c_array, c_program"
    )
    export.add_argument("--out", type=Path, metavar="DIR", help="where to (export/STUDY)")
    export.add_argument("--test", action="store_true", help="check on the test set too: an opening, written down")
    _add_json(export)

    trials = _command(commands, "trials", functions, "the leaderboard of a study, any time")
    _add_study(trials)
    trials.add_argument("--top", type=positive, default=10, help="rows of the leaderboard (%(default)s)")
    trials.add_argument("--all", action="store_true", help="every trial by number, refused ones included")
    trials.add_argument("--trained", action="store_true", help="leave out what was refused untrained")
    _add_json(trials)

    studies = _command(commands, "studies", functions, "the studies there are")
    _add_storage(studies)
    studies.add_argument("--delete", metavar="NAME", help="delete a study and all its trials")
    studies.add_argument("--force", action="store_true", help="delete it also while a search works on it, which ends")
    _add_json(studies)

    repair = _command(commands, "repair", functions, "save what can be read of a damaged journal to a new file")
    _add_storage(repair)

    describe = _command(commands, "describe", functions, "layers, shapes and exact cost of a network")
    describe.add_argument("name", nargs="?", metavar="NAME", help="a known network: see reproduce")
    describe.add_argument("--trial", type=int, metavar="N", help="a trial of the study instead")
    describe.add_argument("--board", metavar="NAME", help=f"how it would run there: {', '.join(BOARDS)}")
    _add_study(describe)
    _add_json(describe)

    reproduce = _command(commands, "reproduce", functions, "train known networks, compare with what was published")
    reproduce.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="eip_1 to eip_5 (these five), compact-15000, compact-4000 or compact-2500",
    )
    reproduce.add_argument("--seeds", type=positive, default=5, metavar="N", help="trainings of each (%(default)s)")
    reproduce.add_argument("--epochs", type=positive, default=20, metavar="N", help="of each (%(default)s)")
    reproduce.add_argument("--images", type=positive, metavar="N", help="training images (all 60,000)")
    _add_device(reproduce)
    _add_folder(reproduce)
    _add_json(reproduce)

    ui = _command(commands, "ui", functions, "MLflow's user interface, on this machine only")
    ui.add_argument("--port", type=int, default=5000, help="(%(default)s)")
    ui.add_argument("--tracking-uri", metavar="URI", help="MLflow's database, if not the one in mlruns/")
    _add_folder(ui)

    dashboard = _command(commands, "dashboard", functions, "the studies in optuna-dashboard, on this machine only")
    dashboard.add_argument("--port", type=int, default=8080, help="(%(default)s)")
    _add_storage(dashboard)

    bench = _command(commands, "bench", functions, "the benchmarks of a source checkout; without a name, list them")
    bench.add_argument("name", nargs="?", metavar="NAME", help="a benchmark, such as peers")
    bench.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="the benchmark's own arguments")
    return parser


def _command(commands: Any, name: str, functions: Mapping[str, Command], text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False)
    command.set_defaults(command=functions[name])
    return command


def _add_search(search: argparse.ArgumentParser) -> None:
    add = search.add_argument
    add(
        "--space",
        type=lambda text: SPACES.get(text, text),
        default=DEFAULT_SPACE,
        help=f"{', '.join(SPACES)}, or module:attribute of a HyperModel or build function (convnet)",
    )
    add(
        "--data",
        default="mnist",
        help="mnist, another Keras image set, a .npz, .csv or .parquet file, a folder of images, of IDX files or of "
        "tables, or module:attribute (%(default)s)",
    )
    add("--task", choices=TASKS, default="auto", help="auto: whole numbers and names are classes (%(default)s)")
    add("--target", metavar="COLUMN", help="of a table: what is predicted (the last column)")
    add(
        "--objective",
        metavar="NAME[:max|min]",
        help="any metric that the training reports, or val_accuracy_int8, as on a chip (val_accuracy; val_loss where "
        "numbers are predicted)",
    )
    add("--budget", type=int, default=15000, metavar="N", help="most parameters in all (%(default)s)")
    add("--max-macs", type=amount_of(1000), metavar="N", help="most multiply-accumulates for an image, such as 3M")
    add(
        "--max-ram",
        type=amount_of(1024),
        metavar="BYTES",
        help="most bytes of RAM on a chip, such as 64K, which is 65,536: tflite-micro's arena for the int8 network",
    )
    add("--max-flash", type=amount_of(1024), metavar="BYTES", help="most bytes of flash on a chip: the int8 file")
    add(
        "--max-activations",
        type=amount_of(1024),
        metavar="BYTES",
        help="most bytes of activations at the peak: input plus output of a layer (float32, an image)",
    )
    add("--board", metavar="NAME", help=f"sets --max-ram and --max-flash: {', '.join(BOARDS)}")
    add("--pareto", type=names, metavar="A,B", help="look for a front: a metric and costs or other metrics")
    add("--minimize", metavar="COST", help="look for the smallest network by params, macs, ram or flash; with --reach")
    add("--reach", type=target, metavar="METRIC=VALUE", help="that reaches this, such as val_accuracy=0.99")
    add("--profile", choices=("auto", *PROFILES), default="auto", help="auto: full on a GPU, else quick")
    add("--trials", type=int, metavar="N", help="trained trials the study shall have in all")
    add("--epochs", type=int, metavar="N", help="epochs of a full trial")
    add("--images", type=int, metavar="N", help="training images")
    add(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="begin no epoch of the search after this time, such as 600 or 10m; the confirmation follows",
    )
    add("--trial-timeout", type=seconds, metavar="SECONDS", help="the trial fails that takes longer, such as 10m")
    add(
        "--fix",
        action=_Fix,
        metavar="NAME=VALUE",
        help="a hyperparameter that is not varied, such as optimizer=adam; several with commas, or again",
    )
    _add_device(search)
    add("--seed", type=int, default=0, metavar="N", help="of the split, the proposals and the training (%(default)s)")
    add(
        "--sampler",
        choices=SAMPLER_NAMES,
        default="tpe",
        help="Optuna's; gp and cmaes need the extra samplers (%(default)s)",
    )
    add(
        "--pruner",
        choices=PRUNER_NAMES,
        help="Optuna's: what stops a trial early (halving; with --reach, its distance)",
    )
    add("--study", metavar="NAME", help="name of the study (data-space-budget-profile)")
    add(
        "--no-warm-start",
        dest="warm_start",
        action="store_false",
        help="do not try the starting points of the space first",
    )
    add("--begin-with", metavar="STUDY", help="then try the best of another study first, such as one of fewer epochs")
    add("--no-confirm", dest="confirm", action="store_false", help="end with the search; kerastuna confirm goes on")
    _add_confirmation(search)
    add("--tracking-uri", metavar="URI", help="of MLflow (the variable MLFLOW_TRACKING_URI, else mlruns/mlflow.db)")
    _add_storage(search)
    _add_json(search)


@final
class _Fix(argparse.Action):
    """Collects NAME=VALUE and NAME=VALUE,NAME=VALUE, from every time that the option is given."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        fixed: dict[str, str] = dict(getattr(namespace, self.dest) or {})
        for pair in re.split(r",(?=[^,=]+=)", values):  # a value may contain a comma
            name, equals, value = (part.strip() for part in pair.partition("="))
            if not (name and equals and value):
                raise argparse.ArgumentError(self, f"{shown(pair)} is not of the form NAME=VALUE")
            if fixed.setdefault(name, value) != value:
                raise argparse.ArgumentError(self, f"{name} is fixed twice, at {fixed[name]} and {value}: give one")
        setattr(namespace, self.dest, fixed)


def _add_device(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--device", choices=("auto", "gpu", "cpu"), default="auto", help="what trains (%(default)s)")
    add(
        "--workers",
        type=_workers,
        default=os.environ.get("KERASTUNA_WORKERS", "auto"),
        metavar="N",
        help="processes that train at the same time; auto: one for each core, or --workers-per-gpu for each GPU (the "
        "variable KERASTUNA_WORKERS, else auto)",
    )
    add("--workers-per-gpu", type=_workers, default="auto", metavar="N", help="auto: two")
    add(
        "--ray",
        metavar="auto|HOST:PORT",
        help="a Ray cluster that has the workers; auto: that of RAY_ADDRESS or of this machine, else a new one",
    )
    add("--gpus-per-trial", type=float, metavar="N", help="with --ray: such as 0.25 (0.5 where there are GPUs)")


def _workers(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor auto") from None


def _add_confirmation(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--top", type=positive, metavar="K", help="trials to confirm (quick: 2, full: 3)")
    add("--seeds", type=positive, metavar="N", help="fresh seeds for each (quick: 2, full: 5)")
    add("--again", action="store_true", help="open the test set for the same winner once more, which is written down")
    add(
        "--int8",
        type=_switch,
        default=os.environ.get("KERASTUNA_INT8", "on"),
        metavar="on|off",
        help="measure what is confirmed in int8 too, as on a chip: seconds for each training (the variable "
        "KERASTUNA_INT8, else on)",
    )


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise argparse.ArgumentTypeError(f"{shown(text)} is neither on nor off")
    return text == "on"


def _add_study(command: argparse.ArgumentParser) -> None:
    command.add_argument("--study", metavar="NAME", help="name of the study (the one with the latest trial)")
    _add_storage(command)


def _add_storage(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--storage",
        metavar="URL",
        help="of the study: a database, a journal file (mlruns/optuna.journal) or grpc://HOST:PORT",
    )
    _add_folder(command)


def _add_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument("--folder", type=Path, default=RUNS_FOLDER, help="where runs are kept (%(default)s)")


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="JSON on standard output, and nothing else there")
