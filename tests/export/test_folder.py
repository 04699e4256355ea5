"""The folder of an export: only an export is replaced, in one step, and other files in it are kept."""

from pathlib import Path

import pytest
from export_support import write_export
from killed_search import Copy

from kerastuna.search.errors import InputError
from kerastuna.search.export.folder import check_folder, keep_other_files, replace_export, scratch_prefix
from kerastuna.search.study.scratch import make_scratch


@pytest.fixture
def out(tmp_path: Path) -> Path:
    files = {"keras": ["model.keras"], "savedmodel": ["savedmodel/saved_model.pb", "savedmodel/variables/index"]}
    return write_export(tmp_path / "out [1]", files)


def test_a_new_or_empty_folder_and_an_export_may_be_replaced(out: Path, tmp_path: Path) -> None:
    check_folder(out)
    check_folder(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    check_folder(tmp_path / "empty")


def test_anything_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for path in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(InputError, match="holds something else than an export: choose another folder"):
            check_folder(path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_export_is_put_back_if_its_replacement_was_killed(out: Path) -> None:
    work = out.parent / f".{out.name}.abc"
    (work / "new").mkdir(parents=True)
    out.rename(work / "previous")
    check_folder(out)
    assert (out / "model.keras").read_text() == "export model.keras"
    assert list(out.parent.iterdir()) == [out]


def test_half_an_export_of_a_killed_process_is_removed(out: Path) -> None:
    def work() -> None:
        (make_scratch(out.parent, scratch_prefix(out)) / "new").mkdir()

    assert Copy(work).wait() == 0
    assert len(list(out.parent.iterdir())) == 2
    own = make_scratch(out.parent, scratch_prefix(out))
    check_folder(out)
    assert sorted(out.parent.iterdir()) == sorted([out, own])


def test_files_that_are_not_part_of_the_export_are_kept(out: Path, tmp_path: Path) -> None:
    (out / "notes").mkdir()
    (out / "notes" / "mine.txt").write_text("keep")
    (out / "latest").symlink_to("notes")
    (out / "MODEL_CARD.md").write_text("old card")
    new = tmp_path / "new"
    new.mkdir()
    (new / "MODEL_CARD.md").write_text("new card")
    keep_other_files(out, new)
    assert {path.name for path in new.iterdir()} == {"notes", "latest", "MODEL_CARD.md"}
    assert (new / "notes" / "mine.txt").read_text() == "keep"
    assert (new / "latest").is_symlink()
    assert (new / "MODEL_CARD.md").read_text() == "new card"


def test_without_an_earlier_export_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    keep_other_files(tmp_path / "out", tmp_path / "new")
    assert not any((tmp_path / "new").iterdir())


def test_the_new_export_takes_the_place_of_the_previous_one(out: Path, tmp_path: Path) -> None:
    new = write_export(tmp_path / "new", {"onnx": ["model.onnx"]})
    replace_export(out, new, tmp_path / "previous")
    assert {path.name for path in out.iterdir()} == {"manifest.json", "model.onnx"}
    assert (tmp_path / "previous" / "model.keras").exists()
    assert not new.exists()


def test_a_replacement_that_fails_leaves_the_export_as_it_was(out: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_export(out, tmp_path / "missing", tmp_path / "previous")
    assert (out / "model.keras").exists()
    assert list(tmp_path.iterdir()) == [out]
