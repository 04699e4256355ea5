"""A private name of PyMySQL that has no public replacement.

tests/compat/test_pymysql.py fails when an upgrade changes it.
"""

from typing import Any


def file_number(connection: Any) -> int:
    """The number of the socket of a connection; other drivers tell it by `fileno`."""
    return connection._sock.fileno()
