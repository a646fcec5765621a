"""Simulate the cubes on which the model `hi` is validated and tested; training has galaxies from a bank.

Usage: make_cubes.py FOLDER KIND, where KIND is validation or test. A cube that is there already is left
alone, so a stopped run goes on. No seed is used twice, nor by make_bank.py.
"""

import sys
from pathlib import Path

from skadetect.simulate import HiOptions, simulate_hi

SDC2_SHAPE, NEARBY_SHAPE = (1024, 256, 256), (384, 192, 192)
SDC2_TEST_SHAPE, NEARBY_TEST_SHAPE = (2048, 320, 320), (512, 256, 256)
#: Times as many galaxies as nature has: enough to choose a threshold by, and still hardly any that overlap.
DENSITY = 6.0


def _sdc2(seed: int, frequency: float, shape: tuple[int, int, int], density: float = 1.0) -> HiOptions:
    return HiOptions(shape=shape, seed=seed, frequency=frequency, density=density)


CUBES = {
    "validation": {
        "sdc2_1": _sdc2(910001, 1010.0, SDC2_SHAPE),
        "sdc2_2": _sdc2(910002, 1085.0, SDC2_SHAPE),
        **{
            f"sdc2_{number}": _sdc2(939998 + number, 915.0 + 15.0 * number, SDC2_SHAPE)
            for number in range(3, 15)
        },
        "dense_1": _sdc2(910003, 1045.0, SDC2_SHAPE, DENSITY),
        "dense_2": _sdc2(910004, 966.0, SDC2_SHAPE, DENSITY),
        "dense_3": _sdc2(910005, 1090.0, SDC2_SHAPE, DENSITY),
        "dense_4": _sdc2(910006, 1130.0, SDC2_SHAPE, DENSITY),
        **{
            f"dense_{number}": _sdc2(910020 + number, 955.0 + 15.0 * number, SDC2_SHAPE, DENSITY)
            for number in range(5, 13)
        },
        **{
            f"nearby_{number}": HiOptions(shape=NEARBY_SHAPE, seed=910010 + number, setting="nearby")
            for number in range(1, 9)
        },
        **{
            f"nearby_{number + 8}": HiOptions(shape=NEARBY_SHAPE, seed=930000 + number, setting="nearby")
            for number in range(1, 17)
        },
    },
    "test": {
        "sdc2_1": _sdc2(920001, 990.0, SDC2_TEST_SHAPE),
        "sdc2_2": _sdc2(920002, 1060.0, SDC2_TEST_SHAPE),
        "sdc2_3": _sdc2(920003, 1115.0, SDC2_TEST_SHAPE),
        "dense_1": _sdc2(920004, 1000.0, SDC2_SHAPE, DENSITY),
        "dense_2": _sdc2(920005, 1070.0, SDC2_SHAPE, DENSITY),
        "dense_3": _sdc2(920006, 1125.0, SDC2_SHAPE, DENSITY),
        **{
            f"nearby_{number}": HiOptions(shape=NEARBY_TEST_SHAPE, seed=920010 + number, setting="nearby")
            for number in range(1, 4)
        },
    },
}


def main(folder: Path, kind: str) -> None:
    """Simulate the cubes of a kind."""
    for name, options in CUBES[kind].items():
        if not (folder / name / "truth.txt").exists():
            print(simulate_hi(folder / name, options=options), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
