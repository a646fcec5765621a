"""False detections in cubes of nothing but noise, and what the command costs beside its network.

Two cubes of 10^8 voxels, one of white and one of beam-correlated noise, go through `skadetect detect`. The
bars: at most one detection in each, and a wall time end to end of at most 1.3 times the network's own (both
without the seconds that Python and its libraries take to start, which are printed).

Usage: noise_cubes.py [--shape 448 480 480] [--model NAME|FILE] [--threshold T] [--folder DIR] [--seed 1]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.table import Table
from peak_memory import cube_header
from scipy.ndimage import gaussian_filter

SIGMA = 1e-4
MOST_FOUND = 1
OVERHEAD = 1.3
#: Standard deviation in pixels of a beam whose FWHM is three.
BEAM_SIGMA = 3.0 / 2.3548
SLAB = 32


def write_noise(path: Path, shape: tuple[int, int, int], *, seed: int, correlated: bool) -> None:
    """Write a cube of Gaussian noise, a few channels at a time."""
    rng = np.random.default_rng(seed)
    depth, height, width = shape
    margin = 16 if correlated else 0  # noise does not know where the cube ends
    with path.open("wb") as handle:
        handle.write(cube_header(shape).tostring().encode("ascii"))
        for first in range(0, depth, SLAB):
            planes = min(SLAB, depth - first)
            noise = rng.standard_normal((planes, height + 2 * margin, width + 2 * margin), np.float32)
            if correlated:
                noise = gaussian_filter(noise, (0.0, BEAM_SIGMA, BEAM_SIGMA), truncate=6.0)
                noise = noise[:, margin:-margin, margin:-margin] * (2.0 * np.sqrt(np.pi) * BEAM_SIGMA)
            handle.write((SIGMA * noise).astype(">f4").tobytes())
        handle.write(b"\0" * (-handle.tell() % 2880))


def search(cube: Path, options: argparse.Namespace) -> bool:
    """Detect in one cube, print what it took and whether the bars are kept."""
    catalogue = cube.with_name("catalogue.fits")
    command = [str(Path(sys.executable).with_name("skadetect")), "detect", str(cube), "-o", str(catalogue)]
    command += ["--overwrite", "-q", "--model", options.model, "--max-memory", options.max_memory]
    command += [] if options.threshold is None else ["--threshold", str(options.threshold)]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    whole = time.perf_counter() - start
    table = Table.read(catalogue)
    meta = {name.lower(): value for name, value in table.meta.items()}
    wall, network = float(meta["wall_seconds"]), float(meta["network_seconds"])
    scores = ", ".join(f"{score:.3f}" for score in sorted(table["score"])[::-1][:5])
    print(
        f"{cube.stem}: {len(table)} detections {scores}; {whole:.1f} s, {whole - wall:.1f} s of it to start"
    )
    print(f"  wall {wall:.1f} s, network {network:.1f} s: {wall / network:.3f}, bar {OVERHEAD}", flush=True)
    return len(table) <= MOST_FOUND and wall <= OVERHEAD * network


def main() -> None:
    """Write, search and judge both cubes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", type=int, nargs=3, default=(448, 480, 480), metavar=("Z", "Y", "X"))
    parser.add_argument("--model", default="auto")
    parser.add_argument("--max-memory", default="2GB")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--folder", type=Path, help="keep the cubes here and use them again")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    kept = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for correlated in (False, True):
            name = "correlated" if correlated else "white"
            cube = folder / f"{name}_{'x'.join(map(str, options.shape))}_{options.seed}.fits"
            if not cube.exists():
                write_noise(cube, tuple(options.shape), seed=options.seed, correlated=correlated)
            kept &= search(cube, options)
    print("bars kept" if kept else "bars NOT kept")
    raise SystemExit(0 if kept else 1)


if __name__ == "__main__":
    main()
