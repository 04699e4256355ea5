"""Tables as data sets: what columns become, and what is refused."""

import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from datasets_support import like, refusal, run_python

from kerastuna.search.datasets.data import Dataset, check_spec, has_test, load_dataset, load_test
from kerastuna.search.datasets.table import is_table_file, open_table
from kerastuna.search.datasets.task import Classification, Regression

N = np.arange(30)
FRAME = pd.DataFrame({"size": N / 4, "rooms": N % 5, "garden": N % 2 == 0, "price": N * 1.5 - 7})
SUFFIXES = ("csv", "parquet")


def write(path: Path, frame: Any = FRAME, **columns: Any) -> Path:
    frame = frame.assign(**columns)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def load(path: Path, **options: Any) -> Dataset:
    return load_dataset(str(path), **options)


def all_rows(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Samples and targets in the order of the first column."""
    x, y = np.concatenate([data.x_train, data.x_validation]), np.concatenate([data.y_train, data.y_validation])
    order = np.argsort(x[:, 0])
    return x[order], y[order]


# What is read


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_last_column_is_predicted(tmp_path: Path, suffix: str):
    file = write(tmp_path / f"houses of 2024.{suffix}")
    check_spec(str(file))
    data = load(file)
    assert (data.name, data.input_shape, data.unit) == ("houses-of-2024", (3,), "rows")
    assert (data.task, data.columns) == (Regression(names=("price",)), ("size", "rooms", "garden", "price"))
    assert (len(data.x_train), len(data.x_validation)) == (27, 3)
    assert data.x_train.dtype == data.y_train.dtype == np.float32
    x, y = all_rows(data)
    np.testing.assert_array_equal(x, FRAME.to_numpy(dtype=np.float32)[:, :3])
    np.testing.assert_array_equal(y, FRAME["price"].to_numpy(dtype=np.float32))
    assert load_test(str(file), data) is None


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_column_is_predicted(tmp_path: Path, suffix: str):
    file = write(tmp_path / f"a.{suffix}")
    check_spec(str(file), target="rooms")
    data = load(file, target="rooms")
    assert (data.task, data.columns) == (Classification(5), ("size", "garden", "price", "rooms"))
    x, y = all_rows(data)
    np.testing.assert_array_equal(x, FRAME[["size", "garden", "price"]].to_numpy(dtype=np.float32))
    np.testing.assert_array_equal(y, N % 5)


TARGETS = [
    ({}, np.array(["dog", "cat", "Ant"])[N % 3], (2 - N) % 3, Classification(3, names=("Ant", "cat", "dog"))),
    ({}, pd.Categorical(np.array(["no", "yes"])[N % 2]), N % 2, Classification(2, names=("no", "yes"))),
    ({}, N % 2 == 1, N % 2, Classification(2)),
    ({"task": "classification"}, N % 3 + 1, N % 3, Classification(3, names=("1", "2", "3"))),
    ({"task": "classification"}, N % 3 / 1.0, N % 3, Classification(3)),
    ({"task": "regression"}, N % 3 + 1, N % 3 + 1, Regression(names=("y",))),
]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("options", "y", "expected", "task"), TARGETS)
def test_targets(tmp_path: Path, suffix: str, options: dict[str, str], y: Any, expected: np.ndarray, task: Any):
    data = load(write(tmp_path / f"a.{suffix}", y=y), **options)
    assert data.task == task
    np.testing.assert_array_equal(all_rows(data)[1], expected)


def test_features_of_every_kind_of_number(tmp_path: Path):
    values = {"i8": np.int8, "u8": np.uint64, "f2": np.float16, "bool": bool, "Int64": "Int64", "boolean": "boolean"}
    frame = pd.DataFrame({name: pd.Series(N % 2).astype(dtype) for name, dtype in values.items()})
    frame["category"] = pd.Categorical(N % 2)
    data = load(write(tmp_path / "a.parquet", frame, y=N / 7))
    assert data.input_shape == (7,)
    assert (data.x_train == data.x_train[:, :1]).all()
    assert sorted(set(data.x_train[:, 0])) == [0, 1]


def test_forms_of_csv(tmp_path: Path):
    (tmp_path / "a.CSV").write_bytes(
        b'\xef\xbb\xbf\r\n"a, b", c ,y\r\n1, 2, red\r\n3,4,"blue"\r\n5,6, red\r\n\r\n7,8,blue\r\n'
    )
    data = load(tmp_path / "a.CSV")
    assert data.columns == ("a, b", "c", "y")
    assert data.task == Classification(2, names=("blue", "red"))
    np.testing.assert_array_equal(all_rows(data)[0], [[1, 2], [3, 4], [5, 6], [7, 8]])
    assert all_rows(data)[1].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", [np.array, pd.Categorical])
def test_blanks_around_words_make_no_class(tmp_path: Path, suffix: str, kind: Callable[..., Any]):
    words = kind(np.array(["dog", "dog ", " dog", "cat", "cat\t", "black cat"])[N % 6])
    data = load(write(tmp_path / f"a.{suffix}", y=words))
    assert data.task == Classification(3, names=("black cat", "cat", "dog"))


def test_blanks_in_csv_hide_neither_numbers_nor_truth_nor_what_is_missing(tmp_path: Path):
    rows = "".join(f'{n} , True ," {n % 3}.5 ",dog \n{n}, False ,2, cat\n' for n in range(10))
    (tmp_path / "a.csv").write_text(f"a,b,c,y\n{rows}")
    data = load(tmp_path / "a.csv")
    assert (data.input_shape, data.task) == ((3,), Classification(2, names=("cat", "dog")))
    assert sorted(set(all_rows(data)[0][:, 2])) == [0.5, 1.5, 2.0, 2.5]
    (tmp_path / "a.csv").write_text(f"a,b,c,y\n{rows}1,True,2,NA \n1,True,2, \n")
    assert "missing values (empty, NA, None, ...) in y (2)" in refusal(load_dataset, tmp_path / "a.csv")


def test_blanks_beside_what_is_no_text(tmp_path: Path):
    assert "such as '[1 2]'" in refusal(load_dataset, write(tmp_path / "a.parquet", size=[[1, 2]] * 30))
    message = refusal(load_dataset, write(tmp_path / "b.parquet", price=[None, " dog", "dog "] * 10))
    assert "in price (10)" in message


def test_row_labels_of_pandas_are_no_column(tmp_path: Path):
    frame = FRAME.set_index(pd.Index(N.astype(str), name="id"))
    assert load(write(tmp_path / "a.parquet", frame)).columns == ("size", "rooms", "garden", "price")


def test_the_file_is_read_once(tmp_path: Path):
    file = write(tmp_path / "a.csv")
    readers = open_table(str(file), None).readers
    readers["x_train"]()
    file.unlink()
    assert len(readers["y_train"]()) == 30


def test_the_fingerprint_is_of_numbers_and_names(tmp_path: Path):
    one = load(write(tmp_path / "one.csv"))
    assert load(write(tmp_path / "two.parquet")).fingerprint == one.fingerprint
    assert load(tmp_path / "one.csv", images=9, seed=4).fingerprint == one.fingerprint
    others = {
        load(write(tmp_path / "number.csv", size=N / 4 + (N == 3))).fingerprint,
        load(write(tmp_path / "target.csv", price=N * 1.5 - (N == 3))).fingerprint,
        load(write(tmp_path / "name.csv", FRAME.rename(columns={"size": "area"}))).fingerprint,
        load(write(tmp_path / "target_name.csv", FRAME.rename(columns={"price": "rent"}))).fingerprint,
        load(write(tmp_path / "order.csv", FRAME[["rooms", "size", "garden", "price"]])).fingerprint,
        load(tmp_path / "one.csv", target="size").fingerprint,
    }
    assert len(others | {one.fingerprint}) == 7


def test_a_reference_is_no_table():
    assert is_table_file("a/b.CSV")
    assert is_table_file("b.parquet")
    assert not is_table_file("module:attribute.csv")


def test_the_check_imports_no_pandas(tmp_path: Path):
    write(tmp_path / "a.csv")
    write(tmp_path / "a.parquet")
    told = run_python(f"""
        import json, sys
        from kerastuna.search.datasets.data import check_spec
        check_spec({str(tmp_path / "a.csv")!r}, target="size")
        check_spec({str(tmp_path / "a.parquet")!r})
        print(json.dumps({{"pandas": "pandas" in sys.modules, "keras": "keras" in sys.modules}}))
    """)
    assert told == {"pandas": False, "keras": False}
    assert "pandas" in sys.modules  # so the name is the right one


# Folders


@pytest.mark.parametrize("train", SUFFIXES)
@pytest.mark.parametrize("test", SUFFIXES)
def test_a_folder_with_a_test_part(tmp_path: Path, train: str, test: str):
    folder = tmp_path / "houses"
    folder.mkdir()
    kinds = np.array(["b", "c", "a"])[N % 3]
    write(folder / f"train.{train}", kind=kinds)
    write(folder / f"test.{test}", FRAME.assign(kind=kinds)[["kind", "price", "rooms", "size", "garden"]][:7])
    (folder / "README.md").touch()
    data = load(folder)
    assert (data.name, data.columns[-1], data.task) == ("houses", "kind", Classification(3, names=("a", "b", "c")))
    assert has_test(str(folder))
    part = load_test(str(folder), data)
    assert part is not None
    np.testing.assert_array_equal(part[0], FRAME.to_numpy(dtype=np.float32)[:7])
    assert part[1].tolist() == [1, 2, 0, 1, 2, 0, 1]


def test_the_target_of_the_training_part_is_that_of_the_test_part(tmp_path: Path):
    write(tmp_path / "train.csv")
    write(tmp_path / "test.csv", FRAME[:7])
    data = load(tmp_path, target="rooms")
    part = load_test(str(tmp_path), data)
    assert part is not None
    np.testing.assert_array_equal(part[0], FRAME[["size", "garden", "price"]].to_numpy(dtype=np.float32)[:7])
    assert part[1].tolist() == (N % 5)[:7].tolist()


def test_a_folder_without_a_test_part(tmp_path: Path):
    write(tmp_path / "train.parquet")
    data = load(tmp_path)
    assert not has_test(str(tmp_path))
    assert load_test(str(tmp_path), data) is None


def test_training_reads_no_row_of_the_test_part(tmp_path: Path):
    write(tmp_path / "train.csv")
    (tmp_path / "test.csv").write_text("size,rooms,garden,price\nno,numbers,at,all\n")
    data = load(tmp_path)
    assert "column 'size' of " in refusal(load_test, tmp_path, like=data)


def test_a_test_class_that_the_training_part_lacks(tmp_path: Path):
    write(tmp_path / "train.csv", kind=np.array(["a", "b"])[N % 2])
    write(tmp_path / "test.csv", kind=np.array(["a", "z"])[N % 2])
    message = refusal(load_test, tmp_path, like=load(tmp_path))
    assert "test.csv' has the class 'z', which the training part lacks (it has 'a', 'b')" in message


@pytest.mark.parametrize("function", [check_spec, load_dataset, partial(load_test, like=like())])
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("test", "named"),
    [
        (FRAME.drop(columns="price"), ["test.", "lacks price", "the target included"]),
        (FRAME.assign(id=N), ["has id besides"]),
    ],
)
def test_other_columns_in_the_test_table(
    tmp_path: Path, function: Callable[..., object], suffix: str, test: pd.DataFrame, named: list[str]
):
    write(tmp_path / "train.csv")
    write(tmp_path / f"test.{suffix}", test)
    message = refusal(function, tmp_path)
    assert all(words in message for words in named), message


def test_two_tables_of_one_part(tmp_path: Path):
    for suffix in SUFFIXES:
        write(tmp_path / f"train.{suffix}")
    assert "has train.csv and train.parquet: keep one" in refusal(check_spec, tmp_path)


@pytest.mark.parametrize("function", [check_spec, load_dataset])
@pytest.mark.parametrize("name", ["val.csv", "validation.csv", "Valid.csv", "dev.parquet"])
def test_a_table_for_validation_is_refused(tmp_path: Path, function: Callable[..., object], name: str):
    write(tmp_path / "train.csv")
    (tmp_path / "values.csv").touch()
    check_spec(str(tmp_path))
    (tmp_path / name).touch()
    message = refusal(function, tmp_path)
    assert f"has {name} beside train.csv" in message
    assert "a tenth of train.csv" in message
    assert "add these rows to train.csv, or move the file away" in message


def test_images_beside_a_table_are_a_folder_of_images(tmp_path: Path):
    write(tmp_path / "train.csv")
    (tmp_path / "train").mkdir()
    assert "no class folders" in refusal(check_spec, tmp_path)


# Refusals


@pytest.mark.parametrize("function", [check_spec, load_dataset, partial(load_test, like=like())])
@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", ["has no columns"]),
        ("\n\n", ["has no columns"]),
        ("a\n1\n", ["has one column, 'a':", "add columns"]),
        ("a;b;c\n1;2;3\n", ["has one column, 'a;b;c'", "semicolons", "commas"]),
        ("a\tb\n1\t2\n", ["tabs", "commas"]),
        ("1,2.5,-3e4\n4,5,6\n", ["only numbers (1, 2.5, -3e4)", "add a header"]),
        ("a,b,a,b,c\n1,2,3,4,5\n", ["several columns named a, b"]),
        (",a,b\n0,1,2\n", ["column without a name, number 1", "to_csv(index=False)"]),
        ("a,b,\n0,1,2\n", ["column without a name, number 3"]),
        (b"gr\xf6\xdfe,y\n1,2\n", ["is not a table", "UnicodeDecodeError", "UTF-8"]),
    ],
)
def test_headers_that_are_refused(
    tmp_path: Path, function: Callable[..., object], content: str | bytes, named: list[str]
):
    file = tmp_path / "a.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    message = refusal(function, file)
    assert all(words in message for words in ["a.csv'", *named]), message


@pytest.mark.parametrize("function", [check_spec, load_dataset, partial(load_test, like=like())])
@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("absent.csv", "No such file"),
        ("absent.parquet", "No such file"),
        ("folder.csv", "not a regular file"),
        ("pipe.parquet", "not a regular file"),
        ("text.parquet", "is not a table that can be read (ArrowInvalid"),
        ("empty.parquet", "is not a table that can be read (ArrowInvalid"),
        ("no_columns.parquet", "has no columns"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, function: Callable[..., object], name: str, named: str):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.parquet")
    (tmp_path / "text.parquet").write_text("a,b\n1,2\n" * 20)
    (tmp_path / "empty.parquet").touch()
    pd.DataFrame(index=[1, 2]).to_parquet(tmp_path / "no_columns.parquet")
    message = refusal(function, tmp_path / name)
    assert f"{name}' " in message
    assert named in message


def test_an_unknown_target(tmp_path: Path):
    frame = pd.DataFrame({f"c{number}": N for number in range(12)})
    for function in (check_spec, load_dataset):
        message = refusal(function, write(tmp_path / "a.csv", frame), target="prize")
        assert "no column 'prize' to predict (it has c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, ...)" in message


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"rooms": np.where(N % 7, "two", "one")}, ["column 'rooms' of ", "texts or objects, such as 'one'", "encode"]),
        ({"rooms": np.where(N == 7, "?", N.astype(str))}, ["column 'rooms' of ", "such as '?'"]),
        ({"rooms": pd.Categorical(np.where(N % 7, "two", "one"))}, ["column 'rooms' of ", "such as 'one'"]),
        ({"size": np.where(N == 7, np.inf, N)}, ["column 'size' of ", "NaN, infinite or beyond float32, 1 of 30"]),
        ({"size": np.where(N == 7, -1e39, N)}, ["column 'size' of ", "beyond float32, 1 of 30"]),
        ({"size": np.where(N % 7, N, np.nan)}, ["missing values", "in size (5):"]),
        ({"price": np.where(N % 7, N, np.nan)}, ["missing values", "in price (5):"]),
        ({"price": np.where(N == 7, np.inf, N)}, ["column 'price' of ", "NaN, infinite or beyond float32, 1 of 30"]),
        ({"size": np.where(N % 7, N, np.nan), "rooms": np.where(N, N, np.nan)}, ["in size (5), rooms (1):"]),
        ({"price": N % 3 + 1}, ["column 'price' of ", "labels from 1 to 3", "--task regression"]),
        ({"price": N}, ["column 'price' of ", "30 different labels for 30 rows", "--task regression"]),
        ({"price": N.astype(str) + np.array(["x"])}, ["column 'price' of ", "30 different texts for 30 rows"]),
        ({"price": "same"}, ["column 'price' of ", "only one class"]),
    ],
)
def test_rows_that_are_refused(tmp_path: Path, suffix: str, columns: dict[str, Any], named: list[str]):
    file = write(tmp_path / f"a.{suffix}", **columns)
    check_spec(str(file))
    message = refusal(load_dataset, file)
    assert all(words in message for words in [f"a.{suffix}'", *named]), message


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"size": pd.to_datetime("2024-01-01") + pd.to_timedelta(N, unit="D")}, "column 'size' of "),
        ({"size": pd.to_timedelta(N, unit="D")}, "has durations"),
        ({"price": pd.to_datetime("2024-01-01") + pd.to_timedelta(N, unit="D")}, "the target, is of type datetime64"),
        ({"size": [[1, 2]] * 30}, "has texts or objects, such as '[1 2]'"),
        ({"price": [[1, 2]] * 30}, "column 'price' of "),
        ({"size": pd.array([1, None] * 15, dtype="Int64")}, "in size (15):"),
    ],
)
def test_types_that_only_parquet_has(tmp_path: Path, columns: dict[str, Any], named: str):
    assert named in refusal(load_dataset, write(tmp_path / "a.parquet", **columns))


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ("", "has no rows"),
        ("1,2,3\n4,5,6,7\n", "Expected 3 fields in line 3, saw 4"),
        ("1,2,3,4\n5,6,7,8\n", "ParserWarning"),
        ("1,2,3\n4,5\n", "in y (1):"),
        ('1,2,"3\n', "EOF inside string"),
        ("1,2,3\n4,\xff,6\n", "UnicodeDecodeError"),
    ],
)
def test_lines_that_are_refused(tmp_path: Path, rows: str, named: str):
    (tmp_path / "a.csv").write_bytes(f"a,b,y\n{rows}".encode("latin-1"))
    message = refusal(load_dataset, tmp_path / "a.csv")
    assert "a.csv'" in message
    assert named in message


def test_long_lines_are_refused_whatever_is_done_about_warnings(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a,b,y\n1,2,3,4\n5,6,7,8\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert "ParserWarning" in refusal(load_dataset, tmp_path / "a.csv")


def test_no_rows_in_parquet(tmp_path: Path):
    assert "has no rows" in refusal(load_dataset, write(tmp_path / "a.parquet", FRAME[:0]))


def test_a_parquet_file_cut_or_damaged(tmp_path: Path):
    file = write(tmp_path / "a.parquet")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert "a.parquet' is not a table" in refusal(check_spec, file)
    file.write_bytes(whole[:4] + bytes(255 - byte for byte in whole[4:60]) + whole[60:])
    check_spec(str(file))
    assert "a.parquet' cannot be read" in refusal(load_dataset, file)


@pytest.mark.parametrize(
    ("change", "told"),
    [({"size": "large"}, "has texts"), ({"size": None}, "missing values"), ({"kind": "castle"}, "the class 'castle'")],
)
def test_a_test_part_that_cannot_be_used_is_found_before_it_is_opened(tmp_path: Path, change: Any, told: str):
    frame = FRAME.assign(kind=np.where(N % 2 == 0, "house", "flat"))
    tmp_path.joinpath("set").mkdir()
    write(tmp_path / "set" / "train.csv", frame)
    write(tmp_path / "set" / "test.csv", frame[:6])
    assert isinstance(load_dataset(str(tmp_path / "set"), check_test=True), Dataset)
    write(tmp_path / "set" / "test.csv", frame[:6].assign(**change))
    assert told in refusal(load_dataset, tmp_path / "set", check_test=True)
    assert isinstance(load_dataset(str(tmp_path / "set")), Dataset)
