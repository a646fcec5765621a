"""A map of SDC1's full size, from files to a valid submission: time, memory, and a kill on the way.

The map is tiled from simulated fields of 2048 x 2048 pixels, turned and mirrored, each as bright as the
primary beam lets it be where it lies; header, names, training set and primary beam are the official ones. The
pipeline (pipelines/sdc1/run.py) runs in a process that is killed once a share of the tiles is done, and is
then started again; peak memory is that of the process and its children, read while it runs.

Usage: sdc1_map.py FOLDER [--size 32768] [--max-memory 2GB] [--kill 0.5] [--start none]
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.wcs import WCS
from peak_memory import descendants, resident_bytes

from skadetect.atomic import atomic_path
from skadetect.catalog.sdc1 import SDC1_COLUMNS, read_sdc1
from skadetect.evaluate.sdc1 import TRAINING_BOX
from skadetect.memory import parse_memory
from skadetect.sdc import sdc1_files
from skadetect.sdc.rehearse import write_training_set
from skadetect.simulate import ContinuumOptions, Instrument, draw_field
from skadetect.simulate.files import field_header, primary_beam_image, write_image
from skadetect.simulate.observe import primary_beam

FIELD = 2048
#: Distances from the pointing centre, degrees, that there is a field for.
RINGS = np.array([0.15, 0.45, 0.75, 1.05, 1.35, 1.65, 1.95, 2.3, 2.8, 3.4])
PIPELINE = Path(__file__).parents[2] / "pipelines" / "sdc1" / "run.py"


def write_map(folder: Path, size: int) -> None:
    """Write the files; nothing is done if they are there."""
    files = {role: folder / file.name for role, file in sdc1_files().items()}
    if files["training"].exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    options = ContinuumOptions(size=size, offset_east=0.0)
    instrument = Instrument.from_options(options)
    header = field_header(instrument, size)
    write_image(files["primary_beam"], *primary_beam_image(instrument, size, attenuates=True))
    fields = [ring_field(radius, instrument, number) for number, radius in enumerate(RINGS)]
    truths = []
    header.insert(0, ("NAXIS4", 1))
    for card in (("NAXIS3", 1), ("NAXIS2", size), ("NAXIS1", size), ("NAXIS", 4), ("BITPIX", -32)):
        header.insert(0, card)
    header.insert(0, ("SIMPLE", True))
    with atomic_path(files["image"]) as temporary, temporary.open("wb") as handle:
        handle.write(header.tostring().encode("ascii"))
        for row in range(0, size, FIELD):
            strip = np.empty((min(FIELD, size - row), size), ">f4")
            for column in range(0, size, FIELD):
                image, sources = placed(fields, row, column, size, instrument)
                part = image[: strip.shape[0], : size - column]
                strip[:, column : column + FIELD] = part
                if abs(row - size // 2) < 3 * FIELD and abs(column - size // 2) < 3 * FIELD:
                    truths.append(sources)  # the training area is near the middle
            handle.write(strip.tobytes())
        handle.write(b"\0" * (-handle.tell() % 2880))
    write_training(pd.concat(truths, ignore_index=True), header, instrument, files, size)


def ring_field(radius: float, instrument: Instrument, seed: int) -> tuple[np.ndarray, pd.DataFrame]:
    """A field as bright as the primary beam lets it be at a distance, and its sources in its pixels."""
    gain = float(primary_beam(np.array([radius]), np.array([0.0]), instrument.primary_beam_fwhm)[0, 0])
    options = ContinuumOptions(
        size=FIELD, seed=910_000 + seed, primary_beam=False, flux_scale=max(gain, 1e-4), flux_min=3e-7
    )
    field = draw_field(options)
    truth = field.truth
    columns = {"x": truth.x, "y": truth.y, "flux": truth.flux, "core_frac": truth.core_fraction}
    columns |= {"b_maj": truth.major, "b_min": truth.minor, "pa": truth.pa, "size": truth.size_type}
    return field.image, pd.DataFrame(columns | {"class": truth.kind})


def placed(
    fields: list[tuple[np.ndarray, pd.DataFrame]], row: int, column: int, size: int, instrument: Instrument
) -> tuple[np.ndarray, pd.DataFrame]:
    """The field of a tile of the map, mirrored as its place says, and its sources in the map's pixels."""
    middle = (np.array([row, column]) + 0.5 * FIELD - 0.5 * size) * instrument.pixel_scale / 3600.0
    number = int(np.abs(RINGS - np.hypot(*middle)).argmin())
    image, sources = fields[number]
    flip_y, flip_x = (row // FIELD) % 2 == 1, (column // FIELD) % 2 == 1
    x, y, pa = sources["x"].to_numpy(), sources["y"].to_numpy(), sources["pa"].to_numpy()
    if flip_y:
        image, y, pa = image[::-1], FIELD - 1 - y, -pa
    if flip_x:
        image, x, pa = image[:, ::-1], FIELD - 1 - x, -pa
    moved = sources.assign(x=x + column, y=y + row, pa=pa)
    return image, moved[(moved["x"] < size - 0.5) & (moved["y"] < size - 0.5)]


def write_training(
    table: pd.DataFrame, header: object, instrument: Instrument, files: dict[str, Path], size: int
) -> None:
    """Write the training set, fluxes without the primary beam; a truth of all would be as large."""
    wcs = WCS(header).celestial
    ra, dec = wcs.all_pix2world(table["x"], table["y"], 0)
    step = (table[["x", "y"]].to_numpy() - 0.5 * (size - 1)) * instrument.pixel_scale / 3600.0
    widths = instrument.primary_beam_fwhm
    gain = np.exp(-4.0 * np.log(2.0) * ((step[:, 0] / widths[0]) ** 2 + (step[:, 1] / widths[1]) ** 2))
    ra = (ra + 180.0) % 360.0 - 180.0
    rows = table.assign(
        id=np.arange(1, len(table) + 1), ra_core=ra, dec_core=dec, ra_cent=ra, dec_cent=dec,
        flux=table["flux"] / np.maximum(gain, 1e-6),
    )[list(SDC1_COLUMNS)]  # fmt: skip
    write_training_set(rows, files["image"], files["training"], TRAINING_BOX[560])


def watch(command: list[str], *, kill: float, tiles: Path) -> tuple[int, float, int, int]:
    """Run a command until it ends, or kill it when a share of the tiles is done.

    Returns its exit code, its wall seconds, its peak memory in bytes and the count of tiles kept then.
    """
    start, peak, done = time.perf_counter(), 0, 0
    process = subprocess.Popen(command)
    while process.poll() is None:
        peak = max(peak, sum(resident_bytes(pid) for pid in descendants(process.pid)))
        done = len(list(tiles.glob("*/tile-*.npz")))
        if kill and done >= kill:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        time.sleep(0.5)
    return process.returncode, time.perf_counter() - start, peak, done


def main() -> None:
    """Make the map, run the pipeline, kill it, run it again and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=32768)
    parser.add_argument("--max-memory", default="2GB")
    parser.add_argument("--kill", type=int, default=400, help="tiles after which it is killed; 0 for never")
    parser.add_argument("--start", default="none", help="model to train on from")
    options = parser.parse_args()
    begun = time.perf_counter()
    write_map(options.folder, options.size)
    print(f"files written in {time.perf_counter() - begun:.0f} s", flush=True)
    out = options.folder / "skadetect"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, str(PIPELINE), "--folder", str(options.folder), "--from", options.start]
    command += ["--max-memory", options.max_memory]
    tiles, limit = out / "catalog.parts", parse_memory(options.max_memory)
    runs = [watch(command, kill=options.kill, tiles=tiles)]
    kept = {path: path.stat().st_mtime_ns for path in tiles.glob("*/tile-*.npz")}
    if options.kill:
        print(f"killed after {runs[0][1]:.0f} s with {len(kept)} tiles done", flush=True)
        runs.append(watch(command, kill=0, tiles=tiles))
    code, peak = runs[-1][0], max(run[2] for run in runs)
    rows = read_sdc1(out / "submission.txt")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall, cpu = sum(run[1] for run in runs), used.ru_utime + used.ru_stime
    print(f"exit code {code}; {len(rows)} rows; {len(runs)} runs of {wall:.0f} s, {cpu:.0f} s of CPU")
    verdict = "kept" if peak <= limit else "EXCEEDED"
    print(f"peak memory {peak / 1e9:.2f} GB of {limit / 1e9:.2f} GB: {verdict}")


if __name__ == "__main__":
    main()
