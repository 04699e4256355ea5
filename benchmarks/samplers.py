"""Samplers judged without training: whole searches replayed on a table of trained networks.

    kerastuna bench samplers [--seeds 20] [--trials 60] [--contenders random tpe tpe_learn]
    kerastuna bench samplers --write-ends benchmarks/results/samplers.json 20 ends.json --contenders random tpe

Each contender searches `ConvNet` under 15,000 parameters, as it would in earnest: its own proposals, refusals, pruner
and start. What training a network would bring is looked up in a table of real trainings (benchmarks/table/, recorded by
`kerastuna bench record_table`), and where the table lacks the network, a surrogate that was fitted on it answers. Its
error is stated with the results. The clock is simulated: it counts epochs, and every search has the same number of
them. Searches see the noise of training; their best networks are judged without it.

Where searches end above all that was trained, the surrogate only guesses. So `--write-ends` writes these networks to a
file, `record_table --ends` trains them, and the next run tells what they had in earnest.

CMA-ES, which needs the extra `samplers`, is left out where its package is missing. Two contenders are left out unless
they are named: GP, whose proposals take minutes a search, and KerasTuner's BayesianOptimization, which proposes what
RandomSearch does until 81 trials are complete. The results are written to benchmarks/results/:
samplers.json (after every search), .md and .png. Searches that are in the file, on the same table and with as many
epochs, are kept: after a change of the samplers or of the surrogate, give --overwrite.
"""

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from helpers.command import at_least, interrupted_once, refused, write_whole
from replay.clock import Clock
from replay.contenders import CONTENDERS
from replay.ends import ends_of, verdicts
from replay.measures import Search, search_from_json, steps_of
from replay.surrogate import Noise, Surrogate, WorldOf, world_of
from replay.table import Table, mean_curve, read_table

from kerastuna.search.training.garbage import old_objects_passed_over

HERE = Path(__file__).resolve().parent
TABLE, RESULTS = HERE / "table" / "convnet-mnist.jsonl", HERE / "results"


def replay(name: str, seed: int, world: WorldOf, epochs: int, limit: int) -> Search:
    """One search of a contender, in at most `limit` epochs; `epochs` are those of a full training."""
    clock, began = Clock(world(seed), epochs, limit), time.process_time()
    refusals = CONTENDERS[name].run(clock, seed)
    return Search(
        name,
        seed,
        len(clock.trials),
        sum(trial.complete for trial in clock.trials),
        refusals,
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


def read_results(path: Path, *names: str) -> dict[str, Any]:
    """The results in a file; raises ValueError where it has none, or not all of these parts of them."""
    try:
        told = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} has no results of samplers: {error}") from error
    if missing := [name for name in ("limit", "table", "trainings", "searches", *names) if name not in told]:
        raise ValueError(f"{path} has no results of samplers as they are now: {', '.join(missing)} is missing")
    return told


def head_of(table: Table, surrogate: Surrogate, noise: Noise, limit: int) -> dict[str, Any]:
    """What the results tell beside the searches."""
    return {
        "limit": limit,
        "date": date.today().isoformat(),
        "table": table.header,
        "trainings": len(table.trainings),
        "sources": table.sources,
        "machines": table.machines,
        "best": max(mean_curve(trainings)[-1] for trainings in table.points),
        "error": asdict(surrogate.error()),
        "ends": [asdict(verdict) for verdict in verdicts(table)],
        "noise": {
            "networks": noise.networks,
            "sources": noise.sources,
            "deviation": noise.deviation,
            "deviation_of_best": noise.deviation_of_best,
        },
    }


def kept_from(written: Path, table: Table, limit: int) -> dict[str, Any]:
    """The results that are there already; raises ValueError where they are not of this table and limit."""
    if not written.exists():
        return {"searches": []}
    before = read_results(written)
    if (before["limit"], before["table"], before["trainings"]) != (limit, table.header, len(table.trainings)):
        raise ValueError(f"{written} is of another table or of other epochs: give --overwrite, or other --results")
    return before


def run(
    path: Path,
    contenders: Sequence[str],
    seeds: int,
    trials: int,
    results: Path,
    command: str,
    *,
    overwrites: bool = False,
) -> Path:
    """Run the searches that are missing; returns the file with the results of all.

    Args:
        path: of the table.
        contenders: by name.
        seeds: of searches, counted from 1.
        trials: full trainings that a search has epochs for.
        results: the folder to write to.
        command: that was typed, for the record.
        overwrites: run all searches, whatever is in the file already.

    Raises ValueError where the file is of another table, or of other epochs.
    """
    table = read_table(path)
    limit, written = trials * table.epochs, results / "samplers.json"
    before: dict[str, Any] = {"searches": []} if overwrites else kept_from(written, table, limit)
    results.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    surrogate, noise = Surrogate(table), Noise(table)
    commands = list(dict.fromkeys([*before.get("commands", []), command]))
    told = {**head_of(table, surrogate, noise, limit), "commands": commands, "searches": before["searches"]}
    known = {(one["contender"], one["seed"]) for one in told["searches"]}

    def keep() -> None:
        write_whole(written, lambda new: new.write_text(as_text(told)))

    keep()  # where no search is missing too: ends may have been trained since
    with old_objects_passed_over():  # as in a search
        for seed in range(1, seeds + 1):
            for name in contenders:
                if (name, seed) in known:
                    continue
                search = replay(name, seed, lambda seed: world_of(table, surrogate, noise, seed), table.epochs, limit)
                told["searches"].append(asdict(search))
                keep()
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

    told = read_results(path, "commands")
    searches = [search_from_json(values) for values in told["searches"]]
    text = markdown(told, searches)
    write_whole(path.with_suffix(".md"), lambda new: new.write_text(text))
    write_whole(path.with_suffix(".png"), lambda new: draw(told, searches, new))
    print(f"\n{text}\nwritten: {path}, .md and .png")


def write_ends(path: Path, count: int, target: Path, contenders: Sequence[str] | None) -> None:
    """Write to `target` where the first `count` searches of each contender ended; all contenders for None."""
    ends = [json.dumps(asdict(end)) for end in ends_of(read_results(path), count, contenders)]
    write_whole(target, lambda new: new.write_text("[\n" + ",\n".join(ends) + "\n]\n"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE, help="the trained networks (%(default)s)")
    parser.add_argument("--seeds", type=at_least(1), default=20, help="search seeds (%(default)s)")
    parser.add_argument(
        "--trials", type=at_least(1), default=60, help="full trainings that a search has epochs for (%(default)s)"
    )
    parser.add_argument(
        "--contenders", nargs="+", choices=CONTENDERS, metavar="NAME", help=f"of {', '.join(CONTENDERS)}"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder to write to (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="run all searches anew, in place of those in the file")
    parser.add_argument("--redraw", type=Path, metavar="JSON", help="only write the table and the figure of a run anew")
    parser.add_argument(
        "--write-ends",
        nargs=3,
        metavar=("JSON", "SEEDS", "FILE"),
        help="only write where the searches of a run ended, of the first SEEDS seeds and the named contenders",
    )
    options = parser.parse_args(arguments)
    typed = ["kerastuna", "bench", "samplers", *(sys.argv[1:] if arguments is None else arguments)]
    try:
        if options.redraw is not None:
            write(options.redraw)
        elif options.write_ends is not None:
            source, count, target = options.write_ends
            write_ends(Path(source), at_least(1)(count), Path(target), options.contenders)
        else:
            return search_all(options, shlex.join(typed))
    except argparse.ArgumentTypeError as error:
        parser.error(f"argument --write-ends: {error}")
    except (ValueError, OSError) as error:
        return refused(error)
    return 0


def search_all(options: argparse.Namespace, command: str) -> int:
    """Run the searches and tell of them; returns the exit status."""
    contenders = options.contenders or [
        name for name, contender in CONTENDERS.items() if contender.is_possible and not contender.by_name
    ]
    if missing := [name for name in contenders if not CONTENDERS[name].is_possible]:
        print(f"{', '.join(missing)} needs a package: pip install 'PATH/TO/kerastuna[samplers]'", file=sys.stderr)
        return 2
    with interrupted_once():
        try:
            asked = options.table, contenders, options.seeds, options.trials, options.results, command
            write(run(*asked, overwrites=options.overwrite))
        except KeyboardInterrupt:
            again = f"the same command{' without --overwrite' if options.overwrite else ''} runs the rest"
            print(f"interrupted: finished searches are kept, {again}, --redraw JSON shows them", file=sys.stderr)
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
