"""Boards by name: what their chips have, and how much of it a network may take.

Importing this module is cheap.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from ..errors import InputError

KIB = 1024
MHZ = 1_000_000
FLASH_SHARE, RAM_SHARE = (1, 2), (3, 4)
"""How much of a chip is for the network: the rest is for the program and the runtime, the stack and everything else.

Half of the flash: tflite-micro's documentation gives 16 KB for its core on a Cortex-M3, without operators and drivers,
and users report more. A quarter of the RAM stays for the stack, the buffers of drivers and the C library. Both are a
choice, not measured: give --max-flash and --max-ram instead where you know more.
"""


@final
@dataclass(frozen=True)
class Speed:
    """What others measured of int8 convolutions on a core.

    Attributes:
        cycles: for a multiply-accumulate, the fewest and the most.
        of: what was measured, and where it is published.
    """

    cycles: tuple[float, float]
    of: str


# 782 ms in all; a layer of 589,824 MACs took 38.7 ms, one of 294,912 with 8 channels 46.3 ms, and depthwise ones up to
# 45 cycles for a MAC, at the 125 MHz that were the default of the Pico's SDK.
_CORTEX_M0 = Speed(
    (8.2, 19.6),
    "the standard convolutions of person detection on an RP2040 (github.com/raspberrypi/pico-tflmicro, "
    "benchmark_results.txt; depthwise ones took up to 45)",
)
# Image classification of MLPerf Tiny is a residual network of 12,501,632 MACs, nearly all in 3x3 convolutions. On a
# Cortex-M4 of 120 MHz it ran 3.956 times a second with X-CUBE-AI (2.4 cycles a MAC), 2.567 times with CMSIS-NN in
# microTVM (3.7), and 1.420 times with tflite-micro 2.3 (6.8). Person detection took 386.6 ms for 7,157,888 MACs at
# 100 MHz with tflite-micro and CMSIS-NN (5.4; github.com/Samsung/ONE/issues/7598).
_CORTEX_M4 = Speed(
    (2.4, 6.8),
    "MLPerf Tiny's image classification on an STM32L4R5 with X-CUBE-AI and with tflite-micro 2.3 "
    "(github.com/mlcommons/tiny_results_v0.7 and _v0.5)",
)
# On a Cortex-M7 of 280 MHz it ran 14.212 times a second with X-CUBE-AI, on one of 216 MHz 15.440 times with Plumerai's
# engine (1.1 cycles a MAC). Person detection took 393.8 ms at 216 MHz with tflite-micro and CMSIS-NN.
_CORTEX_M7 = Speed(
    (1.6, 11.9),
    "MLPerf Tiny's image classification on an STM32H7A3 with X-CUBE-AI (github.com/mlcommons/tiny_results_v0.7) and of "
    "person detection on an STM32F767 with tflite-micro, its arena in external memory "
    "(github.com/Samsung/ONE/issues/7598)",
)
# 461,398 cycles for a pointwise convolution of 409,600 MACs, 643,689 for a 3x3 one from 3 channels of 110,592.
_ESP32_S3 = Speed(
    (1.1, 5.8), "convolutions from 64 and from 3 channels by ESP-NN (its README at components.espressif.com, 1.0.2)"
)


@final
@dataclass(frozen=True)
class Board:
    """A board.

    Attributes:
        chip: the microcontroller and its core.
        flash: bytes of flash that programs run from.
        ram: bytes of RAM on the chip.
        clock: the fastest of the core, in Hz.
        speed: of its core.
    """

    chip: str
    flash: int
    ram: int
    clock: int
    speed: Speed

    def seconds(self, macs: int) -> tuple[float, float]:
        """How long a network may take for one sample, at least and at most.

        A rough estimate from its multiply-accumulates alone: other networks, kernels and memories were measured.
        """
        fewest, most = self.speed.cycles
        return macs * fewest / self.clock, macs * most / self.clock

    @property
    def max_flash(self) -> int:
        """The most bytes of flash for a network."""
        return self.flash * FLASH_SHARE[0] // FLASH_SHARE[1]

    @property
    def max_ram(self) -> int:
        """The most bytes of RAM for a network."""
        return self.ram * RAM_SHARE[0] // RAM_SHARE[1]


# Sizes in KiB as in Zephyr's descriptions of these boards, github.com/zephyrproject-rtos/zephyr/tree/main/boards. The
# clocks are those of the manufacturers' pages.
BOARDS: Mapping[str, Board] = MappingProxyType(
    {
        # boards/st/nucleo_g071rb/nucleo_g071rb.yaml
        "nucleo-g071rb": Board("STM32G071RB, Cortex-M0+", 128 * KIB, 36 * KIB, 64 * MHZ, _CORTEX_M0),
        # boards/raspberrypi/rpi_pico/rpi_pico.yaml
        "rpi-pico": Board("RP2040, Cortex-M0+", 2048 * KIB, 264 * KIB, 133 * MHZ, _CORTEX_M0),
        # boards/st/nucleo_l432kc/nucleo_l432kc.yaml
        "nucleo-l432kc": Board("STM32L432KC, Cortex-M4", 256 * KIB, 64 * KIB, 80 * MHZ, _CORTEX_M4),
        # boards/st/nucleo_f746zg/nucleo_f746zg.yaml; the RAM is without the 64 KiB that are coupled to the core
        "nucleo-f746zg": Board("STM32F746ZG, Cortex-M7", 1024 * KIB, 256 * KIB, 216 * MHZ, _CORTEX_M7),
        # boards/espressif/esp32s3_devkitc/doc/index.rst has the RAM; the smallest flash of its modules is taken
        "esp32-s3": Board("ESP32-S3, Xtensa LX7", 4096 * KIB, 512 * KIB, 240 * MHZ, _ESP32_S3),
    }
)
"""The boards by name."""


def board_of(name: str) -> Board:
    """The board `name`; raises InputError for an unknown one."""
    if name not in BOARDS:
        raise InputError(f"--board {name}: choose one of {', '.join(BOARDS)}, or give --max-flash and --max-ram")
    return BOARDS[name]
