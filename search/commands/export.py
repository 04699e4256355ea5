"""`kerastuna export`: which model, on which images, into which folder."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import optuna

from ...spaces.convnet import ConvNet
from ...spaces.errors import InputError
from ...spaces.references import REFERENCES
from ..champion.confirmation import champion_of
from ..champion.ledger import open_test_set, openings
from ..datasets.data import Dataset, has_test, load_dataset, load_test
from ..export.exporter import export
from ..export.formats import ExportSource
from ..study.attributes import HYPERPARAMETERS
from ..training.train import train
from .options import SearchOptions
from .user_space import load_space

PREPROCESSING = "float32 (height, width, channels); whole pixel values, 0 to 255, are divided by 255; floats stay"


Say = Callable[[str], None]


def export_champion(study: optuna.Study, options: SearchOptions, out: Path, formats: Any, test: bool, say: Say) -> Any:
    """Export the confirmed winner of `study`; raises InputError when there is none. Returns the manifest."""
    champion = champion_of(study)
    if champion is None or not Path(champion["model_path"]).exists():
        raise InputError(
            f"study {study.study_name!r} has no champion here: run kerastuna confirm --study {study.study_name} "
            "first, or export a trial with --trial N"
        )
    path = Path(champion["model_path"])
    dataset = _dataset(study, options)

    def add_card(folder: Path, manifest: Mapping[str, Any]) -> None:
        card = path.with_name("MODEL_CARD.md")
        if card.exists():
            shutil.copy(card, folder / card.name)

    lineage = {key: champion[key] for key in ("study", "trial", "params", "macs", "summary", "git_commit", "versions")}
    images = _test_images(study, champion["trial"], dataset, options) if test else (None, None)
    lineage["note"] = "the model was trained on the validation images too: their accuracy only compares the formats"
    source = _source(path, study.study_name, dataset, lineage | _openings(study), images)
    return export(source, out, formats, progress=say, finish=add_card)


def export_trial(
    study: optuna.Study, number: int, options: SearchOptions, out: Path, formats: Any, test: bool, say: Say
) -> Any:
    """Export a complete trial of `study` with the weights it had at its last epoch. Returns the manifest.

    Raises InputError when there is no such trial or its weights are not in this folder.
    """
    trials = study.get_trials(deepcopy=False)
    weights = options.folder / "trials" / study.study_name / f"trial_{number:04d}" / "checkpoint.weights.h5"
    if not 0 <= number < len(trials) or trials[number].state != optuna.trial.TrialState.COMPLETE:
        raise InputError(f"--trial {number}: study {study.study_name!r} has no complete trial of that number")
    if not weights.exists():
        raise InputError(f"--trial {number}: its weights are not in {weights.parent}; it was trained elsewhere")
    dataset = _dataset(study, options)
    space = load_space(options.space, dataset.input_shape, dataset.classes)
    model = _model(space, trials[number])
    model.load_weights(weights)
    lineage = {"study": study.study_name, "trial": number, "params": model.count_params()}
    images = _test_images(study, number, dataset, options) if test else (None, None)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "model.keras")
        model.save(path)
        name = f"{study.study_name}-trial-{number:04d}"
        return export(_source(path, name, dataset, lineage | _openings(study), images), out, formats, progress=say)


def export_reference(name: str, options: SearchOptions, epochs: int, out: Path, formats: Any, say: Say) -> Any:
    """Train a reference network by its own recipe for `epochs` epochs, and export it. Returns the manifest."""
    dataset = load_dataset(options.data, images=options.images, seed=options.seed)
    space = ConvNet(dataset.input_shape, dataset.classes)
    hyperparameters = _hyperparameters(space, REFERENCES[name].values)
    say(f"training {name} on {len(dataset.x_train):,} images for {epochs} epochs")
    model, history = train(
        space,
        hyperparameters,
        options.seed,
        dataset.x_train,
        dataset.y_train,
        epochs,
        validation=(dataset.x_validation, dataset.y_validation),
        report=lambda epoch, metrics: say(f"epoch {epoch}/{epochs}: val_accuracy {metrics['val_accuracy']:.4f}"),
    )
    lineage = {
        "reference": name,
        "params": model.count_params(),
        "epochs": epochs,
        "images": len(dataset.x_train),
        "val_accuracy": history[-1]["val_accuracy"],
    }
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "model.keras")
        model.save(path)
        return export(_source(path, name, dataset, lineage, (None, None)), out, formats, progress=say)


def _source(path: Path, name: str, dataset: Dataset, extra: Mapping[str, Any], test: Any) -> ExportSource:
    return ExportSource(
        model_path=path,
        name=name,
        x_validation=dataset.x_validation,
        y_validation=dataset.y_validation,
        x_train=dataset.x_train,
        classes=dataset.classes,
        preprocessing=PREPROCESSING,
        extra=extra,
        x_test=test[0],
        y_test=test[1],
    )


def _dataset(study: optuna.Study, options: SearchOptions) -> Dataset:
    dataset = load_dataset(options.data, images=options.images, seed=options.seed)
    known = study.user_attrs.get("identity", {}).get("data", {}).get("fingerprint")
    if known not in (None, dataset.fingerprint):
        raise InputError(f"data set {options.data!r} is another one than study {study.study_name!r} was made with")
    return dataset


def _test_images(study: optuna.Study, trial: int, dataset: Dataset, options: SearchOptions) -> Any:
    """The test set, after its opening for an export has been written down."""
    if not has_test(options.data):
        raise InputError(f"data set {options.data!r} has no test part: leave --test out")
    open_test_set(study, trial, "parity of the exported formats")
    return load_test(options.data, classes=dataset.classes, input_shape=dataset.input_shape)


def _openings(study: optuna.Study) -> dict[str, Any]:
    return {"test_openings": [vars(opening) for opening in openings(study)]}


def _hyperparameters(space: Any, values: Mapping[str, Any]) -> keras_tuner.HyperParameters:
    """The hyperparameters that a `HyperModel` declares, with `values`; it finds any others when it is built."""
    hyperparameters = keras_tuner.HyperParameters()
    if isinstance(space, keras_tuner.HyperModel):
        space.declare_hyperparameters(hyperparameters)
    hyperparameters.values = dict(values)
    return hyperparameters


def _model(space: Any, trial: optuna.trial.FrozenTrial) -> keras.Model:
    hyperparameters = _hyperparameters(space, trial.user_attrs[HYPERPARAMETERS])
    return space.build(hyperparameters) if isinstance(space, keras_tuner.HyperModel) else space(hyperparameters)
