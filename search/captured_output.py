"""Standard error as a file descriptor, which C++ code writes to: `contextlib.redirect_stderr` does not capture that."""

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def captured_stderr() -> Iterator[io.StringIO]:
    """Captures what Python and C++ write to standard error.

    The text is in the yielded object after the block. If the block raises, the text is also written to standard error,
    because it may say why.
    """
    captured = io.StringIO()
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield captured
        except BaseException:
            sys.stderr.flush()
            file.seek(0)
            os.write(original, file.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            file.seek(0)
            captured.write(file.read().decode(errors="replace"))
