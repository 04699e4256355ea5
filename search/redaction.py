"""Passwords, kept out of whatever is shown or recorded."""

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
