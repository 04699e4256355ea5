"""Kerastuna beside KerasTuner's tuners and plain Optuna: the same space, data, budget and seconds.

    kerastuna bench peers [--long] [--seeds 5] [--seconds 48] [--contenders random optuna kerastuna]

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
good. The results are written to benchmarks/results/: peers-SETTING.json (after every search), .md and .png.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from side_by_side.contenders import CONTENDERS, MAIN
from side_by_side.measures import Search, search_from_json
from side_by_side.setting import LONG, SHORT, Setting

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"


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


def search(name: str, seed: int, setting: Setting, folder: Path) -> dict[str, Any] | str:
    """The result of a search in a process of its own, or the last lines of what it printed where it failed."""
    out, log = folder / "result.json", folder / "log"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", "side_by_side.one_search", name, str(seed), json.dumps(asdict(setting)), str(out)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    with log.open("w") as file:
        status = subprocess.run(command, env=environment, stdout=file, stderr=file, check=False).returncode
    if status or not out.exists():
        return f"status {status}\n" + "\n".join(log.read_text().splitlines()[-20:])
    return json.loads(out.read_text())


def run(setting: Setting, contenders: Sequence[str], results: Path) -> int:
    """Run all searches, write what they gave, and return the number of those that failed."""
    path, failed, began = results / f"peers-{setting.name}.json", 0, time.monotonic()
    results.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {"setting": asdict(setting), "date": date.today().isoformat(), "searches": []}
    turns = [(seed, name) for seed in range(1, setting.seeds + 1) for name in order(contenders, seed)]
    with tempfile.TemporaryDirectory() as folder:
        for place, (seed, name) in enumerate(turns, 1):
            result = search(name, seed, setting, Path(folder))
            at = f"{place}/{len(turns)}  {(time.monotonic() - began) / 60:5.1f} min  seed {seed}  {name:15}"
            if isinstance(result, str):
                failed += 1
                print(f"{at}failed: {result}", flush=True)
                continue
            told["searches"].append(result.pop("search"))
            told |= result
            path.write_text(json.dumps(told, indent=1, allow_nan=False) + "\n")
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

    told = json.loads(path.read_text())
    searches: list[Search] = [search_from_json(values) for values in told["searches"]]
    path.with_suffix(".md").write_text(text := markdown(told, searches))
    draw(told, searches, path.with_suffix(".png"))
    print(f"\n{text}\nwritten: {path}, .md and .png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status: 1 when a search failed, 2 for a missing package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="the setting for a GPU: five hours")
    parser.add_argument("--name", help="of the setting, in the names of the files (short, long)")
    parser.add_argument("--seeds", type=int, help="search seeds")
    parser.add_argument("--seconds", type=float, help="of a search")
    parser.add_argument("--images", type=int, help="for training")
    parser.add_argument("--validated", type=int, help="validation images")
    parser.add_argument("--epochs", type=int, help="of a full training")
    parser.add_argument("--data", help="as kerastuna search takes it (mnist)")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(MAIN), metavar="NAME")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder to write to (%(default)s)")
    parser.add_argument(
        "--redraw", type=Path, metavar="JSON", help="only write the tables and the figure of a run anew"
    )
    options = parser.parse_args(arguments)
    if options.redraw is not None:
        write(options.redraw)
        return 0
    if missing := [name for name in ("optuna-integration", "tensorboard") if not is_installed(name)]:
        print(f"{', '.join(missing)} is missing: pip install 'PATH/TO/kerastuna[bench]'", file=sys.stderr)
        return 2
    given = {
        name: value for name in Setting.__dataclass_fields__ if (value := getattr(options, name, None)) is not None
    }
    setting, contenders = replace(LONG if options.long else SHORT, **given), list(options.contenders)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # then the search that runs is ended as well
    try:
        return int(run(setting, contenders, options.results) > 0)
    except KeyboardInterrupt:
        kept = options.results / f"peers-{setting.name}.json"
        print(f"interrupted{f'; for what was finished: --redraw {kept}' if kept.exists() else ''}", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
