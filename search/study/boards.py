"""Boards by name: what their chips have, and how much of it a network may take.

Importing this module is cheap.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from ..errors import InputError

KIB = 1024
FLASH_SHARE, RAM_SHARE = (1, 2), (3, 4)
"""How much of a chip is for the network: the rest is for the program and the runtime, the stack and everything else.

Half of the flash: tflite-micro's documentation gives 16 KB for its core on a Cortex-M3, without operators and drivers,
and users report more. A quarter of the RAM stays for the stack, the buffers of drivers and the C library. Both are a
choice, not measured: give --max-flash and --max-ram instead where you know more.
"""


@final
@dataclass(frozen=True)
class Board:
    """A board.

    Attributes:
        chip: the microcontroller and its core.
        flash: bytes of flash that programs run from.
        ram: bytes of RAM on the chip.
    """

    chip: str
    flash: int
    ram: int

    @property
    def max_flash(self) -> int:
        """The most bytes of flash for a network."""
        return self.flash * FLASH_SHARE[0] // FLASH_SHARE[1]

    @property
    def max_ram(self) -> int:
        """The most bytes of RAM for a network."""
        return self.ram * RAM_SHARE[0] // RAM_SHARE[1]


# Sizes in KiB as in Zephyr's descriptions of these boards, github.com/zephyrproject-rtos/zephyr/tree/main/boards.
BOARDS: Mapping[str, Board] = MappingProxyType(
    {
        # boards/st/nucleo_g071rb/nucleo_g071rb.yaml
        "nucleo-g071rb": Board("STM32G071RB, Cortex-M0+", 128 * KIB, 36 * KIB),
        # boards/raspberrypi/rpi_pico/rpi_pico.yaml
        "rpi-pico": Board("RP2040, Cortex-M0+", 2048 * KIB, 264 * KIB),
        # boards/st/nucleo_l432kc/nucleo_l432kc.yaml
        "nucleo-l432kc": Board("STM32L432KC, Cortex-M4", 256 * KIB, 64 * KIB),
        # boards/st/nucleo_f746zg/nucleo_f746zg.yaml; the RAM is without the 64 KiB that are coupled to the core
        "nucleo-f746zg": Board("STM32F746ZG, Cortex-M7", 1024 * KIB, 256 * KIB),
        # boards/espressif/esp32s3_devkitc/doc/index.rst has the RAM; the smallest flash of its modules is taken
        "esp32-s3": Board("ESP32-S3, Xtensa LX7", 4096 * KIB, 512 * KIB),
    }
)
"""The boards by name."""


def board_of(name: str) -> Board:
    """The board `name`; raises InputError for an unknown one."""
    if name not in BOARDS:
        raise InputError(f"--board {name}: choose one of {', '.join(BOARDS)}, or give --max-flash and --max-ram")
    return BOARDS[name]
