"""Boards set limits on flash and RAM."""

import pytest

from kerastuna.search.errors import InputError
from kerastuna.search.study.boards import BOARDS, board_of


def test_a_board_leaves_half_of_the_flash_and_a_quarter_of_the_ram_to_the_program() -> None:
    board = board_of("nucleo-g071rb")
    assert (board.flash, board.ram) == (131_072, 36_864)
    assert (board.max_flash, board.max_ram) == (65_536, 27_648)


def test_boards_of_each_kind_of_core() -> None:
    assert {board.chip.rpartition(" ")[2] for board in BOARDS.values()} == {
        "Cortex-M0+",
        "Cortex-M4",
        "Cortex-M7",
        "LX7",
    }
    assert all(board.max_ram < board.ram and board.max_flash < board.flash for board in BOARDS.values())


def test_an_unknown_board_is_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match="--board arduino-uno: choose one of nucleo-g071rb, rpi-pico, "):
        board_of("arduino-uno")
