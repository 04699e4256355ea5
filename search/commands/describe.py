"""`kerastuna describe`: the layers and the exact cost of a known network or of a trial."""

import argparse
import sys
from typing import Any

from ...spaces.architecture import Architecture
from ...spaces.chip import ChipCost, chip_cost
from ...spaces.cost import cost
from ..errors import InputError, KerastunaError, SpaceError
from ..messages import cause
from ..study.boards import Board, board_of
from .common import import_keras_for_cpu, open_study_of, print_json
from .references import check_reference, known_names, network_of, reference_network


def describe(options: argparse.Namespace) -> int:
    """Print the layers and the cost of a known network or of a trial."""
    if (options.name is None) == (options.trial is None):
        raise InputError(f"describe takes either one of {', '.join(known_names())}, or --trial N")
    if options.name is not None and options.study:
        raise InputError("--study is for --trial N: leave it out")
    board = None if options.board is None else (options.board, board_of(options.board))
    if options.name is not None:
        check_reference(options.name)
        import_keras_for_cpu()
        name, network = options.name, reference_network(options.name)
    else:
        study = open_study_of(options)
        import_keras_for_cpu()
        name, network = trial_network(study, options.trial)
    counted, chip = cost(network), chip_cost(network)
    from ..study.records import description

    if options.json:
        record = description(name, counted) | _chip_record(chip)
        print_json(record if board is None else record | {"board": _board_record(*board, counted.macs)})
        return 0
    from ..display.tables import console, layer_table

    out = console(sys.stdout)
    out.print(layer_table(f"{name}: {network.summary}", counted))
    out.print(
        f"{counted.params:,} parameters ({counted.trainable:,} trainable, {counted.non_trainable:,} not), "
        f"{counted.macs:,} MACs, {counted.peak_activation_bytes:,} bytes at the peak of activations "
        f"(float32, one image), receptive field {counted.receptive_field} pixels",
        markup=False,
    )
    out.print(_on_a_chip(chip), markup=False)
    if board is not None:
        out.print(_on_board(*board, counted.macs, chip), markup=False)
    return 0


def trial_network(study: Any, number: int) -> tuple[str, Architecture]:
    """Name and network of trial `number` of an Optuna study that `kerastuna search` made.

    Raises InputError when there is no such trial, or its space has no closed form, and SpaceError when the space gives
    another network now, or none.
    """
    from ...spaces.cost import count_params
    from ...spaces.space import SearchSpace
    from ..datasets.task import task_of
    from ..study.attributes import HYPERPARAMETERS, IDENTITY, REQUEST
    from .options import SearchOptions
    from .user_space import load_space

    trials = study.get_trials(deepcopy=False)
    if not 0 <= number < len(trials):
        there = {0: "no trial yet", 1: "trial 0 only"}.get(len(trials), f"trials 0 to {len(trials) - 1}")
        raise InputError(f"--trial {number}: study {study.study_name!r} has {there}")
    identity = study.user_attrs.get(IDENTITY, {})
    data = identity.get("data", {})
    if "space" not in identity or "input_shape" not in data:
        raise InputError(f"study {study.study_name!r} was not made by kerastuna search: its space is not known")
    options = SearchOptions(**study.user_attrs.get(REQUEST, {}))
    input_shape = tuple(data["input_shape"])
    space = load_space(identity["space"], input_shape, task_of(data), options.budget, options.wants_smaller)
    if not isinstance(space, SearchSpace):
        raise InputError(f"space {identity['space']!r} has no closed form: only a SearchSpace can be described")
    values = trials[number].user_attrs.get(HYPERPARAMETERS)
    if values is None:
        raise InputError(f"--trial {number} has not begun: it is waiting")
    changed = f"--trial {number}: the space {identity['space']} was changed since: put it back as it was"
    try:
        network = network_of(space, values)
    except KerastunaError:
        raise
    except Exception as error:  # of the user's code
        raise SpaceError(f"{changed} ({cause(error)})") from error
    known, now = trials[number].user_attrs.get("params"), count_params(network)
    if known not in (None, now):
        raise SpaceError(f"{changed} (the trial had {known:,} parameters, and its hyperparameters give {now:,} now)")
    return f"trial-{number:04d}", network


def _chip_record(chip: ChipCost | None) -> dict[str, Any]:
    """What `description` does not have, for JSON."""
    if chip is None:
        return {"flash": None, "ram": None, "batch_normalizations_left": None}
    return {"flash": chip.flash, "ram": chip.ram, "batch_normalizations_left": chip.remaining}


def _on_a_chip(chip: ChipCost | None) -> str:
    if chip is None:
        return "as int8 on a chip: not known, for an activation besides linear, relu, relu6, sigmoid, softmax and tanh"
    left = f"{chip.remaining} of BatchNormalization" if chip.remaining else "no BatchNormalization"
    return (
        f"as int8 on a chip at most {chip.flash:,} bytes of flash and {chip.ram:,} bytes of RAM (tflite-micro); "
        f"{left} left to run, if no gain before a max pooling is negative"
    )


def _board_record(name: str, board: Board, macs: int) -> dict[str, Any]:
    return {
        "name": name,
        "max_flash": board.max_flash,
        "max_ram": board.max_ram,
        "seconds": list(board.seconds(macs)),
    }


def _on_board(name: str, board: Board, macs: int, chip: ChipCost | None) -> str:
    """Whether the network fits the board, and a rough estimate of its time, with its source."""
    fits = ""
    if chip is not None:
        limits = f"{board.max_flash:,} bytes of flash and {board.max_ram:,} of RAM that are for a network"
        is_small = chip.flash <= board.max_flash and chip.ram <= board.max_ram
        fits = f" it {'fits' if is_small else 'may not fit'} in the {limits};"
    span, cycles = (
        f"{low:.2g}" if low == high else f"{low:.2g} to {high:.2g}"
        for low, high in (board.seconds(macs), board.speed.cycles)
    )
    return (
        f"on {name} ({board.chip}){fits} roughly {span} s for one image at {board.clock / 1e6:.0f} MHz, if a "
        f"multiply-accumulate takes {cycles} cycles, as measured by others of {board.speed.of}"
    )
