"""`kerastuna confirm` and `kerastuna export` as functions, and the export of any model, for notebooks and programs."""

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from html import escape
from io import StringIO
from pathlib import Path
from sys import stderr
from typing import TYPE_CHECKING, Any, final

from ..workers.plan import Workers
from .options import RUNS_FOLDER

if TYPE_CHECKING:
    import keras

    from ..datasets.data import Dataset


@final
@dataclass(frozen=True)
class Champion:
    """The confirmed winner of a study. `str` tells of it in a few lines, and a notebook shows them.

    Attributes:
        record: all that is known of it, as in the study: `trial`, `params`, `validation`, `test`, `model_path`, ...
    """

    record: Mapping[str, Any] = field(repr=False)

    def __str__(self) -> str:
        from ..display.summary import champion_lines

        return "\n".join(champion_lines(self.record))

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


@final
@dataclass(frozen=True)
class Export:
    """What an export wrote. `str` is the table of its formats, and a notebook shows it.

    Attributes:
        folder: where the files are.
        manifest: what they are and what their check found, as in `manifest.json`.
    """

    folder: Path
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether every format gave the same answers as Keras."""
        return bool(self.manifest["passed"])

    def __str__(self) -> str:
        from ..display.tables import console, export_table

        text = StringIO()
        console(text).print(export_table(self.manifest, str(self.folder)))
        return text.getvalue().rstrip()

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def confirm(
    study: str | None = None,
    *,
    top: int | None = None,
    seeds: int | None = None,
    again: bool = False,
    int8: bool = True,
    folder: str | Path = RUNS_FOLDER,
    storage: str | None = None,
    tracking_uri: str | None = None,
    device: str = "auto",
    workers: Workers = 1,
) -> Champion:
    """Retrain the best trials of a study of `kerastuna search` on fresh seeds, and open the test set once.

    Args:
        study: its name; None for the one whose trial began last.
        top: trials to confirm; `seeds`: fresh seeds for each. None: as the profile of the study says.
        again: open the test set for the same winner once more, which is written down.
        int8: measure the networks in int8 too, as they run on a chip; needs the extra `export`.
        folder: where runs are kept; `storage`: of the study, None for the journal in `folder`.
        tracking_uri: of MLflow; None for the variable MLFLOW_TRACKING_URI, else the database in `folder`.
        device: "auto", "gpu" or "cpu"; `workers`: processes that train at the same time.

    Raises InputError, StudyError, SearchFailed and others of `KerastunaError` where the command would end with them.
    """
    from .confirm import confirmed

    options = _options(study, folder, storage, tracking_uri=tracking_uri, device=device, workers=workers)
    return Champion(confirmed(Namespace(**vars(options), top=top, seeds=seeds, again=again, int8=int8)))


def export_champion(
    study: str | None = None,
    *,
    trial: int | None = None,
    formats: Sequence[str] | None = None,
    out: str | Path | None = None,
    test: bool = False,
    folder: str | Path = RUNS_FOLDER,
    storage: str | None = None,
    progress: Callable[[str], None] = print,
) -> Export:
    """Write the champion of a study of `kerastuna search` in every format, each compared with Keras.

    Args:
        study: its name; None for the one whose trial began last.
        trial: the number of a complete trial to export instead.
        formats: names of formats; None for all.
        out: where to; None for export/STUDY.
        test: compare on the test set too: an opening, which is written down.
        folder, storage: as in `confirm`.
        progress: told in one line what is done.

    Raises InputError, StudyError, SpaceError and others of `KerastunaError` where the command would end with them. A
    format that gives other answers raises nothing: see `Export.passed`.
    """
    from ..export.exporter import check_formats
    from .export import exported

    if formats is not None:
        check_formats(list(formats))
    given = Namespace(**vars(_options(study, folder, storage)), trial=trial, test=test, out=out and Path(out))
    with redirect_stdout(stderr):
        manifest, where = exported(given, None if formats is None else list(formats), lambda line: progress(line))
    return Export(where, manifest)


def export_model(
    model: "keras.Model",
    data: "Dataset",
    *,
    name: str = "model",
    formats: Sequence[str] | None = None,
    out: str | Path | None = None,
    progress: Callable[[str], None] = print,
) -> Export:
    """Write a trained model in every format, each compared with Keras: one of an `OptunaTuner`, or any other.

    Args:
        model: compiled, with one input and one output, such as `tuner.load_trial(7)`.
        data: that it was trained on; the formats are compared on its validation samples.
        name: of the export; it also names the C array.
        out: where to; None for export/NAME.
        formats, progress: as in `export_champion`.

    Raises InputError, SpaceError and others of `KerastunaError`. A format that gives other answers raises nothing: see
    `Export.passed`.
    """
    from .exported_model import export_trained

    where = Path(out or Path("export") / name)
    with redirect_stdout(stderr):
        wanted = None if formats is None else list(formats)
        manifest = export_trained(model, data, name, where, wanted, lambda line: progress(line))
    return Export(where, manifest)


def _options(study: str | None, folder: str | Path, storage: str | None, **given: Any) -> Namespace:
    return Namespace(study=study, folder=Path(folder), storage=storage, **given)
