"""Names of files and of studies. Importing this module is cheap."""

import unicodedata
from hashlib import sha256

from ..errors import StudyError
from ..messages import shortened

JOURNAL_NAME = "optuna.journal"
"""The journal file that holds the studies, in the folder of the runs or of the project."""
CHECKPOINT_FOLDER = "checkpoints"
"""Within the folder of a study's trials, and within that of its champion: the checkpoints of trainings."""
MAX_NAME_BYTES = 150
"""Of a study's name in UTF-8: file systems allow 255 for a name, and some files add to that of their study."""
_RESERVED = frozenset(
    {"aux", "con", "nul", "prn", *(f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10))}
)
"""Windows keeps these for devices, whatever follows them after a full stop."""


def check_study_name(name: str) -> str:
    """`name`, when a folder may be called so wherever runs are kept.

    Raises StudyError for any other name: one that leads to another folder, is hidden, cannot be printed or typed, or is
    too long or kept for a device.
    """
    if why := _problem(name):
        raise StudyError(
            f"--study {shortened(ascii(name), 60)} {why}: give a name of at most {MAX_NAME_BYTES} bytes, such as "
            "my-study.2, without / and \\, that begins with neither . nor -"
        )
    return name


def safe_study_name(name: str) -> str:
    """`name` if `check_study_name` allows it, else a similar one with a digest that makes it unique."""
    if not _problem(name):
        return name
    safe = "".join("_" if _is_odd(letter) else letter for letter in name).strip()
    if safe[:1] in ("", ".", "-") or _is_reserved(safe):
        safe = f"_{safe}"
    safe = safe.encode()[: MAX_NAME_BYTES - 9].decode(errors="ignore")
    return f"{safe}-{sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _problem(name: str) -> str:
    """What is wrong with a name; empty for nothing."""
    if not name.strip():
        return "is empty"
    if "/" in name or "\\" in name:
        return "holds a path"
    if any(map(_is_odd, name)):
        return "holds a character that cannot be printed"
    if name.startswith((".", "-")):
        return f"begins with {name[0]}"
    if name != name.strip() or name.endswith("."):
        return "has a space at an end, or ends with a full stop"
    if _is_reserved(name):
        return "is kept for a device"
    if len(name.encode()) > MAX_NAME_BYTES:
        return "is too long"
    return ""


def _is_odd(letter: str) -> bool:
    """Whether no file name should hold it: separators of folders and lines, control characters, halves of others."""
    return letter in "/\\" or unicodedata.category(letter) in ("Cc", "Cf", "Cn", "Cs", "Zl", "Zp")


def _is_reserved(name: str) -> bool:
    return name.partition(".")[0].strip().lower() in _RESERVED
