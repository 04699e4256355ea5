"""`kerastuna export --model`: a trained model in a file of Keras's, such as a champion of the repository."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from .common import import_keras_for_cpu, say
from .exported_model import check_whole, export_trained

OTHERS = {"study": None, "trial": None, "reference": None, "test": False}
"""Options of an export that say in another way which model it is, or are for the models of a study; as they are where
they are not given."""


def export_file(options: argparse.Namespace, formats: list[str] | None) -> tuple[Mapping[str, Any], Path]:
    """Export the model in the file `options.model`; returns the manifest and its folder.

    Raises InputError for other options that choose a model, and where the model does not take the samples of the data;
    DataError for data that cannot be used; SpaceError for a file that cannot be loaded.
    """
    if others := [name for name, left_out in OTHERS.items() if getattr(options, name) is not left_out]:
        raise InputError(f"--model exports the model in a file: leave out --{', --'.join(others)}")
    path: Path = options.model
    if not path.is_file():
        raise InputError(f"--model {path}: there is no such file: give a .keras file")
    check_whole(path, "give another file")
    out = options.out or Path("export") / path.stem
    import_keras_for_cpu()
    from ..datasets.data import load_dataset
    from ..training.saved_model import load_saved

    given = vars(options)
    data = load_dataset(given.get("data", "mnist"), task=given.get("task", "auto"), target=given.get("target"))
    model = load_saved(path)
    taken, samples = tuple(getattr(model, "input_shape", ()))[1:], data.x_validation.shape[1:]
    if len(taken) != len(samples) or any(side not in (None, own) for side, own in zip(taken, samples, strict=True)):
        raise InputError(
            f"--model {path} takes {_told(taken)} and the samples of {data.name} are {_told(samples)}: give the --data "
            "that it was trained on"
        )
    say(f"exporting {path}, compared on {len(data.x_validation):,} validation samples of {data.name}")
    return export_trained(model, data, out.name, out, formats, say), out


def _told(shape: tuple[Any, ...]) -> str:
    return "x".join("any" if side is None else str(side) for side in shape)
