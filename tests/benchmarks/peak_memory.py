"""Peak memory and overhead of `skadetect detect` on a large image or cube, ten times its memory and more.

The image, 16384x16384 by default, is one simulated 2048x2048 field, mirrored and repeated, written a strip at
a time; a cube (--cube Z Y X) is noise with lines in it, 32 channels and their negatives. The peak is
the largest sum of resident memory over the command and all its workers, read from /proc while it runs,
and the overhead is the end-to-end wall time over the network's own seconds, which the catalogue states.

Usage: peak_memory.py [--size 16384] [--max-memory 1GB] [--workers 1] [--model NAME|FILE] [--density D]
       peak_memory.py --cube 1024 1224 1224 --max-memory 600MB [--workers 1] [--model NAME|FILE]
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy.ndimage import gaussian_filter

from skadetect.memory import parse_memory
from skadetect.simulate import ContinuumOptions, simulate_continuum

FIELD = 2048
CHANNELS = 32
OVERHEAD = 1.3


def write_image(path: Path, size: int, density: float) -> None:
    """Write the mosaic of a simulated field without holding it in memory."""
    field = path.parent / "field"
    simulate_continuum(field, options=ContinuumOptions(size=FIELD, seed=900_101, density=density))
    plane, header = fits.getdata(field / "image.fits", header=True)
    plane = np.squeeze(plane)
    header["NAXIS1"] = header["NAXIS2"] = size
    pair = np.concatenate([plane, plane[:, ::-1]], axis=1)
    strip = np.tile(pair, -(-size // (2 * FIELD)))[:, :size]
    with path.open("wb") as handle:
        handle.write(header.tostring().encode("ascii"))
        for row in range(0, size, FIELD):
            rows = strip[:: 1 if row // FIELD % 2 == 0 else -1][: size - row]
            handle.write(np.ascontiguousarray(rows, dtype=">f4").tobytes())
        handle.write(b"\0" * (-handle.tell() % 2880))


def write_cube(path: Path, shape: tuple[int, int, int]) -> None:
    """Write a cube of correlated noise with lines in it, a few channels at a time."""
    depth, height, width = shape
    rng = np.random.default_rng(7)
    slab = gaussian_filter(rng.normal(size=(CHANNELS, height, width)).astype(np.float32), (0, 1.3, 1.3))
    slab /= slab.std()
    z, y, x = np.mgrid[:CHANNELS, -8:9, -8:9]
    line = np.exp(-(((z - CHANNELS / 2) / 8.0) ** 2) - (y**2 + x**2) / 4.0).astype(np.float32)
    for row, column in rng.integers(8, (height - 9, width - 9), (height * width // 40_000, 2)):
        slab[:, row - 8 : row + 9, column - 8 : column + 9] += 6.0 * line
    header = cube_header(shape)
    with path.open("wb") as handle:
        handle.write(header.tostring().encode("ascii"))
        for first in range(0, depth, CHANNELS):
            sign = -1.0 if first // CHANNELS % 2 else 1.0
            part = 1e-4 * sign * slab[: depth - first]
            handle.write(part.astype(">f4").tobytes())
        handle.write(b"\0" * (-handle.tell() % 2880))


def cube_header(shape: tuple[int, int, int]) -> fits.Header:
    """Header of a cube with SDC2's pixels, channels and a beam of three pixels."""
    pixel = 2.8 / 3600
    header = fits.Header()
    header["SIMPLE"], header["BITPIX"], header["NAXIS"] = True, -32, 3
    for axis, extent in enumerate(reversed(shape), start=1):
        header[f"NAXIS{axis}"] = extent
    header.update({"CTYPE1": "RA---SIN", "CRVAL1": 180.0, "CRPIX1": shape[2] / 2, "CDELT1": -pixel})
    header.update({"CTYPE2": "DEC--SIN", "CRVAL2": -30.0, "CRPIX2": shape[1] / 2, "CDELT2": pixel})
    header.update({"CTYPE3": "FREQ", "CRVAL3": 9.5e8, "CRPIX3": 1.0, "CDELT3": 3e4, "CUNIT3": "Hz"})
    header.update({"CUNIT1": "deg", "CUNIT2": "deg", "RESTFRQ": 1.420405751786e9, "SPECSYS": "BARYCENT"})
    header.update({"BUNIT": "Jy/beam", "BMAJ": 3 * pixel, "BMIN": 3 * pixel, "BPA": 0.0})
    return header


def run_watched(command: list[str]) -> tuple[float, int]:
    """Run a command; its wall seconds and the peak resident bytes of it and its descendants together."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(command)
    while process.poll() is None:
        peak = max(peak, sum(resident_bytes(pid) for pid in descendants(process.pid)))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - start, peak


def descendants(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for parent in found:
        try:
            tasks = list(Path(f"/proc/{parent}/task").iterdir())
            found += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue  # it ended meanwhile
    return found


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, mapped files included; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def report(catalogue: Path, wall: float, peak: int, options: argparse.Namespace) -> None:
    """Print peak and overhead against their bars."""
    pixels = math.prod(options.cube) if options.cube else options.size**2
    table = Table.read(catalogue)
    meta = {name.lower(): value for name, value in table.meta.items()}
    limit = parse_memory(options.max_memory)
    print(f"{len(table)} sources; peak resident memory {peak / 1e9:.3f} GB of {limit / 1e9:.3f} GB allowed")
    verdict = "kept" if peak <= limit else "EXCEEDED"
    print(f"memory bar {verdict}; wall {wall:.1f} s, {wall / pixels * 1e6:.3f} s/Mpix")
    network = float(meta["network_seconds"])
    verdict = "kept" if wall / network <= OVERHEAD else "EXCEEDED"
    print(f"network {network:.1f} s; end to end over network {wall / network:.3f}, bar {OVERHEAD}: {verdict}")


def main() -> None:
    """Write the image, run the command and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=16384)
    parser.add_argument("--cube", type=int, nargs=3, metavar=("Z", "Y", "X"))
    parser.add_argument("--max-memory", default="1GB")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--density", type=float, default=1.0, help="factor on the number of sources")
    parser.add_argument("--folder", type=Path, help="keep the image here and use it again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        shape = "x".join(map(str, options.cube or [options.size]))
        image, catalogue = folder / f"mosaic_{shape}.fits", folder / "catalogue.fits"
        if not image.exists() and options.cube:
            write_cube(image, tuple(options.cube))
        elif not image.exists():
            write_image(image, options.size, options.density)
        limit = parse_memory(options.max_memory)
        print(f"{image.stat().st_size / limit:.1f} times the memory allowed")
        arguments = ["detect", str(image), "-o", str(catalogue), "--overwrite", "--model", options.model]
        arguments += ["--max-memory", options.max_memory, "--workers", str(options.workers)]
        skadetect = str(Path(sys.executable).with_name("skadetect"))
        wall, peak = run_watched([skadetect, *arguments])
        report(catalogue, wall, peak, options)


if __name__ == "__main__":
    main()
