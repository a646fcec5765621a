"""The whole cube of SDC2 planned from its header, and a part of it run: is the estimate right?

The whole cube is a sparse file (no disk space); the part is a simulated sky of SDC2's density,
noise and channels, 1/200 of its voxels. What `skadetect plan` says of the part is compared with what
`skadetect detect` takes.

Usage: sdc2_part.py FOLDER [--share 200] [--max-memory 2GB]
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path

from peak_memory import run_watched

from skadetect.simulate import HiOptions, simulate_hi
from skadetect.simulate.hi_files import cube_header
from skadetect.simulate.hi_options import HiTelescope

SHAPE = (6668, 5851, 5851)
TOLERANCE = 0.2


def write_sparse(path: Path) -> None:
    """A file of the cube's size and header whose pixels are a hole."""
    header = cube_header(HiTelescope.from_options(HiOptions(shape=SHAPE)), (180.0, -30.0)).tostring()
    size = len(header) + 4 * math.prod(SHAPE)
    with path.open("wb") as handle:
        handle.write(header.encode("ascii"))
        handle.truncate(size + -size % 2880)


def make_part(folder: Path, share: int) -> Path:
    """A simulated sky of all channels of a square, unless it is there."""
    side = round(math.sqrt(SHAPE[1] * SHAPE[2] / share))
    cube = folder / f"part_{share}" / "cube.fits"
    if not (cube.parent / "truth.txt").exists():
        simulate_hi(cube.parent, options=HiOptions(shape=(SHAPE[0], side, side), seed=7))
    return cube


def planned(path: Path, memory: str) -> dict:
    """What `skadetect plan` says."""
    command = [str(Path(sys.executable).with_name("skadetect")), "plan", str(path), "--json"]
    command += ["--max-memory", memory, "--folder", str(path.parent)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(printed.stdout)


def main() -> None:
    """Plan both, run the part, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=int, default=200)
    parser.add_argument("--max-memory", default="2GB")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    whole, part = options.folder / "sky_full_v2.fits", make_part(options.folder, options.share)
    if not whole.exists():
        write_sparse(whole)
    for path in (whole, part):
        plan = planned(path, options.max_memory)
        size = " x ".join(map(str, plan["file_shape"]))
        print(f"{size}: {plan['n_tiles']} tiles, {plan['memory'] / 1e9:.2f} GB, {plan['seconds']:.0f} s")
    command = [str(Path(sys.executable).with_name("skadetect")), "detect", str(part), "--overwrite", "-q"]
    command += ["-o", str(options.folder / "part.fits"), "--max-memory", options.max_memory]
    begun = time.perf_counter()
    wall, peak = run_watched(command)
    after = planned(part, options.max_memory)["seconds"]
    ratio = plan["seconds"] / wall
    verdict = "kept" if abs(math.log(ratio)) <= math.log(1 + TOLERANCE) else "MISSED"
    print(f"the part took {wall:.0f} s (load and start included: {time.perf_counter() - begun:.0f} s)")
    print(f"planned {plan['seconds']:.0f} s before and {after:.0f} s after: ratio {ratio:.2f}, bar {verdict}")
    print(f"peak memory {peak / 1e9:.2f} GB, planned {plan['memory'] / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
