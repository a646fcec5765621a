"""How much faster two workers are than one, each on a core of its own, from the file to the catalogue.

The image is the mosaic of peak_memory.py. One worker has one thread (NUMBA_NUM_THREADS=1); two share two.
Rounds alternate, medians count. The bar: two at least 1.8 times as fast as one. Wall times of a whole command
are printed, and of what it does once it has started.

Usage: workers.py [--size 8192] [--rounds 3] [--max-memory 2GB] [--folder DIR]
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

from astropy.table import Table
from peak_memory import write_image

SPEEDUP = 1.8


def run(image: Path, workers: int, max_memory: str) -> tuple[float, float, int]:
    """Wall seconds of the command and of the detection in it, and the number of sources."""
    catalogue = image.with_name(f"catalogue_{workers}.fits")
    command = [str(Path(sys.executable).with_name("skadetect")), "detect", str(image), "-o", str(catalogue)]
    command += ["--overwrite", "-q", "--workers", str(workers), "--max-memory", max_memory, "--device", "cpu"]
    start = time.perf_counter()
    subprocess.run(command, check=True, env=os.environ | {"NUMBA_NUM_THREADS": str(workers)})
    whole = time.perf_counter() - start
    table = Table.read(catalogue)
    meta = {name.lower(): value for name, value in table.meta.items()}
    return whole, float(meta["wall_seconds"]), len(table)


def main() -> None:
    """Write the image, alternate, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-memory", default="2GB")
    parser.add_argument("--folder", type=Path, help="keep the image here and use it again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        image = folder / f"mosaic_{options.size}.fits"
        if not image.exists():
            write_image(image, options.size, 1.0)
        times: dict[int, list[tuple[float, float, int]]] = {1: [], 2: []}
        for _ in range(options.rounds):
            for workers, rows in times.items():
                rows.append(run(image, workers, options.max_memory))
                print(f"{workers}: {rows[-1][0]:.1f} s, {rows[-1][1]:.1f} s of it to detect", flush=True)
    if len({rows for found in times.values() for _, _, rows in found}) != 1:
        raise SystemExit("the numbers of sources differ")
    whole, inside = (
        statistics.median(row[k] for row in times[1]) / statistics.median(row[k] for row in times[2])
        for k in (0, 1)
    )
    print(f"two workers over one: {whole:.2f} of the command, {inside:.2f} of the detection, bar {SPEEDUP}")
    raise SystemExit(0 if whole >= SPEEDUP else 1)


if __name__ == "__main__":
    main()
