"""Which parts of a champion's recipe and network matter: it is trained again with one of them changed at a time.

    kerastuna bench ablations [compact-2500] [--seeds 5] [--first-seed 0] [--images 12000] [--epochs 10] [--folds K]
        [--workers 1] [--variants no-augmentation cosine ...] [--name ablations] [--overwrite]

The champion is one of `Compact` that `kerastuna reproduce` knows. It and its variants are trained on the same images of
MNIST from the same seeds, on a CPU, each training in one thread. The accuracy is that of the last epoch on the 6,000
validation images; the test images are not read. With --folds, it is that of a cross-validation: training and validation
images are shuffled once and cut into K parts, and the training of the seed n holds out the part n % K, on which it is
validated: more images, and most of them others than those that the champion was chosen by. Differences to the champion
are paired by the seed. A network that changes fills its share of the same budget: where a layer goes, the others get
wider. So each variant is counted before the first training: it must fit its input and the budget. No learning rate is
looked for anew.

After every training, NAME.json and .md are written to benchmarks/results/. Trainings of the same setting that are
in the file are kept: the same command goes on where it was interrupted, and another one adds seeds or variants.
"""

import argparse
import json
import math
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

from kerastuna.search.training.device import import_keras, prepare_environment, software, use_device

prepare_environment("cpu")  # before Keras is imported
import_keras()  # without what TensorFlow says

import numpy as np  # noqa: E402
from helpers.ablations_table import CHAMPION, Values, markdown  # noqa: E402
from helpers.command import Parser, at_least, interrupted_once, refused, write_whole  # noqa: E402

from kerastuna.search.datasets.data import Dataset, load_dataset  # noqa: E402
from kerastuna.search.display.progress_state import about  # noqa: E402
from kerastuna.search.errors import InfeasibleArchitecture, InputError, SearchFailed  # noqa: E402
from kerastuna.search.messages import counted  # noqa: E402
from kerastuna.search.training.train import train  # noqa: E402
from kerastuna.search.tuning.hyperparameters import declared_hyperparameters  # noqa: E402
from kerastuna.search.workers.pool import WorkerPool  # noqa: E402
from kerastuna.spaces.champions import CHAMPIONS  # noqa: E402
from kerastuna.spaces.compact import Compact  # noqa: E402
from kerastuna.spaces.cost import cost  # noqa: E402

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
NAME = "ablations"
ONE_THREAD = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "NPROC"), "1")

VARIANTS: Mapping[str, Values] = MappingProxyType(
    {
        "no-augmentation": {"augment": "none"},
        # Of 6, 0.06 and 0.14: no half is a value of the space; two thirds, a third and four sevenths are.
        "half-augmentation": {"rotation": 4.0, "shift": 0.02, "zoom": 0.08},
        "no-averaging": {"averaging": 0.0},
        "averaging-0.998": {"averaging": 0.998},
        "cosine": {"schedule": "cosine"},
        "inverse-time": {"schedule": "inverse_time", "decay_rate": 0.3},
        "adam-0.003": {"optimizer": "adam", "adam_rate": 0.003},
        "sgd-0.1": {"optimizer": "sgd", "sgd_rate": 0.1},
        "batch-32": {"batch_size": 32},
        "batch-128": {"batch_size": 128},
        "label-smoothing-0.1": {"label_smoothing": 0.1},
        "dropout-0.05": {"dropout": 0.05},
        "standard-convolutions": {"convolution": "standard"},
        "same-padding": {"padding": "same", "residual": False},
        "no-transition": {"transition": False},
        "depthwise-dense": {"head": "depthwise_dense"},
        "bias": {"bias": True},
        "conv-relu-bn": {"order": "conv_relu_bn"},
        "convs-3": {"convs": 3},
        "fill-1.0": {"fill": 1.0},
    }
)
"""By name, the values that differ from the champion's. Those whose conditions no longer hold are dropped."""

SHUFFLED_BY = 2026
"""The seed of the order in which the folds are cut."""


@final
@dataclass(frozen=True)
class Task:
    """A training, as a worker does it."""

    space: Compact
    values: Values
    seed: int
    epochs: int
    data: Dataset
    folds: int | None = None

    def __call__(self, channel: Any = None) -> dict[str, Any]:
        """The accuracy, or None and the problem where there is none; processor seconds, without the evaluation."""
        began, accuracy, problem = time.process_time(), None, ""
        try:
            point = declared_hyperparameters(self.space, self.values)
            data = without_fold(self.data, self.seed, self.folds)
            model: Any = train(self.space, point, self.seed, data.x_train, data.y_train, self.epochs)[0]
            seconds = time.process_time() - began
            told = model.evaluate(data.x_validation, data.y_validation, batch_size=512, verbose=0, return_dict=True)
            accuracy = round(float(told["accuracy"]), 6)
        except SearchFailed as error:
            seconds, problem = time.process_time() - began, str(error)
        return {"accuracy": accuracy, "seconds": round(seconds, 2), "problem": problem}


def champion(name: str) -> tuple[Compact, Values]:
    """The space of a champion, whose networks fill its budget, and its values."""
    known = CHAMPIONS[name]
    return Compact(parameters=known.budget), dict(known.values)


def values_with(space: Compact, values: Values, changed: Values) -> Values:
    """`values` with those `changed`, without those whose conditions do not hold."""
    asked = declared_hyperparameters(space, {**values, **changed})
    return {each.name: asked.values[each.name] for each in asked.space if asked.is_active(each)}


def variant_of(space: Compact, values: Values, changed: Values) -> dict[str, Any]:
    """What differs from the champion at `values` (None for a value that is dropped), and the size of the network.

    Raises InputError where nothing differs, though it should, and for a network over the budget, and
    InfeasibleArchitecture where its layers do not fit.
    """
    now = values_with(space, values, changed)
    differs = {name: now.get(name) for name in {**values, **now} if now.get(name) != values.get(name)}
    if changed and not differs:
        raise InputError("the champion has these values")
    architecture = space.architecture(declared_hyperparameters(space, now))
    size = cost(architecture)
    if size.params > (space.parameters or math.inf):
        raise InputError(f"{size.params:,} parameters are over the budget of {space.parameters:,}")
    return {"changed": differs, "parameters": size.params, "macs": size.macs, "network": architecture.summary}


def variants_of(space: Compact, values: Values, chosen: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The champion at `values` and its `chosen` variants; raises InputError for one that cannot be trained."""
    found = {}
    for name in (CHAMPION, *chosen):
        try:
            found[name] = variant_of(space, values, VARIANTS.get(name, {}))
        except (InputError, InfeasibleArchitecture) as error:
            raise InputError(f"{name} cannot be compared: {error}") from error
    return found


def without_fold(data: Dataset, seed: int, folds: int | None) -> Dataset:
    """What the training of a seed is trained and validated on: of `folds` parts of all images, one is held out."""
    if folds is None:
        return data
    images = np.concatenate([data.x_train, data.x_validation])
    numbers = np.concatenate([data.y_train, data.y_validation])
    order = np.random.default_rng(SHUFFLED_BY).permutation(len(images))
    is_held_out = np.arange(len(images)) % folds == seed % folds
    trained, validated = order[~is_held_out], order[is_held_out]
    return replace(
        data,
        x_train=images[trained],
        y_train=numbers[trained],
        x_validation=images[validated],
        y_validation=numbers[validated],
    )


def kept(path: Path, setting: Values, variants: Mapping[str, Any]) -> dict[str, Any]:
    """The results in a file; raises InputError where they are of another setting, or of variants that were others."""
    other = "give --overwrite, or another folder with --results"
    try:
        told = json.loads(path.read_text())
        markdown(told)  # finds what is missing
        differ = [name for name, value in setting.items() if told["setting"].get(name) != value]
        differ = differ or [name for name, value in variants.items() if told["variants"].get(name, value) != value]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} has no results of this benchmark as it is now: {other}") from error
    if differ:
        raise InputError(f"{path} is of another setting (not the same {', '.join(differ)}): {other}")
    return told


def write(path: Path, told: Mapping[str, Any]) -> None:
    """Write the results and their table."""
    write_whole(path, lambda new: new.write_text(json.dumps(told, indent=1, allow_nan=False) + "\n"))
    write_whole(path.with_suffix(".md"), lambda new: new.write_text(markdown(told)))


def run(options: argparse.Namespace) -> None:
    """Train what is missing in the file of the results, and write it and the table after each training.

    Raises InputError for what cannot be trained, and where the file is of another setting.
    """
    (space, values), path = champion(options.champion), options.results / f"{options.name}.json"
    variants = variants_of(space, values, [name for name in VARIANTS if name in (options.variants or VARIANTS)])
    data, made_by = load_dataset("mnist", images=options.images), software()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    first = without_fold(data, seeds[0], options.folds)
    setting = {"champion": options.champion, "values": values, "images": len(first.x_train), "epochs": options.epochs}
    setting |= {"validated": len(first.x_validation), "folds": options.folds, "data": data.fingerprint}
    setting["backend"] = made_by["backend"]
    setting["keras"] = re.findall(r"keras [\d.]+", made_by["versions"])[0]
    now = {"versions": made_by["versions"], "date": date.today().isoformat()}
    told: dict[str, Any] = {"setting": setting, "commands": [], **now, "variants": {}, "trainings": []}
    if path.exists() and not options.overwrite:
        told = kept(path, setting, variants)
    told["commands"] = list(dict.fromkeys([*told["commands"], command_of(options)]))
    told["variants"] |= variants
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, size in variants.items():
        print(f"{name:22}{size['parameters']:7,} parameters {size['macs']:10,} MACs  {size['network']}")
    done = {(one["variant"], one["seed"]) for one in told["trainings"]}
    wanted = [(name, seed) for seed in seeds for name in variants]
    missing = [each for each in wanted if each not in done]
    print(f"{counted(len(wanted), 'training')}, {len(wanted) - len(missing)} of them in {path} already", flush=True)
    workers, began = min(options.workers, len(missing)), time.monotonic()
    hardware = f"{use_device('cpu').name}, {counted(workers, 'worker')} of one thread"

    def keep(index: int, result: dict[str, Any]) -> None:
        name, seed = missing[index]
        size = {key: variants[name][key] for key in ("parameters", "macs")}
        told["trainings"].append({"variant": name, "seed": seed, **result, **size, "hardware": hardware})
        told.update(now)
        write(path, told)
        made = len(told["trainings"]) - len(done)
        left = len(missing) - made
        accuracy = f"failed: {result['problem']}" if result["accuracy"] is None else f"{result['accuracy']:.4f}"
        ends = f"{result['seconds']:.0f} s; about {about((time.monotonic() - began) / made * left)} left"
        print(f"{len(wanted) - left}/{len(wanted)}  seed {seed}  {name:22}{accuracy}  {ends}", flush=True)

    if missing:
        points = {name: values_with(space, values, VARIANTS.get(name, {})) for name in variants}
        tasks = [Task(space, points[name], seed, options.epochs, data, options.folds) for name, seed in missing]
        with WorkerPool([ONE_THREAD] * workers, device="cpu", warn=lambda line: print(line, file=sys.stderr)) as pool:
            pool.run(tasks, lambda index, name, values: None, on_result=keep)
    write(path, told)
    print(f"\n{markdown(told)}\nwritten: {path} and .md")


def command_of(options: argparse.Namespace) -> str:
    """The command that trains with these options, the usual ones included, whatever is usual later."""
    numbers = " ".join(f"--{name} {getattr(options, name)}" for name in ("seeds", "images", "epochs", "workers"))
    if options.folds is not None:
        numbers += f" --folds {options.folds}"
    if options.first_seed:
        numbers += f" --first-seed {options.first_seed}"
    if options.name != NAME:
        numbers += f" --name {options.name}"
    chosen = f" --variants {' '.join(options.variants)}" if options.variants else ""
    return f"kerastuna bench ablations {options.champion} {numbers}{chosen}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("champion", nargs="?", choices=CHAMPIONS, default="compact-2500", help="(%(default)s)")
    parser.add_argument("--seeds", type=at_least(1), default=5, help="of each variant (%(default)s)")
    parser.add_argument("--first-seed", type=at_least(0), default=0, metavar="N", help="(%(default)s)")
    parser.add_argument("--folds", type=at_least(2), metavar="K", help="cross-validation (the validation images)")
    parser.add_argument("--images", type=at_least(1), default=12_000, help="for training (%(default)s)")
    parser.add_argument("--epochs", type=at_least(1), default=10, help="of a training (%(default)s)")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, metavar="NAME", help=f"of {', '.join(VARIANTS)}")
    parser.add_argument("--workers", type=at_least(1), default=1, help="processes that train (%(default)s)")
    parser.add_argument("--name", default=NAME, help="of the files that are written (%(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder to write to (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="begin anew, whatever is in the file of the results")
    with interrupted_once():
        try:
            run(parser.parse_args(arguments))
        except (InputError, OSError) as error:
            return refused(error)
        except KeyboardInterrupt:
            print("interrupted: the same command without --overwrite goes on", file=sys.stderr)
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
