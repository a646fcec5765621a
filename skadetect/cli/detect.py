"""``skadetect detect``: images and cubes in, catalogues out."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skadetect.cli.compiling import show_compiling
from skadetect.cli.options import device_flags, merge_options, parse_beam, quick_imports
from skadetect.cli.paths import check_output, output_paths
from skadetect.errors import InputError, SkadetectError

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog
    from skadetect.detect import Detector

# format -> the suffix of files named by skadetect
SUFFIXES = {
    "auto": ".fits",
    "fits": ".fits",
    "votable": ".vot",
    "ecsv": ".ecsv",
    "csv": ".csv",
    "parquet": ".parquet",
    "ds9": ".reg",
    "sdc1": ".txt",
    "sdc2": ".txt",
    "sofia": "_cat.txt",
}

EPILOG = """
\b
Examples:
  skadetect detect image.fits -o catalog.fits
  skadetect detect image.fits -o sources.reg --plot sources.png
  skadetect detect a.fits b.fits.gz -o catalogs/ --format votable
  skadetect detect *.fits -o "catalogs/{name}-sources.csv" --workers 8
  skadetect detect mosaic.fits -o mosaic.parquet --max-memory 16GB --workers 8
  skadetect detect nobeam.fits -o out.fits --beam "12.5 10.1 45"
  skadetect detect sdc1.fits -o sub.txt --format sdc1 --primary-beam pb.fits
  skadetect detect image.fits -o catalog.fits --products maps/
  skadetect detect cube.fits -o galaxies.fits --products galaxies/
  skadetect detect cube.fits -o galaxies.fits --continuum cont.fits --continuum-limit 3mJy
  skadetect detect cube.fits -o galaxies_cat.txt --format sofia --flag-channels "0-15, 700-720"

The settings of a --config file are named like the flags (max_memory = "8GB"); flags win over the file.
"""


@click.command(epilog=EPILOG)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    required=True,
    help="Catalogue file; for several images a folder/ or a pattern with {name}.",
)
@click.option(
    "--model",
    help="Name of a shipped model (see skadetect models) or a model file. "
    "[default: continuum for an image, hi for a cube]",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(SUFFIXES)),
    default="auto",
    help="Format of the catalogue; auto goes by the suffix of the file. [default: auto]",
)
@click.option(
    "--threshold",
    type=float,
    help="Least probability that a row is real, 0 to 1 (with a model that knows none, its least score); "
    "lower finds more and trusts less. [default: the model's]",
)
@click.option(
    "--beam",
    metavar='"BMAJ BMIN BPA"',
    help="Beam FWHM in arcsec, arcsec and degrees north through east, where the header has none.",
)
@click.option(
    "--primary-beam",
    type=click.Path(path_type=Path),
    metavar="FITS",
    help="Image of the primary beam; the sdc1 format divides fluxes by it.",
)
@click.option(
    "--continuum",
    type=click.Path(path_type=Path),
    metavar="FITS",
    help="Continuum image of a cube: where it is bright, the cube is blanked, for residuals there look like "
    "galaxies.",
)
@click.option(
    "--continuum-limit",
    metavar="FLUX",
    help="How bright it may be, such as 3mJy a beam. [default: 3mJy]",
)
@click.option(
    "--flag-channels",
    metavar='"A-B, ..."',
    help="Channels of a cube to leave out, from 0, such as those with interference.",
)
@click.option(
    "--levels",
    type=click.IntRange(min=0),
    help="Times an image or cube is searched again at half the resolution, for sources too large for the "
    "network. [default: by the model and the size of the image]",
)
@click.option(
    "--orientations",
    type=int,
    help="Ways to look at an image, turned and mirrored: 1, 2, 4 or 8. Their mean finds and measures better "
    "and takes as many times as long. [default: 1; a cube is looked at once, and again in 4 ways where that "
    "shows what may be a galaxy]",
)
@click.option(
    "--blends/--no-blends",
    default=None,
    help="Fit bright sources of an image that touch together, and make two rows of an ellipse that is two "
    "points. [default: blends]",
)
@click.option(
    "--products",
    metavar="FOLDER",
    help="Also write maps of an image: background, noise, sources, what they leave, mask; of each galaxy of "
    "a cube a cubelet, moment maps, a spectrum and a picture; folder/ or {name} as for --out.",
)
@click.option(
    "--tile", type=int, help="Side of the tiles in pixels; changes speed, not results. [default: automatic]"
)
@click.option("--workers", type=int, help="Tiles worked on at a time. [default: as many as are fastest]")
@click.option("--max-memory", metavar="SIZE", help="Memory to stay within, such as 2GB. [default: 2GB]")
@device_flags
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="TOML", help="File with any of these settings."
)
@click.option(
    "--plot", metavar="PNG", help="Also draw the image with its sources; folder/ or {name} as for --out."
)
@click.option(
    "--brightest", type=click.IntRange(min=0), default=0, metavar="N", help="Print the N brightest sources."
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar and no summary.")
@click.pass_context
def detect(ctx: click.Context, images: tuple[Path, ...], **flags: Any) -> None:
    """Find and measure the sources of IMAGE (FITS, an image or a cube of a line) and write a catalogue.

    Any radio image in Jy/beam, mJy/beam, K or Jy/pixel with a beam in its header will do; background and
    noise are measured on the image itself, in a cube channel by channel. A third axis longer than one makes
    a cube, which is searched for galaxies in the 21 cm line.
    """
    quiet = flags.pop("quiet") or ctx.obj["quiet"]
    output = Output(
        **{name: flags.pop(name) for name in ("out", "format_", "plot", "products", "brightest", "overwrite")}
    )
    flags["beam"] = parse_beam(flags["beam"])
    for name in ("primary_beam", "continuum"):
        flags[name] = None if flags[name] is None else str(flags[name])
    config = flags.pop("config")
    with quick_imports():  # Numba and Astropy take a second: not for --help
        from skadetect.detect import DetectOptions, Detector

    if not quiet:
        show_compiling(ctx)
    options = merge_options(DetectOptions, config, {**flags, "progress": not quiet})
    jobs = output.jobs(images)
    detector = Detector(options=options)
    if len(jobs) == 1:
        _run(jobs[0], detector, output, quiet=quiet)
    else:
        _run_all(jobs, detector, output, quiet=quiet)


@dataclass(frozen=True)
class Job:
    """One image and what is made of it."""

    image: Path
    catalog: Path
    plot: Path | None
    products: Path | None


@dataclass(frozen=True)
class Output:
    """What is written and shown, as asked for on the command line."""

    out: str
    format_: str
    plot: str | None
    products: str | None
    brightest: int
    overwrite: bool

    def jobs(self, images: Sequence[Path]) -> list[Job]:
        """Outputs of all images, checked before the first image is read."""
        catalogs = output_paths(images, self.out, suffix=SUFFIXES[self.format_])
        plots: Sequence[Path | None] = [None] * len(images)
        if self.plot is not None:
            plots = output_paths(images, self.plot, suffix=".png")
        for path in [*catalogs, *plots]:
            if path is not None:
                check_output(path, overwrite=self.overwrite)
        return [Job(*each) for each in zip(images, catalogs, plots, self._folders(images))]

    def _folders(self, images: Sequence[Path]) -> Sequence[Path | None]:
        """Where the products of each image go: one image has the folder for itself."""
        if self.products is None:
            return [None] * len(images)
        if "{name}" in self.products or len(images) > 1:
            return output_paths(images, self.products.rstrip("/") + "/", suffix="")
        return [Path(self.products)]


def _run_all(jobs: Sequence[Job], detector: Detector, output: Output, *, quiet: bool) -> None:
    """Work through all images; one that fails is reported, and the others still get done."""
    failed = 0
    for job in jobs:
        try:
            _run(job, detector, output, quiet=quiet)
        except SkadetectError as error:
            click.echo(f"skadetect: error: {error}", err=True)
            failed += 1
    if failed:
        raise InputError(f"{failed} of {len(jobs)} images failed")


def _run(job: Job, detector: Detector, output: Output, *, quiet: bool) -> None:
    start = time.perf_counter()
    # finished tiles wait beside the output: a killed run, started again, goes on from them
    parts = job.catalog.with_name(f".{job.catalog.name}.parts")
    catalog = detector.detect(job.image, resume_folder=parts)
    catalog.write(
        job.catalog,
        format=output.format_,
        overwrite=output.overwrite,
        primary_beam=detector.options.primary_beam,
    )
    shutil.rmtree(parts, ignore_errors=True)
    if job.plot is not None:
        from skadetect.plot import plot_detections

        plot_detections(job.image, catalog, job.plot)
    if job.products is not None:  # after the catalogue, which is not to be lost if a file is in the way
        detector.write_products(catalog, job.image, job.products, overwrite=output.overwrite)
    if not quiet:
        click.echo(_summary(job, catalog, time.perf_counter() - start), err=True)
    if output.brightest:
        from skadetect.catalog.summary import brightest

        click.echo(brightest(catalog, output.brightest))


def _summary(job: Job, catalog: Catalog, seconds: float) -> str:
    written = f"{job.catalog}" if job.plot is None else f"{job.catalog} and {job.plot}"
    sources = "1 source" if len(catalog) == 1 else f"{len(catalog)} sources"
    return f"{job.image}: {sources} in {seconds:.1f} s, written to {written}"
