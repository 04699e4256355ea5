"""No password is shown."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastuna.search.messages import redact, redact_url


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
