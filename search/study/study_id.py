"""The random id of a study, and the folders that belong to it: two studies may have one name, in two storages."""

import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import optuna
from optuna.storages import BaseStorage

from ..compat.optuna_attributes import change_attribute
from .attributes import STUDY_ID

ID_FILE = "study.id"
"""In a folder of a study: its id."""


@final
@dataclass(frozen=True)
class StudyId:
    """What tells a study from every other one, also of its name. A copy of its storage has the same.

    Attributes:
        id: 32 hexadecimal digits.
        born: whether the study was made with it. Of one that is older, all that lies under its name and has no id is
            its own.
    """

    id: str
    born: bool

    @property
    def short(self) -> str:
        """Its first digits, for names of folders and models."""
        return self.id[:8]


def id_of(attributes: Mapping[str, Any]) -> StudyId | None:
    """The id among the user attributes of a study; None for a study that has none yet."""
    known = attributes.get(STUDY_ID)
    return None if known is None else StudyId(known["id"], known["born"])


def identify(storage: BaseStorage, study: optuna.Study, *, born: bool) -> tuple[StudyId, bool]:
    """The id of a study, given to it where it has none, and whether it was given now, by this process.

    Args:
        storage: of the study.
        study: whose id it is.
        born: whether the study is being made at this moment.
    """
    if (known := id_of(study.user_attrs)) is not None:
        return known, False
    own = {"id": uuid.uuid4().hex, "born": born}
    number = storage.get_study_id_from_name(study.study_name)
    kept = change_attribute(storage, number, STUDY_ID, lambda old: old or own)
    return StudyId(kept["id"], kept["born"]), kept == own


def own_folder(parent: Path, name: str, owner: StudyId, content: str) -> Path:
    """The folder in `parent` that belongs to the study, made where there is none: `name`, or that with an id.

    It is `name` unless that is another study's: it has its id, or `owner` was born with an id and files are there
    without one.

    Args:
        parent: for such folders of all studies.
        name: of the study.
        owner: the study.
        content: a pattern of what makes a folder without an id another study's.
    """
    for folder in _places(parent, name, owner):
        folder.mkdir(parents=True, exist_ok=True)
        if _claimed(folder, owner, content):
            return folder
    raise AssertionError("nobody else has the whole id")


def found_folder(parent: Path, name: str, owner: StudyId | None) -> Path | None:
    """The folder that `own_folder` has made, or that is older; None where there is none. Nothing is written.

    A study without an id finds the folder of its name while that has none either.
    """
    places = (parent / name,) if owner is None else _places(parent, name, owner)
    wanted = None if owner is None else owner.id
    own = next((folder for folder in places if folder.is_dir() and owner_of(folder) == wanted), None)
    plain = parent / name
    if own is None and owner is not None and not owner.born and plain.is_dir() and owner_of(plain) is None:
        return plain
    return own


def owner_of(folder: Path) -> str | None:
    """The id of the study that a folder belongs to; None where it does not tell."""
    with suppress(FileNotFoundError):
        return (folder / ID_FILE).read_text().strip()
    return None


def _places(parent: Path, name: str, owner: StudyId) -> tuple[Path, ...]:
    return parent / name, parent / f"{name}-{owner.short}", parent / f"{name}-{owner.id}"


def _claimed(folder: Path, owner: StudyId, content: str) -> bool:
    if (known := owner_of(folder)) is not None:
        return known == owner.id
    if owner.born and any(folder.glob(content)):
        return False
    new = folder / f".{ID_FILE}.{uuid.uuid4().hex}"
    new.write_text(f"{owner.id}\n")
    try:
        os.link(new, folder / ID_FILE)  # of several processes, one
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        with suppress(FileExistsError), open(folder / ID_FILE, "x") as file:
            file.write(f"{owner.id}\n")
    finally:
        new.unlink()
    return owner_of(folder) == owner.id
