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


def test_cycles_of_a_multiply_accumulate_are_those_of_the_published_measurements() -> None:
    """MLPerf Tiny's image classification: a residual network, whose convolutions and dense layer are counted here."""
    stacks = [(16, 16, 32, False), (16, 32, 16, True), (32, 64, 8, True)]
    macs = 9 * 3 * 16 * 32**2 + 64 * 10
    for before, width, side, has_shortcut in stacks:
        macs += (9 * before + 9 * width + has_shortcut * before) * width * side**2
    assert macs == 12_501_632

    def cycles(clock: float, per_second: float) -> float:
        return round(clock / per_second / macs, 1)

    assert board_of("nucleo-l432kc").speed.cycles == (cycles(120e6, 3.956), cycles(120e6, 1.420))
    person_detection = round(0.393753 * 216e6 / 7_157_888, 1)
    assert board_of("nucleo-f746zg").speed.cycles == (cycles(280e6, 14.212), person_detection)
