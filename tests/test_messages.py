"""No password is shown, and numbers are as people read them."""

import io
import math
import string
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastuna.search.messages import (
    Nowhere,
    Redacted,
    counted,
    figure,
    hidden_secrets,
    is_accuracy,
    known_secrets,
    number,
    one_line,
    percent,
    points,
    redact,
    redact_url,
    secrets_of,
    signed,
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        ("postgresql+psycopg://me:pw@db:5432/x", "postgresql+psycopg://me:***@db:5432/x"),
        ("postgresql://db/x?user=me&password=pw&sslmode=on", "postgresql://db/x?user=me&password=***&sslmode=on"),
        ("redis://:pw@host", "redis://:***@host"),
        ("http://host:5000", "http://host:5000"),
        ("postgresql://me@host/db", "postgresql://***@host/db"),
        ("https://token@host/path", "https://***@host/path"),
        ("mysql://me:p@ss/w:rd@db/x", "mysql://me:***@db/x"),
        ("mysql://me:my secret@db/x", "mysql://me:***@db/x"),
        ("//me:secret@host", "//me:***@host"),
        ("mysql://host/db?password=secret&x=1", "mysql://host/db?password=***&x=1"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dsecret", "mssql+pyodbc:///?odbc_connect=***"),
        ("sqlite:////home/a@b/x.db", "sqlite:////home/a@b/x.db"),
        ("kerastuna.spaces.convnet:ConvNet", "kerastuna.spaces.convnet:ConvNet"),
    ],
)
def test_a_url(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_urls_in_a_text() -> None:
    text = "no route from http://a:1 to http://me:pw@b:2, nor postgresql://db/x?user=me&password='pw' @ 10:30"
    shown = "no route from http://a:1 to http://me:***@b:2, nor postgresql://db/x?user=me&password=*** @ 10:30"
    assert redact(text) == shown


@given(st.text(string.ascii_letters + string.digits + string.punctuation + " ", min_size=1))
def test_no_password_survives(password: str) -> None:
    for url in (f"http://user:<{password}>@host:5000/x", f"postgresql+psycopg://:<{password}>@host/db"):
        assert f"<{password}>" not in redact_url(url)
        assert redact_url(url).endswith(url.rpartition("@")[2])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.00001234, "1.234e-05"),
        (0.00012345, "0.0001234"),
        (-0.5, "-0.5000"),
        (0, "0"),
        (1.0, "1.000"),
        (12.3456, "12.35"),
        (999.94, "999.9"),
        (999.96, "1,000"),
        (-12_345.6, "-12,346"),
        (1e12, "1.000e+12"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_a_number_has_four_significant_digits(value: float, shown: str) -> None:
    assert number(value) == shown


@given(st.floats(1e-30, 1e30))
def test_a_number_is_told_to_a_thousandth(value: float) -> None:
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=1e-3)


def test_only_accuracies_are_told_in_percent() -> None:
    accuracies = ("accuracy", "val_accuracy", "acc", "val_acc", "val_binary_accuracy", "top_k_categorical_accuracy")
    for metric in accuracies:
        assert is_accuracy(metric)
        assert (figure(0.98767, metric), percent(0.98767, metric)) == ("0.9877", "98.77 %")
        assert (points(0.0123, metric), signed(0.0123, metric), signed(-0.0123, metric)) == (
            "1.23",
            "+0.0123",
            "-0.0123",
        )
    for metric in ("loss", "val_mae", "r2_score", "auc", "accel", "val_accident"):
        assert not is_accuracy(metric)
        assert figure(0.98767, metric) == percent(0.98767, metric) == points(0.98767, metric) == "0.9877"
        assert (signed(12.3, metric), signed(-12.3, metric), signed(0, metric)) == ("+12.30", "-12.30", "+0")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("me:hunter2@host:5000", "me:***@host:5000"),
        ("at me:p@ss@host, twice", "at me:***@host, twice"),
        ("databricks://me:hunter2@host", "databricks://me:***@host"),
        ("token dapi0123456789abcdef-2", "token ***"),
        ("my_space:build at 10:30", "my_space:build at 10:30"),
    ],
)
def test_an_address_without_a_scheme_and_a_token(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(redact(text)) == shown


def test_secrets_are_found_in_addresses_and_variables() -> None:
    variables = {"PGPASSWORD": "pgpass1", "HOME": "/root", "DB": "mysql://me:p%40ssword@h/x", "TOKEN_FILE": "/a/token"}
    assert set(secrets_of(["https://t0ken-1@h", "me:hunter2@h", "x@y.npz", "a://h?api_key=k3y-long"], variables)) == {
        *("pgpass1", "p%40ssword", "p@ssword", "t0ken-1", "hunter2", "k3y-long")
    }


def test_what_is_hidden_is_written_nowhere() -> None:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        with hidden_secrets(["hunter2"]):
            print("the password is hunter2, \udcff")
            sys.stderr.writelines(["hunter2\n", "postgresql://me:other@h\n"])
            assert redact("hunter2") == "***"
        print("hunter2")
    assert out.getvalue() == "the password is ***, \\udcff\nhunter2\n"
    assert err.getvalue() == "***\npostgresql://me:***@h\n"


@pytest.mark.parametrize(
    ("encoding", "written"), [("ascii", "\\u03b2 \\xe9"), ("latin-1", "\\u03b2 é"), ("utf-8", "β é"), ("utf-16", "β é")]
)
def test_letters_that_a_stream_lacks_are_escaped(encoding: str, written: str) -> None:
    file = io.BytesIO()
    stream = io.TextIOWrapper(file, encoding=encoding, errors="strict")
    print("β é", end="", file=Redacted(stream))
    stream.flush()
    assert file.getvalue().decode(encoding) == written


def test_where_there_is_no_stream_nothing_is_written() -> None:
    stream = Redacted(None)
    print("text", file=stream, flush=True)
    assert not stream.isatty()
    assert Nowhere().write("text") == 4


def test_one_line_steers_no_terminal() -> None:
    assert one_line("a\n\x1b[31mb \udcff é") == "a \\x1b[31mb \\udcff é"


def test_the_alias_of_a_registered_model_is_no_secret():
    assert redact("model models:/digits@champion, file a.keras") == "model models:/digits@champion, file a.keras"


def test_a_process_hides_for_good_what_another_one_hides() -> None:
    with hidden_secrets(["hunter2"]):
        assert known_secrets() == ("hunter2",)
    assert known_secrets() == ()
    program = (
        "import sys; from kerastuna.search.messages import hide_for_good, redact; hide_for_good(['hunter2']); "
        "print('hunter2', redact('x hunter2')); raise ValueError('hunter2')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "*** x ***\n"
    assert "ValueError: ***" in ended.stderr
    assert "hunter2')" not in ended.stderr.splitlines()[-1]


def test_a_noun_follows_its_number():
    assert [counted(number, "trial") for number in (0, 1, 2, 1000)] == [
        "0 trials",
        "1 trial",
        "2 trials",
        "1,000 trials",
    ]
