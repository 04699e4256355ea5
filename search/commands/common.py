"""What several commands need: the study they are about, and how they print."""

import argparse
import json
import math
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..messages import as_it_is, redact
from ..study.names import JOURNAL_NAME, check_study_name
from .options import SearchOptions

if TYPE_CHECKING:
    import optuna


def program() -> str:
    """The command as the user can type it from the working folder, quoted where that is needed."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return "python -m kerastuna"
    try:
        return shlex.quote(str(path.resolve().relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(path.name)


def print_json(value: Any) -> None:
    """Print `value` on standard output: without secrets in its texts, and null for NaN and infinity.

    Names stay as they are. The text is not redacted once more: that would take quotes and commas for secrets.
    """
    print(json.dumps(_plain(value), indent=2, allow_nan=False), file=as_it_is(sys.stdout))


def _plain(value: Any) -> Any:
    """`value` as JSON has it."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def say(text: str) -> None:
    """Print a line on standard error at once."""
    print(text, file=sys.stderr, flush=True)


def search_options(options: argparse.Namespace, **given: Any) -> SearchOptions:
    """The options of a search among those of a command, with `given` in place of some."""
    names = [name for name in SearchOptions.__dataclass_fields__ if hasattr(options, name)]
    return SearchOptions(**{name: getattr(options, name) for name in names} | given)


def open_storage_of(options: argparse.Namespace) -> Any:
    """The storage that a command is about; raises InputError when its file is not there yet, and makes none."""
    location = options.storage or options.folder / JOURNAL_NAME
    file = re.sub(r"^(journal://|sqlite(\+\w+)?:///)", "", str(location))
    if "://" not in file and not Path(file.partition("?")[0] if "://" in str(location) else file).exists():
        raise InputError(f"there is no study yet in {location}: run {program()} search first")
    from ..study.storage import open_storage

    quiet_optuna_for_good()
    return open_storage(location)


def open_study_of(options: argparse.Namespace) -> "optuna.Study":
    """The study that a command is about: by `--study`, else the one whose trial began last.

    Raises StudyError for a name that `check_study_name` refuses, and when there is no such study.
    """
    if options.study is not None:
        check_study_name(options.study)
    storage = open_storage_of(options)
    from ..study.studies import latest_study, load_study

    return latest_study(storage) if options.study is None else load_study(storage, options.study)


def import_keras_for_cpu() -> None:
    """Import Keras for a command that trains nothing, or little."""
    from ..training.device import import_keras, prepare_environment

    prepare_environment("cpu")
    import_keras()


def quiet_optuna_for_good() -> None:
    """Optuna tells of every trial on standard error unless it is told not to."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
