"""What an export checks of a model's file."""

import zipfile
from pathlib import Path

import pytest

from kerastuna.search.commands.exported_model import check_whole
from kerastuna.search.errors import SpaceError

AGAIN = "run kerastuna confirm --again"


def test_a_damaged_champion_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "champion.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}" * 100)
    check_whole(path, AGAIN)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"{}{}", b"{}[]"))
    with pytest.raises(SpaceError, match=r"damaged \(its part config\.json\): run kerastuna confirm --again"):
        check_whole(path, AGAIN)
    for torn in (whole[:50], b"", b"nothing"):
        path.write_bytes(torn)
        with pytest.raises(SpaceError, match=r"cannot be read .*: run kerastuna confirm --again"):
            check_whole(path, AGAIN)
