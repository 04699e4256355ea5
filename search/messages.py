"""Text for people: short, in one line, and without passwords. Numbers as people read them."""

import math
import re

_CREDENTIALS = re.compile(r"(\b[a-z][a-z0-9+.\-]*:/+|//)([^\s:/@]*)(:\S*)?@", re.IGNORECASE)
_SECRET_ARGUMENTS = re.compile(
    r"(\b(?:password|passwd|pwd|sslpassword|token|access_token|api_key|secret|odbc_connect)=)[^&;\s]+", re.IGNORECASE
)


def redact(text: str) -> str:
    """`text` with the password of every URL in it, or the name where it may be a token, replaced by `***`.

    So are passwords among the arguments of a URL. Rather too much than too little.
    """
    return _SECRET_ARGUMENTS.sub(r"\1***", _CREDENTIALS.sub(_without_secret, text))


def redact_url(url: str) -> str:
    """`redact` for one URL, whose password may hold spaces too; they are shown as %20."""
    return redact(re.sub(r"\s", "%20", url))


def _without_secret(found: re.Match[str]) -> str:
    scheme, name, password = found.groups()
    return f"{scheme}{name}:***@" if password else f"{scheme}***@"


def shortened(text: str, length: int = 40) -> str:
    """`text` in one line of at most `length` letters: what is too long loses its middle, so that names still differ."""
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length // 2]}…{text[len(text) - (length - 1) // 2 :]}"


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


def number(value: float) -> str:
    """Four significant digits: "0.1234", "12.30", "0.00001234" as "1.234e-05"; whole numbers from 1,000 on."""
    size = abs(value)
    if value == 0 or not math.isfinite(value) or not 999.95 <= size < 1e9:
        return "0" if value == 0 else f"{value:#.4g}"
    return f"{value:,.0f}"
