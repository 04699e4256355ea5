"""Compares the closed form of `kerastuna.spaces.chip` with int8 files: their bytes, and the arena that they need.

    kerastuna bench chip [--networks 300] [--seed 101] [--spaces ConvNet,mixed] [--out DIR] [--add]

Half of the networks are random points of `ConvNet`, half have layers of every kind in random order; `--spaces` also
has Compact, small ones with few values, whose plan takes more of the arena than they do, and small ones with
additions, of maps and of vectors. Their weights are
random too: file and arena do not depend on the training, but for the sign of a BatchNormalization's gain, which is
positive here. Each network is folded, converted and run by tflite-micro, in about three seconds.

What operators take in `kerastuna.spaces.chip` was read from the networks of the seeds 101 to 112; others test it.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from helpers.command import write_whole

from kerastuna.spaces.architecture import (
    Activation,
    Add,
    Architecture,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    MaxPooling2D,
)
from kerastuna.spaces.chip import chip_cost
from kerastuna.spaces.errors import InfeasibleArchitecture

MARK = "RECORD"
CHUNK = 20  # networks of a process: TensorFlow keeps something of each
SHAPES = ((28, 28, 1), (32, 32, 3), (16, 24, 1), (49, 10, 1))
SMALL_SHAPES = ((8, 8, 1), (6, 6, 2), (12, 12, 1), (1, 16, 1))
KINDS = ("ConvNet", "Compact", "mixed", "small", "additions")
LARGEST_MAP = 1 << 17  # values; larger ones fit no chip


def random_point(rng: random.Random, space_name: str) -> Architecture:
    """The network at a random point of the space `space_name` of `kerastuna.spaces`."""
    import keras_tuner

    from kerastuna import spaces
    from kerastuna.spaces.point import Point

    space, hp = getattr(spaces, space_name)(), keras_tuner.HyperParameters()
    space.declare_hyperparameters(hp)
    drawn: Any = Point({declared.name: declared.random_sample(rng.randrange(2**31)) for declared in hp.space})
    return space.architecture(drawn)


def random_mix(rng: random.Random, shapes: Sequence[tuple[int, int, int]] = SHAPES, deepest: int = 8) -> Architecture:
    """A network with layers of every kind; it may not fit its input."""
    widths = range(1, 49)
    layers: list[Layer] = []
    for _ in range(rng.randint(1, deepest)):
        window: dict[str, Any] = {
            "padding": rng.choice(["valid", "same"]),
            "strides": rng.choice([1, 1, 1, 2]),
        }
        computed = {**window, "activation": rng.choice([None, "relu", "relu", "relu6", "tanh"])}
        size = rng.choice([1, 2, 3, 3, 3, 5])
        layers.append(
            rng.choice(
                [
                    Conv2D(rng.choice(widths), size, **computed, use_bias=rng.random() < 0.8),
                    Conv2D(rng.choice(widths), size, **computed),
                    DepthwiseConv2D(size, **computed, depth_multiplier=rng.choice([1, 1, 2])),
                    rng.choice([MaxPooling2D, AveragePooling2D])(rng.choice([2, 3]), **window),
                ]
            )
        )
        layers += rng.choice([[], [BatchNormalization()], [BatchNormalization(), Dropout(0.1)], [Activation("relu")]])
    layers.append(rng.choice([Flatten(), GlobalAveragePooling2D(), GlobalMaxPooling2D()]))
    if rng.random() < 0.3:
        layers.append(Dense(rng.choice(widths), activation=rng.choice(["relu", "sigmoid"])))
    layers += [Dense(rng.randint(2, 20)), Activation("softmax")] if rng.random() < 0.8 else [Activation("softmax")]
    return Architecture(rng.choice(shapes), tuple(layers))


def random_additions(rng: random.Random) -> Architecture:
    """A small network with additions wherever shapes agree; it may not fit its input."""
    drawn = random_mix(rng, SMALL_SHAPES, deepest=3)
    width = rng.randint(2, 32)
    vectors: list[Layer] = []
    for _ in range(rng.randint(0, 5)):
        vectors.append(Dense(width, activation=rng.choice([None, None, "relu", "tanh"])))
        vectors += rng.choice([[], [BatchNormalization()], [BatchNormalization(), Activation("relu")]])
        vectors += rng.choice([[], [Activation("relu")], [Activation("relu6")], [Dropout(0.1)]])
    place = next(place for place, layer in enumerate(drawn.layers) if isinstance(layer, Dense | Activation))
    layers: list[Layer] = []
    for layer in (*drawn.layers[:place], *vectors, *drawn.layers[place:]):
        layers.append(layer)
        shapes = (drawn.input_shape, *Architecture(drawn.input_shape, tuple(layers)).shapes)
        over = [back for back in range(1, len(layers) + 1) if shapes[-1 - back] == shapes[-1]]
        if over and rng.random() < 0.4:
            layers.append(Add(rng.choice(over)))
    return Architecture(drawn.input_shape, tuple(layers))


def networks(seed: int, count: int, kinds: Sequence[str] = ("ConvNet", "mixed")) -> Iterator[tuple[str, Architecture]]:
    """Random networks that fit their inputs, of the `kinds` in turn."""
    rng = random.Random(seed)
    for place in range(count):
        kind = kinds[place % len(kinds)]
        while True:
            try:
                drawn = _drawn(rng, kind)
                if max(shape[0] * shape[1] * shape[2] for shape in drawn.shapes if len(shape) == 3) > LARGEST_MAP:
                    continue
            except InfeasibleArchitecture:
                continue
            break
        yield kind, drawn


def _drawn(rng: random.Random, kind: str) -> Architecture:
    match kind:
        case "mixed":
            return random_mix(rng)
        case "small":
            return random_mix(rng, SMALL_SHAPES, deepest=4)
        case "additions":
            return random_additions(rng)
        case _:
            return random_point(rng, kind)


def measured(architecture: Architecture, path: Path) -> dict[str, Any]:
    """The int8 file of `architecture` with random weights: {"bytes", "arena_bytes" or "problem", "operators",
    "remaining"}."""
    import keras
    import numpy as np
    import tensorflow as tf
    from tensorflow.lite.python import schema_py_generated as schema

    from kerastuna.search.export.arena import least_arenas
    from kerastuna.search.export.folding import fold
    from kerastuna.spaces.space import build_model

    rng = np.random.default_rng(0)
    model: Any = build_model(architecture)
    for layer in model.layers:
        for weight in layer.weights:
            sizes = {"gamma": (0.5, 2), "moving_variance": (0.5, 2)}
            low, high = sizes.get(weight.name, (-1, 1))
            weight.assign(rng.uniform(low, high, weight.shape))
    folded: Any = fold(model)
    shape = (1, *architecture.input_shape)
    samples = rng.random((8, *shape)).astype("float32")
    folded.model.export(
        path,
        format="litert",
        verbose=False,
        input_signature=[keras.InputSpec(shape=shape, dtype="float32")],
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([sample] for sample in samples),
        target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )
    file: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    graph = file.subgraphs[0]
    codes = [file.operatorCodes[operator.opcodeIndex].builtinCode for operator in graph.operators]
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    return {
        "bytes": path.stat().st_size,
        **least_arenas({"file": path})["file"],
        "operators": [names[code] for code in codes],
        "remaining": folded.remaining,
    }


def chunk(seed: int, kinds: Sequence[str]) -> None:
    """Measure `CHUNK` networks, and print each as a line of JSON."""
    for kind, drawn in networks(seed, CHUNK, kinds):
        bound = chip_cost(drawn)
        assert bound is not None
        with tempfile.TemporaryDirectory() as folder:
            found = measured(drawn, Path(folder, "model.tflite"))
        record: dict[str, Any] = {"space": kind, "summary": drawn.summary, "seed": seed}
        if "problem" in found:
            print(MARK, json.dumps(record | {"problem": found["problem"]}), flush=True)
            continue
        record |= {
            "flash": {"bound": bound.flash, "measured": found.pop("bytes")},
            "ram": {"bound": bound.ram, "measured": found.pop("arena_bytes")},
            **found,
            "expected_remaining": bound.remaining,
        }
        print(MARK, json.dumps(record), flush=True)


def table(records: Sequence[Mapping[str, Any]], commands: Sequence[str]) -> str:
    """What the records that these commands gave say, as Markdown."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("keras", "tensorflow", "tflite-micro"))
    left_out = sum("problem" in record for record in records)
    seeds = sorted({record["seed"] for record in records})
    records = [record for record in records if "problem" not in record]
    lines = [
        "# The closed form of flash and RAM, compared with int8 files",
        "",
        *(f"    {command}" for command in commands),
        "",
        f"{len(records)} random networks, seeds {seeds[0]} to {seeds[-1]}: {versions}.",
        "Bytes by which the bound is above the measured value; below 0 it would not be a bound. What operators take",
        "was read from the networks of seeds up to 112; the others test it. For the RAM of MUL and ADD, 18 bytes were",
        "added after the networks of Compact had shown bounds without room. What tflite-micro takes before there are",
        "values was read from its source and from networks of one to four layers.",
        "",
        "| | space | networks | measured | least | median | largest | largest, of the measured |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, meaning in (("flash", "flash: the file"), ("ram", "RAM: the arena")):
        for read_from, space in product((True, False), sorted({record["space"] for record in records})):
            chosen = [
                record[name] for record in records if record["space"] == space and (record["seed"] <= 112) == read_from
            ]
            if not chosen:
                continue
            above = [one["bound"] - one["measured"] for one in chosen]
            sizes = [one["measured"] for one in chosen]
            share = max(more / size for more, size in zip(above, sizes, strict=True))
            lines.append(
                f"| {meaning} | {space} | {len(chosen)}{'' if read_from else ' others'} | {min(sizes):,} to "
                f"{max(sizes):,} | {min(above):,} | {median(above):,.0f} | {max(above):,} | {share:.1%} |"
            )
    left = sum(record["remaining"] != record["expected_remaining"] for record in records)
    if left_out:
        lines += ["", f"Left out, because tflite-micro does not run them: {left_out}."]
    lines += ["", f"Networks with another number of BatchNormalizations left than expected: {left}."]
    return "\n".join(lines) + "\n"


def problem_with(options: argparse.Namespace) -> str | None:
    """What cannot be measured, in one line."""
    if options.networks < 1:
        return f"--networks {options.networks}: give 1 or more"
    if options.seed < 0:
        return f"--seed {options.seed}: give 0 or more"
    if unknown := [name for name in options.spaces.split(",") if name not in KINDS]:
        return f"--spaces {options.spaces}: there is no {unknown[0]!r}; give some of {', '.join(KINDS)}"
    if options.add and options.out is None:
        return "--add: say with --out in which folder chip.json is"
    if options.add or options.out is None:
        return None
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"--out {options.out}: {error.strerror}; give a folder"
    return None


def command_of(options: argparse.Namespace) -> str:
    """The command that measures with these options, the usual ones included, whatever is usual later."""
    words = ["kerastuna bench chip --networks", options.networks, "--seed", options.seed, "--spaces", options.spaces]
    return " ".join(map(str, words)) + (" --out DIR --add" if options.add else "")


def kept_in(path: Path, seeds: range) -> tuple[list[str], list[Any]]:
    """The commands, and the records of other seeds than `seeds`, in the file `path`; raises ValueError in one line."""
    try:
        told = json.loads(path.read_text())
        return list(told["commands"]), [record for record in told["networks"] if record["seed"] not in seeds]
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; leave out --add") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is no file of this program: leave out --add, or give another --out") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the networks in processes of `CHUNK`, and write JSON and a table after each of them.

    Returns the exit status: 2 for what cannot be measured.
    """
    parser = argparse.ArgumentParser(description="Compare the bounds of flash and RAM with int8 files.")
    parser.add_argument("--networks", type=int, default=300)
    parser.add_argument("--seed", type=int, default=101, help="of the first chunk")
    parser.add_argument(
        "--spaces", default="ConvNet,mixed", metavar="A,B", help=f"some of {', '.join(KINDS)} (%(default)s)"
    )
    parser.add_argument("--out", type=Path, help="folder for chip.json and chip.md")
    parser.add_argument("--add", action="store_true", help="keep the networks of other seeds that are in this folder")
    parser.add_argument("--chunk", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.chunk is not None:
        chunk(options.chunk, options.spaces.split(","))
        return 0
    if problem := problem_with(options):
        print(f"chip: {problem}", file=sys.stderr)
        return 2
    seeds = range(options.seed, options.seed + -(-options.networks // CHUNK))
    commands: list[str] = []
    kept: list[Any] = []
    if options.add:
        try:
            commands, kept = kept_in(options.out / "chip.json", seeds)
        except ValueError as error:
            print(f"chip: {error}", file=sys.stderr)
            return 2
    commands = list(dict.fromkeys([*commands, command_of(options)]))
    records: list[Any] = []
    for seed in seeds:
        command = [sys.executable, __file__, "--chunk", str(seed), "--spaces", options.spaces]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        found = [json.loads(line.removeprefix(MARK)) for line in ran.stdout.splitlines() if line.startswith(MARK)]
        if ran.returncode:
            raise SystemExit(f"seed {seed}, network {len(found)}: {ran.stderr.strip().splitlines()[-1:]}")
        records = [*records, *found][: options.networks]
        told = sorted([*kept, *records], key=lambda record: record["seed"])
        if options.out is not None:
            lines = ",\n".join(map(json.dumps, told))
            text = f'{{"commands": {json.dumps(commands)},\n"networks": [\n{lines}\n]}}\n'
            write_whole(options.out / "chip.json", lambda new, text=text: new.write_text(text))
            write_whole(options.out / "chip.md", lambda new, told=told: new.write_text(table(told, commands)))
        print(f"{len(records)} networks measured", file=sys.stderr)
    print(table([*kept, *records], commands))
    return 0


if __name__ == "__main__":
    sys.exit(main())
