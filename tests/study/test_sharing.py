"""Storages that several processes can use, and those that only one can."""

from pathlib import Path

import pytest
from optuna.storages import InMemoryStorage

from kerastuna.search.errors import StudyError
from kerastuna.search.study import sharing
from kerastuna.search.study.sharing import file_system, one_process_only
from kerastuna.search.study.storage import open_storage


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a network file system, with a local disk in it, as Linux lists them."""
    (tmp_path / "home dir" / "local").mkdir(parents=True)
    home = str(tmp_path / "home dir").replace(" ", "\\040")
    lines = ["/dev/sda / ext4 rw 0 0", f"server:/home {home} nfs4 rw 0 0", f"/dev/sdb {home}/local xfs rw 0 0"]
    lines.append(f"s3fs {home}/bucket fuse.s3fs rw 0 0")
    listed = tmp_path / "mounts"
    listed.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(sharing, "MOUNTS", listed)
    return tmp_path / "home dir"


def test_the_innermost_file_system_counts(mounts: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(mounts)
    assert file_system(mounts / "new" / "studies.db") == "nfs4"
    assert file_system(tmp_path / "link" / "studies.db") == "nfs4"
    assert file_system(mounts / "local" / "studies.db") == "xfs"
    assert file_system(tmp_path / "studies.db") == "ext4"


def test_nothing_is_said_where_the_system_lists_no_file_systems(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sharing, "MOUNTS", tmp_path / "none")
    assert file_system(tmp_path) is None


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite+pysqlite:///:memory:",
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite:///file:m?mode=memory&cache=shared&uri=true",
    ],
)
@pytest.mark.filterwarnings("ignore:Selection of the SingletonThreadPool")
def test_a_database_in_memory_is_for_one_process_however_it_is_written(url: str) -> None:
    for storage in (InMemoryStorage(), open_storage(url)):
        told = one_process_only(storage)
        assert told is not None
        assert "in the memory of this process" in told


def test_sqlite_on_a_network_file_system_is_for_one_process(mounts: Path, tmp_path: Path) -> None:
    for url in (f"sqlite:///{mounts}/studies.db", f"sqlite:///file:{mounts}/others.db?uri=true"):
        told = one_process_only(open_storage(url))
        assert told is not None
        assert "is on a network file system (nfs4), where SQLite cannot lock it" in told
        assert "\n" not in told
    for location in (f"sqlite:///{tmp_path}/studies.db", tmp_path / "journal", mounts / "journal"):
        assert one_process_only(open_storage(location)) is None


def test_a_journal_in_an_object_store_is_refused(mounts: Path) -> None:
    path = mounts / "bucket" / "new" / "journal"
    with pytest.raises(StudyError, match=r"journal' is on fuse.s3fs, which cannot lock a file .*: give") as told:
        open_storage(path)
    assert "\n" not in str(told.value)
    assert not path.parent.exists()
