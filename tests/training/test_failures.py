"""A trial has a limit of time, and an error in the building of a network says at which hyperparameters."""

import traceback

import pytest

from kerastuna.search.training.failures import TrialLimit, building, is_of_a_build, too_long


def test_the_limit_begins_now_and_ends() -> None:
    assert TrialLimit.from_now(None) is None
    limit = TrialLimit.from_now(60)
    assert limit is not None
    assert limit.failure() is None
    over = TrialLimit.from_now(-1.0)
    assert over is not None
    assert str(over.failure()) == too_long(-1.0) == "the trial took longer than -1 s, its limit"


def test_an_error_of_a_build_tells_the_hyperparameters() -> None:
    with pytest.raises(ValueError, match="no width") as caught, building({"units": 0, "kind": "a"}):
        raise ValueError("no width")
    assert is_of_a_build(caught.value)
    assert "".join(traceback.format_exception(caught.value)).endswith(
        "ValueError: no width\nwhile the network was built, at units=0, kind='a'\n"
    )
    assert not is_of_a_build(ValueError("no width"))
