"""Text of C programs: comments, numbers and the rows of arrays."""

import numpy as np


def comment(text: str) -> str:
    """`text` in one line that is safe in a C comment."""
    return " ".join(text.split()).replace("*/", "* /").replace("/*", "/ *")


def real(number: float) -> str:
    """A constant of type float, with as many digits as it takes to read the same float32 back."""
    return f"{np.float32(number)!s}f"


def rows(array: np.ndarray) -> str:
    """The values of an array between its braces, of whole numbers or of float32."""
    form, width = (real, 10) if array.dtype.kind == "f" else (str, 20)
    numbers = [f"{form(number)}," for number in array.reshape(-1)]
    return "\n".join("    " + " ".join(numbers[start : start + width]) for start in range(0, len(numbers), width))
