"""What SQLAlchemy's pools log, for which there is no setting of one engine that others make.

tests/compat/test_sqlalchemy.py fails when an upgrade changes it.
"""

import logging

POOL = "sqlalchemy.pool.impl.QueuePool"
"""The logger of the pools of all engines, but for those in memory."""


def quiet_lost_connections() -> None:
    """Let SQLAlchemy's pools log no trace of a connection that was lost while it was given back.

    The pool makes another one. Whoever used the connection has met the error, too, or does not need it any more.
    """
    logging.getLogger(POOL).addFilter(_is_news)  # which is added once


def _is_news(record: logging.LogRecord) -> bool:
    """Whether it is not of an error by which drivers tell of lost connections, by the names of PEP 249."""
    error = record.exc_info[1] if record.exc_info else None
    return {kind.__name__ for kind in type(error).__mro__}.isdisjoint(("OperationalError", "InterfaceError"))
