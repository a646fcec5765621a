"""How much faster than PyBDSF a whole `skadetect detect` is on a 2048 x 2048 image, side by side.

The image is a simulated field of SDC1's kind. Rounds alternate; PyBDSF has all cores and its usual thresholds
(5 and 3 times the noise), and neither tool's time to start is taken out. The bar: five times as fast.

Usage: pybdsf_speed.py --bdsf-python .venv/bdsf/bin/python [--rounds 3] [--size 2048] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from skadetect.simulate import ContinuumOptions, simulate_continuum

BAR = 5.0
SEED = 900_102
THRESHOLDS = ("5.0", "3.0")  # of peaks and of islands, PyBDSF's defaults


def seconds(command: list[str]) -> float:
    """Wall time of a command."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Make the image, alternate, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bdsf-python", required=True, help="of an environment that has `bdsf`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--folder", type=Path, help="keep the image here and use it again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        image = folder / "image.fits"
        if not image.exists():
            simulate_continuum(folder, options=ContinuumOptions(size=options.size, seed=SEED))
        ours = [
            str(Path(sys.executable).with_name("skadetect")),
            "-q",
            "detect",
            str(image),
            "--device",
            "cpu",
        ]
        ours += ["-o", str(folder / "skadetect.fits"), "--overwrite"]
        script = str(Path(__file__).with_name("run_pybdsf.py"))
        theirs = [options.bdsf_python, script, str(image), *THRESHOLDS, str(folder / "pybdsf")]
        theirs += [f"ncores={os.cpu_count()}"]
        seconds(ours)  # compiles
        times: dict[str, list[float]] = {"skadetect": [], "PyBDSF": []}
        for _ in range(options.rounds):
            for name, command in (("skadetect", ours), ("PyBDSF", theirs)):
                times[name].append(seconds(command))
                print(f"{name}: {times[name][-1]:.1f} s", flush=True)
    ratio = statistics.median(times["PyBDSF"]) / statistics.median(times["skadetect"])
    print(f"skadetect is {ratio:.1f} times as fast a megapixel as PyBDSF, bar {BAR}")
    raise SystemExit(0 if ratio >= BAR else 1)


if __name__ == "__main__":
    main()
