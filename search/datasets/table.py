"""Tables as data sets: `.csv` and `.parquet` files, or a folder with `train.csv` and `test.csv`."""

import csv
import io
import os
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..messages import cause, shown
from ..user_code import is_reference
from .checks import check_finite
from .source import VALIDATION_NAMES, Source

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".parquet")
_LISTED = 10


def open_table(spec: str, target: str | None) -> Source:
    """The data set of one file, which has no test part.

    Only the names of the columns are read here. The readers of both arrays read the file once. Samples are float32
    (n, features), targets are texts, or numbers as they are in the file. Raises DataError, as do the readers.

    Args:
        spec: path of a `.csv` or `.parquet` file.
        target: the column that is predicted; None for the last one.
    """
    return _source(spec, Path(os.path.expanduser(spec)), None, target)


def is_table_file(spec: str) -> bool:
    """Whether `spec` is named as a table is."""
    return spec.lower().endswith(TABLES) and not is_reference(spec)


def is_table_folder(spec: str) -> bool:
    """Whether `spec` is a folder with a table of training data and without folders, which would hold images."""
    folder = Path(os.path.expanduser(spec))
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except (OSError, ValueError):
        return False
    named = any(entry.name in {f"train{suffix}" for suffix in TABLES} for entry in entries)
    return named and not any(entry.is_dir() for entry in entries)


def open_table_folder(spec: str, target: str | None) -> Source:
    """The data set of a folder for which `is_table_folder`; a test table must have the same columns, in any order."""
    folder = Path(os.path.expanduser(spec))
    train, test = (_only(folder, part) for part in ("train", "test"))
    assert train is not None  # `is_table_folder` said so
    names = {part + suffix for part in VALIDATION_NAMES for suffix in TABLES}
    if unused := sorted(path.name for path in folder.iterdir() if path.name.lower() in names):
        raise DataError(
            f"{_quoted(folder)} has {_some(unused)} beside {train.name}: a search uses the tables train and test, and "
            f"validates on a tenth of {train.name}; add these rows to {train.name}, or move the file away"
        )
    return _source(spec, train, test, target)


def _only(folder: Path, part: str) -> Path | None:
    there = [path for suffix in TABLES if (path := folder / f"{part}{suffix}").exists()]
    if len(there) > 1:
        raise DataError(f"{_quoted(folder)} has {there[0].name} and {there[1].name}: keep one of them")
    return there[0] if there else None


def _source(spec: str, train: Path, test: Path | None, target: str | None) -> Source:
    header = _header(train)
    if target is not None and target not in header:
        raise DataError(
            f"{_quoted(train)} has no column {target!r} to predict (it has {_some(header)}): name one of them"
        )
    target = header[-1] if target is None else target
    columns = (*(name for name in header if name != target), target)
    readers, places = _part("train", train, columns)
    if test is not None:
        _check_test_header(_header(test), columns, test, train)
        test_readers, test_places = _part("test", test, columns)
        readers, places = readers | test_readers, places | test_places
    return Source(spec, readers, places=places, columns=columns)


def _part(part: str, path: Path, columns: Sequence[str]) -> tuple[dict[str, Callable[[], np.ndarray]], dict[str, str]]:
    read = cache(partial(_arrays, path, columns))
    readers: dict[str, Callable[[], np.ndarray]] = {f"x_{part}": lambda: read()[0], f"y_{part}": lambda: read()[1]}
    return readers, {f"x_{part}": _quoted(path), f"y_{part}": f"column {columns[-1]!r} of {_quoted(path)}"}


# Names of columns


def _header(path: Path) -> list[str]:
    """The names of the columns in a file, in its order."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{_quoted(path)} is not a regular file: give the path of a .csv or .parquet file")
        header = _parquet_header(path) if path.suffix.lower() == ".parquet" else _csv_header(path)
    except DataError:
        raise
    except OSError as error:
        raise DataError(
            f"{_quoted(path)} cannot be read ({error.strerror or cause(error)}): give the path of a .csv or .parquet "
            "file"
        ) from error
    except Exception as error:  # damage shows as errors of pyarrow, csv, or of the encoding
        raise DataError(
            f"{_quoted(path)} is not a table that can be read ({cause(error)}): write it again, a .csv file as UTF-8"
        ) from error
    _check_header(header, path)
    return header


def _csv_header(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        header = next((row for row in csv.reader(file, skipinitialspace=True) if row), [])
    return [name.strip() for name in header]


def _parquet_header(path: Path) -> list[str]:
    import pyarrow.parquet

    schema = pyarrow.parquet.read_schema(path)
    index = (schema.pandas_metadata or {}).get("index_columns", [])  # row labels of pandas
    return [name for name in schema.names if name not in index]


def _check_header(header: Sequence[str], path: Path) -> None:
    if not header:
        raise DataError(f"{_quoted(path)} has no columns: its first line must name them, then come the rows")
    if len(header) == 1:
        separator = next((name for sign, name in ((";", "semicolons"), ("\t", "tabs")) if sign in header[0]), None)
        hint = f"its header has {separator}, but columns are separated by commas; write it with commas"
        raise DataError(
            f"{_quoted(path)} has one column, {header[0]!r}: "
            + (hint if separator else "a table has at least one feature and the target; add columns")
        )
    if all(_is_number(name) for name in header):
        raise DataError(
            f"the first line of {_quoted(path)} has only numbers ({_some(header)}): it must name the columns; add a "
            "header"
        )
    if "" in header:
        raise DataError(
            f"{_quoted(path)} has a column without a name, number {header.index('') + 1}: name it; for row numbers "
            "that pandas wrote, use to_csv(index=False)"
        )
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise DataError(f"{_quoted(path)} has several columns named {_some(twice)}: each needs a name of its own")


def _check_test_header(header: Sequence[str], columns: Sequence[str], test: Path, train: Path) -> None:
    missing = [name for name in columns if name not in header]
    more = [name for name in header if name not in columns]
    if missing or more:
        differs = f"lacks {_some(missing)}" if missing else f"has {_some(more)} besides"
        raise DataError(
            f"{_quoted(test)} {differs}, compared with {_quoted(train)}: both need the same columns, the target "
            "included; add or remove columns, or move the file away"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# Rows


def _arrays(path: Path, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The features, float32 (n, features), and the target (n,)."""
    frame = _frame(path)[list(columns)]
    if not len(frame):
        raise DataError(f"{_quoted(path)} has no rows: add some below the header")
    counts = {name: int(count) for name, count in frame.isna().sum().items() if count}
    if counts:
        told = [f"{name} ({count:,})" for name, count in counts.items()]
        raise DataError(
            f"{_quoted(path)} has missing values (empty, NA, None, ...) in {_some(told)}: fill them in, or leave out "
            "these rows or columns"
        )
    x = np.empty((len(frame), len(columns) - 1), np.float32)
    for place, name in enumerate(columns[:-1]):
        x[:, place] = _feature(frame[name], name, path)
    return x, _target(frame[columns[-1]], columns[-1], path)


def _frame(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        if path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path)
            frame.columns = frame.columns.astype(str)
            return frame.assign(**{name: _stripped(frame[name]) for name in _texts(frame)})
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows that are longer than the header
            frame = _read_csv(path, names=_csv_header(path), encoding="utf-8-sig")
            return frame.assign(**{name: _without_blanks(frame[name]) for name in _texts(frame)})
    except Exception as error:  # damage shows in many ways
        raise DataError(
            f"{_quoted(path)} cannot be read ({cause(error)}): each row needs as many columns as the header; write the "
            "file again"
        ) from error


def _read_csv(source: Any, **options: Any) -> "pd.DataFrame":
    import pandas as pd

    return pd.read_csv(
        source,
        header=0,
        index_col=False,
        skipinitialspace=True,
        low_memory=False,  # one type for a whole column
        **options,
    )


def _texts(frame: "pd.DataFrame") -> list[str]:
    return [name for name in frame.columns if _kind(frame[name]) == "T"]


def _stripped(column: Any) -> Any:
    """The column without the blanks around its texts."""
    return column.astype(object).map(lambda value: value.strip() if isinstance(value, str) else value)


def _without_blanks(column: Any) -> Any:
    """A column of a .csv file as it would be read without the blanks around its cells, which may hide what they are."""
    stripped = _stripped(column)
    if stripped.equals(column.astype(object)):
        return column
    return _read_csv(io.StringIO(stripped.to_csv(index=False)), skip_blank_lines=False).iloc[:, 0]


def _feature(column: Any, name: str, path: Path) -> np.ndarray:
    kind = _kind(column)
    if kind not in "buif":
        what = {"M": "dates", "m": "durations"}.get(kind, f"texts or objects, such as {str(_not_a_number(column))!r}")
        raise DataError(
            f"column {name!r} of {_quoted(path)} has {what}: features are numbers; encode it as numbers, one column "
            "for each category, or leave it out"
        )
    values = column.to_numpy(dtype=np.float64)
    check_finite(values, f"column {name!r} of {_quoted(path)}")
    return values


def _target(column: Any, name: str, path: Path) -> np.ndarray:
    kind = _kind(column)
    if kind in "buif":
        return column.to_numpy(dtype={"b": np.bool_, "u": np.uint64, "i": np.int64, "f": np.float64}[kind])
    if kind == "T" and all(isinstance(value, str) for value in column):
        return column.to_numpy(dtype=str)
    raise DataError(
        f"column {name!r} of {_quoted(path)}, the target, is of type {column.dtype}: it must be of numbers, or of "
        "texts that name classes; convert it"
    )


def _kind(column: Any) -> str:
    """The kind of a column's values: a letter of `numpy.dtype.kind`, T for texts and everything else."""
    import pandas as pd

    dtype: Any = column.dtype.categories.dtype if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype
    kind = getattr(dtype, "kind", "O")
    return kind if kind in "buifMmc" else "T"


def _not_a_number(column: Any) -> object:
    return next((value for value in column if not _is_number(str(value))), column.iloc[0])


def _quoted(path: Path) -> str:
    return shown(str(path))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
