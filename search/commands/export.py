"""`kerastuna export`: which model, on which images, into which folder."""

import argparse
import shutil
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, SpaceError
from ..messages import counted
from .common import import_keras_for_cpu, open_study_of, print_json, say, search_options
from .export_file import export_file
from .exported_model import Origin, Say, answers_of_model, check_whole, export_built, export_saved
from .options import PROFILES, SPACES, SearchOptions
from .typed import command_on

if TYPE_CHECKING:
    import optuna

    from ..datasets.data import Dataset


def export(options: argparse.Namespace) -> int:
    """Export the champion, a trial, a known network or a file, and print what its check found."""
    if options.reference is None and (options.images or options.epochs):
        raise InputError("--images and --epochs are for --reference: leave them out")
    if options.model is None and not vars(options).keys().isdisjoint(("data", "task", "target")):
        raise InputError("--data, --task and --target are for --model: leave them out")
    formats = options.formats and options.formats.split(",")
    if formats is not None:
        from ..export.exporter import check_formats

        check_formats(formats)
    with redirect_stdout(sys.stderr):
        if options.model is not None:
            manifest, out = export_file(options, formats)
        elif options.reference is not None:
            manifest, out = _reference(options, formats)
        else:
            manifest, out = exported(options, formats, say)
    _print_manifest(manifest, out, options.json)
    return 0 if manifest["passed"] else _not_passed(manifest, out)


def _reference(options: argparse.Namespace, formats: Any) -> tuple[Mapping[str, Any], Path]:
    if options.trial is not None or options.study or options.test:
        raise InputError("--reference trains a network of its own: leave out --study, --trial and --test")
    from .references import check_reference

    check_reference(options.reference)
    from ...spaces.champions import NETWORKS

    network, images = NETWORKS[options.reference], options.images or PROFILES["quick"].images
    of_space = {"space": SPACES[network.space]} | ({} if network.budget is None else {"budget": network.budget})
    wanted = search_options(options, images=images, **of_space)
    out = options.out or Path("export") / options.reference
    epochs = options.epochs or PROFILES["quick"].epochs
    from ..study.scratch import own_temporary_folder

    with own_temporary_folder():
        import_keras_for_cpu()
        return export_reference(options.reference, wanted, epochs, out, formats, say), out


def exported(options: argparse.Namespace, formats: Any, say: Say) -> tuple[Mapping[str, Any], Path]:
    """Export the champion or a trial of the study that `options` name; returns the manifest and its folder."""
    study = open_study_of(options)
    from ..study.scratch import own_temporary_folder
    from .session import request_of

    wanted = search_options(options, study=study.study_name, **request_of(study))
    name = study.study_name if options.trial is None else f"{study.study_name}-trial-{options.trial:04d}"
    out = options.out or Path("export") / name
    with own_temporary_folder():
        import_keras_for_cpu()
        if options.trial is None:
            return export_champion(study, wanted, out, formats, options.test, say), out
        return export_trial(study, options.trial, wanted, out, formats, options.test, say), out


def _print_manifest(manifest: Mapping[str, Any], out: Path, as_json: bool) -> None:
    if as_json:
        print_json(manifest)
        return
    from ..display.tables import console, export_table

    console(sys.stdout).print(export_table(manifest, str(out)))
    if note := manifest["lineage"].get("note"):
        print(note)


def _not_passed(manifest: Mapping[str, Any], out: Path) -> int:
    failed = [name for name, result in manifest["formats"].items() if result["passed"] is False]
    told = ", ".join(failed) or ", ".join(f"{name} {why}" for name, why in manifest["skipped"].items())
    print(f"kerastuna: NOT EVERY FORMAT PASSED: {told}; see {out / 'manifest.json'}", file=sys.stderr)
    return 1


def export_champion(
    study: "optuna.Study", options: SearchOptions, out: Path, formats: Any, test: bool, say: Say
) -> Mapping[str, Any]:
    """Export the confirmed winner of `study`; returns the manifest.

    Raises InputError when there is no champion, or its model is not found or cannot be loaded. The test set is opened
    after that.
    """
    from ..champion.publish import CARD_NAME, keep_card_up_to_date
    from ..champion.record import champion_of, model_path_of
    from ..training.saved_model import load_saved

    champion, command = champion_of(study), command_on(options, "confirm", study.study_name)
    if champion is None:
        raise InputError(
            f"study {study.study_name!r} has no champion here: run {command} first, or export a trial with --trial N"
        )
    path = model_path_of(study, champion, options.folder, command)
    check_whole(path, f"run {command} --again")
    dataset, _ = _data_and_space(study, options)  # which imports what the model is made of
    model = load_saved(path)
    answers = answers_of_model(model, dataset, champion["objective"])

    def add_card(folder: Path, manifest: Mapping[str, Any]) -> None:
        card = path.with_name(CARD_NAME)
        if card.exists():
            keep_card_up_to_date(study, champion, card)
            shutil.copy(card, folder / card.name)

    lineage = {key: champion[key] for key in ("study", "trial", "params", "macs", "summary", "git_commit", "versions")}
    test_part = _test_part(study, champion["trial"], dataset, options) if test else (None, None)
    lineage["note"] = "the model was trained on the validation samples too: its figures there only compare the formats"
    origin = Origin(study.study_name, dataset, lineage | _openings(study), answers, options.space, test_part)
    return export_saved(path, origin, out, formats, say, add_card)


def export_trial(
    study: "optuna.Study", number: int, options: SearchOptions, out: Path, formats: Any, test: bool, say: Say
) -> Mapping[str, Any]:
    """Export a complete trial of `study` with the weights that its training ended with; returns the manifest.

    Raises InputError when there is no such trial, its weights are not in this folder, or another process could not load
    the model. The test set is opened after that.
    """
    from optuna.trial import TrialState

    from ..study.goal import goal_of
    from ..training.saved_model import saving_problem
    from .session import open_tuner

    trials = study.get_trials(deepcopy=False)
    if not 0 <= number < len(trials) or trials[number].state != TrialState.COMPLETE:
        raise InputError(f"--trial {number}: study {study.study_name!r} has no complete trial of that number")
    dataset, space = _data_and_space(study, options)
    profile = options.resolved(on_gpu=False)  # the study's request names its profile
    tuner = open_tuner(options, profile, dataset, space)
    weights = tuner.weights_of(number)
    if not weights.exists():
        raise InputError(f"--trial {number}: its weights are not in {weights.parent}; it was trained elsewhere")
    model, name = tuner.load_trial(number), f"{study.study_name}-trial-{number:04d}"
    if problem := saving_problem(model):
        raise SpaceError(f"{name} cannot be exported: {problem}")
    answers = answers_of_model(model, dataset, goal_of(study).metric.name)
    lineage = {"study": study.study_name, "trial": number, "params": model.count_params()}
    test_part = _test_part(study, number, dataset, options) if test else (None, None)
    origin = Origin(name, dataset, lineage | _openings(study), answers, options.space, test_part)
    return export_built(model, origin, out, formats, say)


def export_reference(
    name: str, options: SearchOptions, epochs: int, out: Path, formats: Any, say: Say
) -> Mapping[str, Any]:
    """Train a network that is known by name by its own recipe, for `epochs`, and export it; returns the manifest."""
    from ...spaces.champions import NETWORKS
    from ..training.train import train
    from ..tuning.hyperparameters import declared_hyperparameters
    from .session import load_data_and_space

    dataset, space = load_data_and_space(options, options.images)
    say(f"training {name} on {len(dataset.x_train):,} images for {counted(epochs, 'epoch')}")
    model, history = train(
        space,
        declared_hyperparameters(space, NETWORKS[name].values),
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
    answers = answers_of_model(model, dataset, "val_accuracy")
    origin = Origin(name, dataset, lineage, answers, options.space, (None, None))
    return export_built(model, origin, out, formats, say)


def _data_and_space(study: "optuna.Study", options: SearchOptions) -> tuple["Dataset", Any]:
    """The data set and the space of `study`; raises InputError where the data are other ones by now."""
    from ..study.attributes import IDENTITY
    from .session import load_data_and_space

    dataset, space = load_data_and_space(options, options.images)
    known = study.user_attrs.get(IDENTITY, {}).get("data", {}).get("fingerprint")
    if known not in (None, dataset.fingerprint):
        raise InputError(f"data set {options.data!r} is another one than study {study.study_name!r} was made with")
    return dataset, space


def _test_part(study: "optuna.Study", trial: int, dataset: "Dataset", options: SearchOptions) -> Any:
    """The test set, after its opening for an export has been written down."""
    from ..champion.ledger import read_test_set
    from ..datasets.data import has_test, load_test

    if not has_test(options.data):
        raise InputError(f"data set {options.data!r} has no test part: leave --test out")
    purpose = "parity of the exported formats"
    return read_test_set(study, trial, purpose, partial(load_test, options.data, dataset))[1]


def _openings(study: "optuna.Study") -> dict[str, Any]:
    from ..champion.ledger import openings

    return {"test_openings": [vars(opening) for opening in openings(study)]}
