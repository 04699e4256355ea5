"""`kerastuna describe`: the layers and the exact cost of a reference network or of a trial."""

import argparse
import sys
from typing import Any

from ...spaces.cost import Cost
from ..errors import InputError
from .common import import_keras_for_cpu, open_study_of, print_json
from .references import check_reference, reference_cost, reference_names, space_cost


def describe(options: argparse.Namespace) -> int:
    """Print the layers and the cost of a reference network or of a trial."""
    if (options.name is None) == (options.trial is None):
        raise InputError(f"describe takes either one of {', '.join(reference_names())}, or --trial N")
    if options.name is not None:
        check_reference(options.name)
        import_keras_for_cpu()
        name, (summary, cost) = options.name, reference_cost(options.name)
    else:
        study = open_study_of(options)
        import_keras_for_cpu()
        name, summary, cost = trial_cost(study, options.trial)
    from ..study.records import description

    if options.json:
        print_json(description(name, cost))
        return 0
    from ..display.tables import console, layer_table

    out = console(sys.stdout)
    out.print(layer_table(f"{name}: {summary}", cost))
    out.print(
        f"{cost.params:,} parameters ({cost.trainable:,} trainable, {cost.non_trainable:,} not), {cost.macs:,} MACs, "
        f"{cost.peak_activation_bytes:,} bytes at the peak of activations (float32, one image), receptive field "
        f"{cost.receptive_field} pixels",
        markup=False,
    )
    return 0


def trial_cost(study: Any, number: int) -> tuple[str, str, Cost]:
    """Name, summary and cost of trial `number` of an Optuna study that `kerastuna search` made.

    Raises InputError when there is no such trial, or its space has no closed form.
    """
    from ...spaces.space import SearchSpace
    from ..datasets.task import task_of
    from ..study.attributes import HYPERPARAMETERS, IDENTITY, REQUEST
    from .options import SearchOptions
    from .user_space import load_space

    trials = study.get_trials(deepcopy=False)
    if not 0 <= number < len(trials):
        raise InputError(f"--trial {number}: study {study.study_name!r} has trials 0 to {len(trials) - 1}")
    identity = study.user_attrs.get(IDENTITY, {})
    data = identity.get("data", {})
    if "space" not in identity or "input_shape" not in data:
        raise InputError(f"study {study.study_name!r} was not made by kerastuna search: its space is not known")
    parameters = SearchOptions(**study.user_attrs.get(REQUEST, {})).parameters_to_fill
    space = load_space(identity["space"], tuple(data["input_shape"]), task_of(data), parameters)
    if not isinstance(space, SearchSpace):
        raise InputError(f"space {identity['space']!r} has no closed form: only a SearchSpace can be described")
    values = trials[number].user_attrs.get(HYPERPARAMETERS)
    if values is None:
        raise InputError(f"--trial {number} has not begun: it is waiting")
    return (f"trial-{number:04d}", *space_cost(space, values))
