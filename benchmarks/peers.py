"""Kerastuna beside KerasTuner's tuners and plain Optuna: the same space, data, budget and seconds.

    kerastuna bench peers [--long] [--name short] [--seeds 5] [--seconds 48] [--contenders random optuna kerastuna]

The contenders search `ConvNet` on MNIST under 15,000 parameters: KerasTuner's RandomSearch, BayesianOptimization and
Hyperband, plain Optuna with Keras's `fit` and a pruning callback, and Kerastuna with one worker and with one for each
core. Needs the extra `bench`: pip install 'PATH/TO/kerastuna[bench]'.

What is the same for all: the space, the images, the epochs of a full training, the search seeds, Keras's backend (in
KERAS_BACKEND) and its threads, and the seconds of a search. Equal seconds are fair to all: nobody is stopped while it
could still find something, and what a contender trains in them is its own business, pruning and halving included.
What ended later does not count. Each search runs in a process of its own, so that none warms up another. Its clock
begins once Keras is imported and the images are loaded, in the workers too, and before the tuner is made. Within a
seed, contenders take turns, and each seed begins with another one, so that a machine that slows down slows all of them.

The score is a network's accuracy on the validation images, as the contender itself scores a complete trial: KerasTuner
by the best epoch, which favours it, the others by the last one. KerasTuner counts trained parameters alone, which gives
it a little more room; how many of its networks are over the budget in all is in the results ("over_total").

What keeps the peers alive under a budget is told in benchmarks/side_by_side/keras_tuner_peers.py and plain_optuna.py.

`kerastuna_warm`, which begins with the reference networks, is left out unless it is named, since these are known to be
good. The results are written to benchmarks/results/: peers-NAME.json (after every search), .md and .png. Where the file
is there already, its searches are kept and those that are missing are run; where they are of other options, data,
versions or another machine, the run is refused, unless it is told to --overwrite them.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from helpers.command import Parser, at_least, interrupted_once, write_whole
from side_by_side.contenders import CONTENDERS, MAIN
from side_by_side.measures import search_from_json
from side_by_side.results import kept, measured_on, read
from side_by_side.setting import LONG, SHORT, Setting

from kerastuna.search.errors import InputError
from kerastuna.search.messages import one_line

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
NEEDED = ("optuna-integration", "tensorboard")
"""Packages of the extra `bench`."""


def is_installed(package: str) -> bool:
    """Whether there is a distribution of this name."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def order(contenders: Sequence[str], seed: int) -> list[str]:
    """The contenders in turn; each seed begins with another one."""
    first = (seed - 1) % len(contenders)
    return [*contenders[first:], *contenders[:first]]


def search(
    name: str, seed: int, setting: Setting, expected: Mapping[str, Any] | None, folder: Path
) -> dict[str, Any] | str:
    """The result of a search in a process of its own, or the last lines of what it printed where it failed.

    Raises InputError where it would be measured on something else than what is `expected`, or has no data.
    """
    out, log = folder / "result.json", folder / "log"
    out.unlink(missing_ok=True)
    given = [json.dumps(asdict(setting)), json.dumps(expected)]
    command = [sys.executable, "-m", "side_by_side.one_search", name, str(seed), *given, str(out)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    with log.open("w") as file:
        status = subprocess.run(command, env=environment, stdout=file, stderr=file, check=False).returncode
    if status or not out.exists():
        return f"status {status}\n" + "\n".join(log.read_text().splitlines()[-20:])
    result = json.loads(out.read_text())
    if "refused" in result:
        raise InputError(result["refused"])
    return result


def run(setting: Setting, contenders: Sequence[str], path: Path, *, overwrite: bool = False) -> int:
    """Run the searches that are missing in the file `path`, add them to it, and return the number of those that failed.

    Args:
        setting: of all searches.
        contenders: by name.
        path: of the results. It is written whole after each search.
        overwrite: begin anew, whatever it holds.

    Raises InputError where it holds searches of another setting, or what they were measured on has changed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {"setting": asdict(setting), "searches": []}
    expected = None
    if path.exists() and not overwrite:
        told = kept(path, setting)
        expected = measured_on(told)
    known = {(one["seed"], one["contender"]) for one in told["searches"]}
    if known:
        print(f"searches that are in {path} already: {len(known)}", flush=True)
    every = ((seed, name) for seed in range(1, setting.seeds + 1) for name in order(contenders, seed))
    turns, failed, began = [turn for turn in every if turn not in known], 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for place, (seed, name) in enumerate(turns, 1):
            result = search(name, seed, setting, expected, Path(folder))
            at = f"{place}/{len(turns)}  {(time.monotonic() - began) / 60:5.1f} min  seed {seed}  {name:15}"
            if isinstance(result, str):
                failed += 1
                print(f"{at}failed: {result}", flush=True)
                continue
            told["searches"].append(result.pop("search"))
            told |= {"date": date.today().isoformat(), **(expected := result)}
            text = json.dumps(told, indent=1, allow_nan=False) + "\n"
            write_whole(path, lambda new, text=text: new.write_text(text))
            one = search_from_json(told["searches"][-1])
            accuracy = "no score" if one.accuracy is None else f"accuracy {one.accuracy:.4f}"
            print(
                f"{at}asked {one.asked:4}, trained {one.trained:3}, rejected {one.rejected:4}, {accuracy}, "
                f"outside training {one.outside_share:.0%}",
                flush=True,
            )
    if told["searches"]:
        write(path)
    return failed


def write(path: Path) -> None:
    """Write the tables and the figure of the results in the file `path` beside it, and print the tables."""
    from side_by_side.outputs import draw, markdown  # import matplotlib

    told, searches = read(path)
    text = markdown(told, searches)
    write_whole(path.with_suffix(".md"), lambda new: new.write_text(text))
    write_whole(path.with_suffix(".png"), lambda new: draw(told, searches, new))
    print(f"\n{text}\nwritten: {path}, .md and .png")


def seconds(text: str) -> float:
    """Reads a time, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def file_part(text: str) -> str:
    """Reads a part of a file's name, for argparse."""
    if not text or Path(text).name != text:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be in the name of a file")
    return text


def arguments_of(given: Sequence[str] | None) -> argparse.Namespace:
    """The arguments of the benchmark; ends the process for wrong ones."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="the setting for a GPU: five hours")
    parser.add_argument("--name", type=file_part, help="of the setting, in the names of the files (short, long)")
    parser.add_argument("--seeds", type=at_least(1), help="search seeds")
    parser.add_argument("--seconds", type=seconds, help="of a search")
    parser.add_argument("--images", type=at_least(1), help="for training")
    parser.add_argument("--validated", type=at_least(1), help="validation images")
    parser.add_argument("--epochs", type=at_least(1), help="of a full training")
    parser.add_argument("--data", help="as kerastuna search takes it (mnist)")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(MAIN), metavar="NAME")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder to write to (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="begin anew, whatever is in the file of the results")
    parser.add_argument(
        "--redraw", type=Path, metavar="JSON", help="only write the tables and the figure of a run anew"
    )
    return parser.parse_args(given)


def how_to_go_on(path: Path, setting: Setting) -> str:
    """What to do after an interruption, by what the file `path` holds by now."""
    try:
        count = len(kept(path, setting)["searches"])
    except (InputError, OSError):
        return "no search was finished"
    return f"searches in {path}: {count}; the same command without --overwrite goes on, --redraw {path} shows them"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status: 1 when a search failed, 2 for bad input or a missing package."""
    options = arguments_of(arguments)
    if options.redraw is None and (missing := [name for name in NEEDED if not is_installed(name)]):
        print(f"{', '.join(missing)} is missing: pip install 'PATH/TO/kerastuna[bench]'", file=sys.stderr)
        return InputError.exit_status
    given = {
        name: value for name in Setting.__dataclass_fields__ if (value := getattr(options, name, None)) is not None
    }
    setting = replace(LONG if options.long else SHORT, **given)
    path = options.results / f"peers-{setting.name}.json"
    with interrupted_once():
        try:
            if options.redraw is not None:
                write(options.redraw)
                return 0
            return int(run(setting, list(dict.fromkeys(options.contenders)), path, overwrite=options.overwrite) > 0)
        except (InputError, OSError) as error:
            print(f"peers: {one_line(str(error))}", file=sys.stderr)
            return InputError.exit_status
        except KeyboardInterrupt:
            rest = "" if options.redraw is not None else f"; {how_to_go_on(path, setting)}"
            print(f"peers: interrupted{rest}", file=sys.stderr)
            return 130


if __name__ == "__main__":
    sys.exit(main())
