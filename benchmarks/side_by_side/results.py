"""The file of a run: what it holds, and which run may go on with it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kerastuna.search.errors import InputError
from kerastuna.search.messages import cause

from .measures import Search, search_from_json
from .setting import Setting

SHOWN = ("setting", "date", "images", "hardware", "backend", "versions")
"""What the tables tell of a run, beside its searches."""
MAY_DIFFER = ("name", "seeds")
"""Of a setting, between the searches of a file."""


def kept(path: Path, setting: Setting) -> dict[str, Any]:
    """What the file `path` holds, to go on with; raises InputError where its searches are of another setting."""
    told, _ = read(path)
    before, now = told["setting"], asdict(setting)
    other = [name for name, value in now.items() if name not in MAY_DIFFER and before.get(name) != value]
    if other:
        raise InputError(
            f"{path} has searches of another setting "
            f"({', '.join(f'{name} {before.get(name)}, now {now[name]}' for name in other)}): give the same options, "
            "another --name, or --overwrite"
        )
    told["setting"] = {**now, "seeds": max(setting.seeds, before.get("seeds", 0))}
    return told


def measured_on(told: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a file holds: what all its searches were measured on."""
    return {name: value for name, value in told.items() if name not in ("setting", "date", "searches")}


def read(path: Path) -> tuple[dict[str, Any], list[Search]]:
    """What the file `path` tells of a run, and its searches; raises InputError where it is not of this benchmark."""
    try:
        told = json.loads(path.read_text())
        searches = [search_from_json(values) for values in told["searches"]]
        told["setting"] = dict(told["setting"])
        if missing := [name for name in SHOWN if name not in told]:
            raise ValueError(f"there is no {', '.join(missing)}")
        if not searches:
            raise ValueError("there is no search")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} has no results of this benchmark ({cause(error)}): name another file, or run it with --overwrite"
        ) from error
    return told, searches
