"""Samplers judged without training: whole searches replayed on a table of trained networks.

    kerastuna bench samplers [--seeds 20] [--trials 60] [--contenders random tpe tpe_learn]

Each contender searches `ConvNet` under 15,000 parameters, as it would in earnest: its own proposals, refusals, pruner
and start. What training a network would bring is looked up in a table of real trainings (benchmarks/table/, recorded by
`kerastuna bench record_table`), and where the table lacks the network, a surrogate that was fitted on it answers. Its
error is stated with the results. The clock is simulated: it counts epochs, and every search has the same number of
them. Searches see the noise of training; their best networks are judged without it.

CMA-ES, which needs the extra `samplers`, is left out where its package is missing. Two contenders are left out unless
they are named: GP, whose proposals take minutes a search, and KerasTuner's BayesianOptimization, which proposes what
RandomSearch does until 81 trials are complete. The results are written to benchmarks/results/:
samplers.json (after every search), .md and .png.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from replay.clock import Clock
from replay.contenders import CONTENDERS
from replay.measures import Search, search_from_json, steps_of
from replay.surrogate import Noise, Surrogate, WorldOf, error_at_ends, world_of
from replay.table import read_table

from kerastuna.search.training.garbage import old_objects_passed_over

HERE = Path(__file__).resolve().parent
TABLE, RESULTS = HERE / "table" / "convnet-mnist.jsonl", HERE / "results"


def replay(name: str, seed: int, world: WorldOf, epochs: int, limit: int) -> Search:
    """One search of a contender, in at most `limit` epochs; `epochs` are those of a full training."""
    clock, began = Clock(world(seed), epochs, limit), time.process_time()
    refused = CONTENDERS[name].run(clock, seed)
    return Search(
        name,
        seed,
        len(clock.trials),
        sum(trial.complete for trial in clock.trials),
        refused,
        clock.spent,
        round(clock.seconds, 1),
        round(time.process_time() - began, 2),
        steps := steps_of(clock.trials),
        None if not steps else next(trial.values for trial in clock.trials if trial.at == steps[-1].at),
    )


def as_text(told: Mapping[str, Any]) -> str:
    """The results as JSON, with a line for each search."""
    head = json.dumps({name: value for name, value in told.items() if name != "searches"}, indent=1)
    searches = ",\n  ".join(json.dumps(search, allow_nan=False) for search in told["searches"])
    return f'{head.removesuffix("}").rstrip()},\n "searches": [\n  {searches}\n ]\n}}\n'


def run(
    path: Path, contenders: Sequence[str], seeds: int, trials: int, results: Path, *, goes_on: bool = False
) -> Path:
    """Run all searches; returns the file with their results.

    Args:
        path: of the table.
        contenders: by name.
        seeds: of searches, counted from 1.
        trials: full trainings that a search has epochs for.
        results: the folder to write to.
        goes_on: keep the searches that are in the file already, and run those that are missing.

    Raises ValueError when those are of another table, or had other epochs.
    """
    table = read_table(path)
    surrogate, noise = Surrogate(table), Noise(table)
    told: dict[str, Any] = {
        "limit": trials * table.epochs,
        "date": date.today().isoformat(),
        "table": table.header,
        "trainings": len(table.trainings),
        "error": asdict(surrogate.error()),
        "ends": None if (ends := error_at_ends(table)) is None else asdict(ends),
        "noise": {
            "networks": noise.networks,
            "deviation": noise.deviation,
            "deviation_of_best": noise.deviation_of_best,
        },
        "searches": [],
    }
    results.mkdir(parents=True, exist_ok=True)
    written, began = results / "samplers.json", time.monotonic()
    if goes_on and written.exists():
        before = json.loads(written.read_text())
        if any(before[name] != told[name] for name in ("limit", "table", "trainings")):
            raise ValueError(f"{written} is of another table or of other epochs: run without --go-on")
        told["searches"] = before["searches"]
    known = {(one["contender"], one["seed"]) for one in told["searches"]}
    with old_objects_passed_over():  # as in a search
        for seed in range(1, seeds + 1):
            for name in contenders:
                if (name, seed) in known:
                    continue
                search = replay(
                    name, seed, lambda seed: world_of(table, surrogate, noise, seed), table.epochs, told["limit"]
                )
                told["searches"].append(asdict(search))
                written.write_text(as_text(told))
                best = f"{search.steps[-1].expected:.4f}" if search.steps else "none"
                print(
                    f"{(time.monotonic() - began) / 60:5.1f} min  seed {seed:2}  {name:20} trained {search.trained:3}, "
                    f"refused {search.refused:4}, best {best}, {search.replaying:.1f} s",
                    flush=True,
                )
    return written


def write(path: Path) -> None:
    """Write the table and the figure of the results in the file `path` beside it, and print the table."""
    from replay.outputs import draw, markdown  # import matplotlib

    told = json.loads(path.read_text())
    searches = [search_from_json(values) for values in told["searches"]]
    path.with_suffix(".md").write_text(text := markdown(told, searches))
    draw(told, searches, path.with_suffix(".png"))
    print(f"\n{text}\nwritten: {path}, .md and .png")


def ends_of(path: Path, count: int) -> list[dict[str, Any]]:
    """The networks with which the first `count` searches of each contender ended, each once."""
    searches = [search_from_json(values) for values in json.loads(path.read_text())["searches"]]
    ends = [search.end for search in searches if search.end is not None and search.seed <= count]
    return [json.loads(text) for text in dict.fromkeys(json.dumps(dict(values), sort_keys=True) for values in ends)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE, help="the trained networks (%(default)s)")
    parser.add_argument("--seeds", type=int, default=20, help="search seeds (%(default)s)")
    parser.add_argument(
        "--trials", type=int, default=60, help="full trainings that a search has epochs for (%(default)s)"
    )
    main = [name for name, contender in CONTENDERS.items() if contender.is_possible and not contender.by_name]
    parser.add_argument(
        "--contenders",
        nargs="+",
        choices=CONTENDERS,
        default=main,
        metavar="NAME",
        help=f"of {', '.join(CONTENDERS)}",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder to write to (%(default)s)")
    parser.add_argument("--go-on", action="store_true", help="keep the searches that were run before, on this table")
    parser.add_argument("--redraw", type=Path, metavar="JSON", help="only write the table and the figure of a run anew")
    parser.add_argument(
        "--write-ends", nargs=3, metavar=("JSON", "SEEDS", "FILE"), help="only write where the searches of a run ended"
    )
    options = parser.parse_args(arguments)
    if options.redraw is not None:
        write(options.redraw)
        return 0
    if options.write_ends is not None:
        source, count, target = options.write_ends
        Path(target).write_text(json.dumps(ends_of(Path(source), int(count)), indent=1) + "\n")
        return 0
    if missing := [name for name in options.contenders if not CONTENDERS[name].is_possible]:
        print(f"{', '.join(missing)} needs a package: pip install 'PATH/TO/kerastuna[samplers]'", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        asked = options.table, options.contenders, options.seeds, options.trials, options.results
        write(run(*asked, goes_on=options.go_on))
    except KeyboardInterrupt:
        print("interrupted: --go-on runs the rest, --redraw JSON shows what was finished", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
