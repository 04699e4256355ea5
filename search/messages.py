"""Text for people: short, in one line, and without passwords. Numbers as people read them."""

import io
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any
from urllib.parse import unquote

_CREDENTIALS = re.compile(r"(\b[a-z][a-z0-9+.\-]*:/+|//)([^\s:/@]*)(:\S*)?@", re.IGNORECASE)
_WITHOUT_SCHEME = re.compile(r"(?<![\w./:@*])([\w.+-]+:)(?!\*\*\*@)[^\s/@]\S*@(?=[\w\[])")
_TOKENS = re.compile(r"\bdapi[0-9a-f]{8,}(-\d+)?", re.IGNORECASE)  # of Databricks
_SECRET_NAMES = "password|passwd|pwd|sslpassword|token|access_token|api_key|secret|odbc_connect"
_SECRET_ARGUMENTS = re.compile(rf"(\b(?:{_SECRET_NAMES})=)([^&;\s]+)", re.IGNORECASE)
_SECRET_VARIABLES = re.compile(r"PASSWORD|PASSWD|PGPASS|TOKEN|SECRET|API_KEY|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
_SHORTEST_SECRET = 6
"""A shorter one, if taken out wherever it stands, would take words apart: it is only taken out of URLs."""
_known: list[str] = []  # of the whole process: threads write too


def redact(text: str) -> str:
    """`text` with the password of every URL in it, or the name where it may be a token, replaced by `***`.

    So are passwords among the arguments of a URL, and what `hidden_secrets` was given. Rather too much than too little.
    """
    for secret in _known:
        text = text.replace(secret, "***")
    if "@" in text:
        text = _WITHOUT_SCHEME.sub(r"\1***@", _CREDENTIALS.sub(_without_secret, text))
    return _TOKENS.sub("***", _SECRET_ARGUMENTS.sub(r"\1***", text))


def redact_url(url: str) -> str:
    """`redact` for one URL, whose password may hold spaces too; they are shown as %20."""
    return redact(re.sub(r"\s", "%20", url))


def _without_secret(found: re.Match[str]) -> str:
    scheme, name, password = found.groups()
    if scheme.lower() == "models:/":  # an alias of a registered model
        return found[0]
    return f"{scheme}{name}:***@" if password else f"{scheme}***@"


def secrets_of(urls: Iterable[str], variables: Mapping[str, str]) -> tuple[str, ...]:
    """The passwords and tokens in `urls`, and in variables of the environment: those whose name tells, and URLs."""
    found: set[str] = set()
    for name, value in variables.items():
        if _SECRET_VARIABLES.search(name) and "/" not in value:  # a path leads to a secret, and is none
            found.add(value)
    for url in (*urls, *(value for value in variables.values() if "://" in value)):
        head, separator, _ = url.partition("://")[2 if "://" in url else 0].rpartition("@")
        name, colon, password = head.partition(":")
        if separator and "/" not in name:
            found |= {password, unquote(password)} if colon else {name} if "://" in url else set()
        found |= {match[2] for match in _SECRET_ARGUMENTS.finditer(url)}
        found |= {unquote(match[2]) for match in _SECRET_ARGUMENTS.finditer(url)}
    return tuple(sorted((each for each in found if len(each) >= _SHORTEST_SECRET), key=len, reverse=True))


def known_secrets() -> tuple[str, ...]:
    """What `redact` takes out wherever it stands, for a process that this one starts."""
    return tuple(_known)


def hide_for_good(secrets: Sequence[str]) -> None:
    """`hidden_secrets` for the rest of this process."""
    _known[:] = secrets
    sys.stdout, sys.stderr = Redacted(sys.stdout), Redacted(sys.stderr)


@contextmanager
def hidden_secrets(secrets: Sequence[str]) -> Iterator[None]:
    """`redact` takes these out wherever they stand, and nothing is written to the standard streams without it."""
    before = list(_known)
    _known[:] = secrets
    try:
        with redirect_stdout(Redacted(sys.stdout)), redirect_stderr(Redacted(sys.stderr)):
            yield
    finally:
        _known[:] = before


class Nowhere(io.StringIO):
    """A stream of text that nobody reads: in place of a standard stream that is closed."""

    def write(self, text: str, /) -> int:
        """Drop `text`; returns its length."""
        return len(text)


class Redacted:
    """A stream of text that writes `redact` of what it is given to another one.

    Characters that the other one's encoding lacks, and halves of characters, are escaped.

    Args:
        stream: the other one; None, as a standard stream is that was closed, for nowhere.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = Nowhere() if stream is None else stream

    def write(self, text: str) -> int:
        """Write `text` without secrets; returns its length."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(redact(text).encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    @property
    def beneath(self) -> Any:
        """The other stream."""
        return self._stream

    def writelines(self, lines: Iterable[str]) -> None:
        """Write all `lines`."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the other stream."""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def as_it_is(stream: Any) -> Any:
    """The stream beneath `stream`, for text that has no secrets any more and must not be changed."""
    while isinstance(stream, Redacted):
        stream = stream.beneath
    return stream


def shortened(text: str, length: int = 40) -> str:
    """`text` in one line of at most `length` letters: what is too long loses its middle, so that names still differ."""
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length // 2]}…{text[len(text) - (length - 1) // 2 :]}"


def one_line(text: str, length: int = 2000) -> str:
    """`text` in one line without secrets; characters that steer a terminal are escaped."""
    line = shortened(redact(text), length)
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


def shown(text: str) -> str:
    """`text` in quotes, without the password of a URL in it."""
    return repr(redact(text))


def cause(error: BaseException) -> str:
    """An error in one short line, without the password of a URL in it."""
    return _line(": ".join(filter(None, [type(error).__name__, str(error)])))


def cause_in(trace: str) -> str:
    """The error at the end of a trace as Python prints it, in one short line like `cause`.

    The trace may have lost its beginning.
    """
    _, heading, end = trace.rpartition("Traceback (most recent call last):\n")
    if not heading:
        *_, end = trace.rpartition('\n  File "')
    lines = end.splitlines()
    frames = 0 if heading else 1
    first = next((number for number, line in enumerate(lines) if number >= frames and not line.startswith("  ")), 0)
    return _line(" ".join(lines[first:]))


def _line(text: str) -> str:
    return shortened(redact(text), 300)


def is_accuracy(metric: str) -> bool:
    """Whether the metric that Keras calls so, with or without "val_", is an accuracy: a share, told in percent too."""
    return "accuracy" in metric or metric.removeprefix("val_") == "acc"


def figure(value: float, metric: str) -> str:
    """The value of a metric: an accuracy with four decimals, any other as `number`."""
    return f"{value:.4f}" if is_accuracy(metric) else number(value)


def signed(value: float, metric: str) -> str:
    """A difference between two values of a metric, with its sign."""
    return ("" if value < 0 or math.isnan(value) else "+") + figure(value, metric)


def percent(value: float, metric: str) -> str:
    """The value of a metric: an accuracy in percent, any other as `number`."""
    return f"{100 * value:.2f} %" if is_accuracy(metric) else number(value)


def points(value: float, metric: str) -> str:
    """A difference between two values of a metric: between accuracies in percentage points, else as `number`."""
    return f"{100 * value:.2f}" if is_accuracy(metric) else number(value)


def counted(number: int, noun: str) -> str:
    """A whole number and its noun, in the plural where needed: "1 trial", "1,000 trials"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def number(value: float) -> str:
    """Four significant digits: "0.1234", "12.30", "0.00001234" as "1.234e-05"; whole numbers from 1,000 on."""
    size = abs(value)
    if value == 0 or not math.isfinite(value) or not 999.95 <= size < 1e9:
        return "0" if value == 0 else f"{value:#.4g}"
    return f"{value:,.0f}"
