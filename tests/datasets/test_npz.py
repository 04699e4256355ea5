"""Reading .npz files: an array is read only when it is asked for, never unpickled, and damage is found."""

import os
from pathlib import Path

import numpy as np
import pytest
from datasets_support import damage, refusal, small_set, write_npz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerastuna.search.datasets.data import check_spec, load_dataset
from kerastuna.search.datasets.npz import open_npz
from kerastuna.search.datasets.resolve import EMBEDDED_MNIST
from kerastuna.search.datasets.task import Classification
from kerastuna.search.errors import DataError


@pytest.mark.parametrize("compressed", [False, True])
def test_every_array_has_a_reader_of_its_own(tmp_path: Path, compressed: bool):
    given = small_set()
    spec = write_npz(tmp_path / "set.npz", given, compressed=compressed)
    damage(spec, "x_test.npy")
    readers = open_npz(spec)
    assert list(readers) == list(given)
    with pytest.raises(DataError, match=r"x_test of .* cannot be read"):
        readers["x_test"]()
    for name in ("x_train", "y_train", "y_test"):
        np.testing.assert_array_equal(readers[name](), given[name])


def fingerprint_or_refusal(spec: str) -> str:
    try:
        return load_dataset(spec).fingerprint
    except DataError as error:
        return str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set())
    Path(spec).chmod(0)
    assert "Permission denied" in refusal(check_spec, spec)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("member", ["x_train", "y_train"])
def test_damage_in_the_middle_of_a_member(tmp_path: Path, member: str, compressed: bool):
    with np.load(EMBEDDED_MNIST) as archive:
        arrays = {"x_train": archive["x_train"][:500], "y_train": archive["y_train"][:500]}
    spec = write_npz(tmp_path / "slice.npz", arrays, compressed=compressed)
    assert load_dataset(spec).task == Classification(10)
    damage(spec, f"{member}.npy")
    message = refusal(load_dataset, spec)
    assert f"{member} of " in message
    assert "slice.npz" in message


@pytest.mark.parametrize(("claimed", "named"), [(499, "Bad CRC"), (400, "left over"), (501, "Bad CRC")])
def test_a_header_that_states_another_size(tmp_path: Path, claimed: int, named: str):
    with np.load(EMBEDDED_MNIST) as archive:
        arrays = {"x_train": archive["x_train"][:500], "y_train": archive["y_train"][:500]}
    spec = write_npz(tmp_path / "slice.npz", arrays)
    content = Path(spec).read_bytes()
    assert content.count(b"(500, 28, 28)") == 1
    Path(spec).write_bytes(content.replace(b"(500, 28, 28)", b"(%d, 28, 28)" % claimed))
    assert named in refusal(load_dataset, spec)


def test_an_archive_of_a_later_zip_version(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set())
    content = bytearray(Path(spec).read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 99
    Path(spec).write_bytes(content)
    assert "zip file version 9.9" in refusal(check_spec, spec)


def test_pickled_arrays_are_never_unpickled(tmp_path: Path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "unpickled"),)

    x_train = np.full((30, 4, 4), Trap(), dtype=object)
    assert "Python objects" in refusal(load_dataset, write_npz(tmp_path / "set.npz", small_set(x_train=x_train)))
    assert not (tmp_path / "unpickled").exists()


@given(data=st.data(), compressed=st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_refused_or_harmless(tmp_path: Path, data: st.DataObject, compressed: bool):
    spec = write_npz(tmp_path / "set.npz", small_set(), compressed=compressed)
    intact = load_dataset(spec).fingerprint
    content = bytearray(Path(spec).read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[position:]
    else:
        content[position] ^= data.draw(st.integers(1, 255))
    Path(spec).write_bytes(content)
    outcome = fingerprint_or_refusal(spec)
    assert outcome == intact or (spec in outcome and len(outcome.splitlines()) == 1)
