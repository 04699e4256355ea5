"""Text for people that others have written: in one line, and not too long."""


def shortened(text: str, length: int = 40) -> str:
    """`text` in one line of at most `length` letters: what is too long loses its middle, so that names still differ."""
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length // 2]}…{text[len(text) - (length - 1) // 2 :]}"
