"""File names that earlier versions wrote are found again, and no study's name leads out of its folder."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastuna.search.errors import InputError, StudyError
from kerastuna.search.study.names import (
    JOURNAL_NAME,
    MAX_NAME_BYTES,
    check_experiment_name,
    check_study_name,
    safe_study_name,
)

ODD = st.text(st.sampled_from("./\\-\0\n\x1b\u202e\ud800 aé日:~$%*'\""), max_size=12)


def test_the_journal_is_found_where_earlier_versions_put_it() -> None:
    assert JOURNAL_NAME == "optuna.journal"


@pytest.mark.parametrize(
    "name", ["mnist-convnet-15000-quick", "my study", "1", "été-2.1", "日本", "a:b", "(x) 100%", "console", "x" * 150]
)
def test_a_usual_name_is_allowed(name: str) -> None:
    assert check_study_name(name) == safe_study_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is empty"),
        (" \t", "is empty"),
        ("../x", "holds a path"),
        ("/tmp/x", "holds a path"),
        ("a\\b", "holds a path"),
        (".", "begins with ."),
        ("..", "begins with ."),
        (".hidden", "begins with ."),
        ("--trials", "begins with -"),
        ("a\0b", "cannot be printed"),
        ("a\nb", "cannot be printed"),
        ("a\x1b[31m", "cannot be printed"),
        ("a\udcff", "cannot be printed"),
        ("a\u202eb", "cannot be printed"),
        (" a", "has a space at an end"),
        ("a.", "ends with a full stop"),
        ("NUL", "is kept for a device"),
        ("com1.txt", "is kept for a device"),
        ("x" * 151, "is too long"),
        ("é" * 76, "is too long"),
    ],
)
def test_an_odd_name_is_refused_in_one_line(name: str, why: str) -> None:
    with pytest.raises(StudyError) as caught:
        check_study_name(name)
    assert why in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250
    assert check_study_name(safe_study_name(name)) != name


@given(st.one_of(ODD, st.text(max_size=200)))
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    safe = safe_study_name(name)
    path = (Path("/runs/trials") / check_study_name(safe)).resolve()
    assert path.parent == Path("/runs/trials")
    assert path.name == safe
    assert len(safe.encode()) <= MAX_NAME_BYTES


@given(ODD, ODD)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert (one == other) == (safe_study_name(one) == safe_study_name(other))


@given(st.one_of(ODD, st.text(max_size=20)))
def test_an_experiment_may_be_a_path_but_holds_nothing_odd(name: str) -> None:
    odd = not name.strip() or any(
        unicodedata.category(letter) in ("Cc", "Cf", "Cn", "Cs", "Zl", "Zp") for letter in name
    )
    if not odd:
        assert check_experiment_name(name) == name
        return
    with pytest.raises(InputError, match="MLFLOW_EXPERIMENT_NAME"):
        check_experiment_name(name)
