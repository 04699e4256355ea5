"""`kerastuna reproduce`: known networks trained by their own recipes, beside what was published of them."""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..messages import counted
from .common import print_json, search_options
from .references import check_reference, published_names, reference_network

if TYPE_CHECKING:
    from ..champion.reproduction import Images

TEST_NOTE = (
    "accuracies are on the test set: these are all that ran; those published of eip_1 to eip_5 were selected on it"
)


def reproduce(options: argparse.Namespace) -> int:
    """Train one network, or all that were published, and print counts and test accuracies beside what is known."""
    if options.name is not None:
        check_reference(options.name)
    names = published_names() if options.name is None else [options.name]
    wanted = search_options(options, data="mnist", trials=len(names) * options.seeds)
    from .open_workers import open_workers
    from .session import check_options

    check_options(wanted)
    from ..display.progress import make_progress

    with redirect_stdout(sys.stderr), make_progress() as progress, ExitStack() as stack:
        progress.message("loading Keras and the data")
        device, pool = open_workers(wanted, progress, stack)
        from ..champion.reproduction import Reproduction
        from ..champion.reproduction import reproduce as train_all

        images = _images(wanted.images)
        trainings = [Reproduction(name, seed, options.epochs) for name in names for seed in range(options.seeds)]
        progress.message(
            f"{counted(len(trainings), 'training')} of {counted(options.epochs, 'epoch')} on {len(images.x):,} images; "
            f"training on {device.kind}: {device.name}"
        )
        accuracies = train_all(
            trainings,
            images,
            wanted.folder,
            pool,
            on_epoch=lambda name, seed, epoch, metrics: progress.message(
                f"{name}, seed {seed}: epoch {epoch}/{options.epochs}, training accuracy {metrics['accuracy']:.4f}"
            ),
            on_result=lambda training, accuracy: progress.message(
                f"{training.name}, seed {training.seed}: test accuracy {accuracy:.4f}"
            ),
        )
    values = {name: [accuracies[each] for each in trainings if each.name == name] for name in names}
    rows = [_row(name, values[name], options.epochs, images) for name in names]
    if options.json:
        print_json(rows)
    else:
        _print(rows)
    return 0 if all(row["counts_agree"] is not False for row in rows) else 1


def _images(most: int | None) -> "Images":
    import numpy as np

    from ..champion.reproduction import Images
    from ..datasets.data import load_dataset, load_test

    dataset = load_dataset("mnist", images=most).with_class_numbers()
    x, y = dataset.x_train, dataset.y_train
    if most is None or most > len(x):  # the references were trained on all images, with no part for validation
        x = np.concatenate([x, dataset.x_validation])[:most]
        y = np.concatenate([y, dataset.y_validation])[:most]
    test = load_test("mnist", dataset)
    if test is None:
        raise InputError("the data set mnist has no test part: restore data/mnist.npz")
    return Images(x, y, *test, fingerprint=dataset.fingerprint)


def _row(name: str, values: Sequence[float], epochs: int, images: "Images") -> dict[str, Any]:
    from ...spaces.champions import NETWORKS
    from ...spaces.cost import cost
    from ..champion.evaluation import spread

    reference, network = NETWORKS[name], reference_network(name)
    size = cost(network)
    measured = {"total": size.params, "trainable": size.trainable, "non_trainable": size.non_trainable}
    published = (
        None if reference.reported_params is None else dict(zip(measured, reference.reported_params, strict=True))
    )
    return {
        "name": name,
        "summary": network.summary,
        "params": measured,
        "published_params": published,
        "counts_agree": None if published is None else measured == published,
        "epochs": epochs,
        "images": len(images.x),
        "batch_size": reference.values["batch_size"],
        "test": {
            "mean": statistics.fmean(values),
            "std": spread(values),
            "n": len(values),
            "values": list(values),
            "images": len(images.x_test),
            "published": reference.reported_test_accuracy,
        },
        "note": reference.note,
    }


def _print(rows: Sequence[Mapping[str, Any]]) -> None:
    from ..display.tables import console, reproduction_table

    out = console(sys.stdout)
    out.print(reproduction_table(rows))
    for row in rows:
        out.print(f"{row['name']}: {row['note']}", markup=False)
    out.print(TEST_NOTE, markup=False)
