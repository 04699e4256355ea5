"""Collections of garbage pass over what was there before a search."""

import gc
import weakref

import pytest

from kerastuna.search.training.garbage import collections_paused, old_objects_passed_over


class Node:
    """In a circle with itself, so that only a collection frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _no_collection_by_itself():
    gc.disable()
    gc.unfreeze()  # what the tests of other modules have left
    yield
    gc.enable()


def test_new_garbage_is_collected_and_old_objects_are_passed_over():
    old, before = Node(), weakref.ref(Node())
    kept = weakref.ref(old)
    with old_objects_passed_over():
        assert before() is None  # what was garbage is gone
        new = weakref.ref(Node())
        del old
        gc.collect()
        assert new() is None
        assert kept() is not None
    gc.collect()
    assert kept() is None


def test_the_block_ends_as_it_began():
    assert gc.get_freeze_count() == 0

    def broken() -> None:
        with old_objects_passed_over():
            with old_objects_passed_over():
                pass
            assert gc.get_freeze_count() > 0  # the inner block leaves it to the outer one
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert gc.get_freeze_count() == 0


def test_no_garbage_is_collected_within_the_block_and_the_setting_is_restored():
    with collections_paused():
        assert not gc.isenabled()
    assert not gc.isenabled()  # the fixture has turned it off
    gc.enable()

    @collections_paused()
    def broken() -> None:
        assert not gc.isenabled()
        raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert gc.isenabled()
