"""Simulate the cubes on which the model `hi` is validated and tested; training has galaxies from a bank.

Usage: make_cubes.py FOLDER KIND, where KIND is validation or test. A cube that is there already is left
alone, so a stopped run goes on. No seed is used twice, nor by make_bank.py.
"""

import sys
from pathlib import Path

from skadetect.simulate import HiOptions, simulate_hi

SDC2_SHAPE, NEARBY_SHAPE = (1024, 256, 256), (384, 192, 192)
SDC2_TEST_SHAPE, NEARBY_TEST_SHAPE = (2048, 320, 320), (512, 256, 256)
CUBES = {
    "validation": {
        "sdc2_1": HiOptions(shape=SDC2_SHAPE, seed=910001, frequency=1010.0),
        "sdc2_2": HiOptions(shape=SDC2_SHAPE, seed=910002, frequency=1085.0),
        "dense_1": HiOptions(shape=SDC2_SHAPE, seed=910003, frequency=1045.0, density=6.0),
        "nearby_1": HiOptions(shape=NEARBY_SHAPE, seed=910011, setting="nearby"),
        "nearby_2": HiOptions(shape=NEARBY_SHAPE, seed=910012, setting="nearby"),
    },
    "test": {
        "sdc2_1": HiOptions(shape=SDC2_TEST_SHAPE, seed=920001, frequency=990.0),
        "sdc2_2": HiOptions(shape=SDC2_TEST_SHAPE, seed=920002, frequency=1060.0),
        "sdc2_3": HiOptions(shape=SDC2_TEST_SHAPE, seed=920003, frequency=1115.0),
        "nearby_1": HiOptions(shape=NEARBY_TEST_SHAPE, seed=920011, setting="nearby"),
        "nearby_2": HiOptions(shape=NEARBY_TEST_SHAPE, seed=920012, setting="nearby"),
        "nearby_3": HiOptions(shape=NEARBY_TEST_SHAPE, seed=920013, setting="nearby"),
    },
}


def main(folder: Path, kind: str) -> None:
    """Simulate the cubes of a kind."""
    for name, options in CUBES[kind].items():
        if not (folder / name / "truth.txt").exists():
            print(simulate_hi(folder / name, options=options), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
