"""Seeds, derived from one another."""

import hashlib


def derive_seed(*parts: object) -> int:
    """A seed below 2**32 from any parts, the same in every process and on every machine."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big")
