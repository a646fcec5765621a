"""Products of all galaxies of a catalogue: each part of the cube is read once, in the order of the file."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skadetect import __version__
from skadetect.atomic import atomic_path
from skadetect.catalog.catalog import Catalog
from skadetect.distribute import map_tasks
from skadetect.image import Image
from skadetect.products.figure import Portrait, draw_source
from skadetect.products.files import cube_hdu, is_done, mask_hdu, moment_hdus, spectrum_hdus, write_fits
from skadetect.products.headers import convention_of, cube_header
from skadetect.products.maps import integrated_spectrum, moment_maps
from skadetect.products.mask import source_mask
from skadetect.products.options import ProductOptions, made_folder, product_paths
from skadetect.products.sources import Group, Source, find_sources, in_groups, neighbours, spectral_axis

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProductCounts:
    """Galaxies whose products were written, were there already, or were left out: too large a window."""

    written: int
    kept: int
    left_out: int


@dataclass(frozen=True)
class _Shared:
    """What every task needs; sent to each worker once."""

    image: Image
    folder: Path
    options: ProductOptions


def write_products(
    catalog: Catalog,
    image: Image,
    folder: str | os.PathLike[str],
    *,
    options: ProductOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ProductCounts:
    """Write a cubelet, mask, moment maps, spectrum and picture of each galaxy; see `product_paths` for names.

    Galaxies whose files are all there, made of the same row, cube and options, are kept: a killed run
    goes on.

    Parameters
    ----------
    catalog : Catalog
        Of a cube.
    image : Image
        That cube as it is in the file.
    folder : path
        Made if absent.
    options : ProductOptions, optional
        Which products, and how much of the cube.
    progress : callable, optional
        Called with (galaxies done, galaxies in all).

    Returns
    -------
    ProductCounts

    Raises
    ------
    OutputError
        If files of the same names are of something else (and overwrite is off), or cannot be written.
    """
    if image.factor != 1.0 or image.factor_z != 1.0:
        raise ValueError(f"{image.name} is resampled; products are made of the voxels of the file")
    shared = _Shared(image, made_folder(folder), _possible(options or ProductOptions()))
    todo, kept, left_out = _plan(catalog, shared)
    groups = in_groups(todo)
    done, total = kept, kept + len(todo)
    if progress is not None:
        progress(done, total)
    options = shared.options
    # Processes: drawing is Python's own work, of which threads do one piece at a time.
    for index, _ in map_tasks(_write_group, groups, shared, workers=options.workers, scheduler="processes"):
        done += len(groups[index].sources)
        if progress is not None:
            progress(done, total)
    return ProductCounts(len(todo), kept, left_out)


def _possible(options: ProductOptions) -> ProductOptions:
    """The options without pictures where nothing can draw them."""
    if options.png and importlib.util.find_spec("matplotlib") is None:
        logger.warning("no pictures of the sources: they need matplotlib; install skadetect[plot]")
        return replace(options, png=False)
    return options


def _plan(catalog: Catalog, shared: _Shared) -> tuple[list[tuple[Source, tuple[Source, ...]]], int, int]:
    """Galaxies to do, each with its neighbours, and how many are done already or left out."""
    options = shared.options
    sources = find_sources(catalog, shared.image, options)
    wanted = sorted(range(len(sources)), key=lambda index: -_flux(sources[index]))[: options.limit]
    chosen, todo, kept, left_out = set(wanted), [], 0, 0
    for index, (source, others) in enumerate(zip(sources, neighbours(sources), strict=True)):
        if index not in chosen:
            continue
        if source.voxels > options.max_voxels:
            shape = " x ".join(str(n) for n in source.shape)
            logger.warning(
                "no products of source %d: its window of %s voxels is over the limit of %d",
                source.number,
                shape,
                options.max_voxels,
            )
            left_out += 1
        elif is_done(_paths(source, shared), _key(source, others, shared), overwrite=options.overwrite):
            kept += 1
        else:
            todo.append((source, others))
    return todo, kept, left_out


def _flux(source: Source) -> float:
    flux = float(source.row["f_sum"])
    return flux if math.isfinite(flux) else -math.inf


def _paths(source: Source, shared: _Shared) -> dict[str, Path]:
    return product_paths(shared.folder, shared.image.name, source.number, shared.options.kinds)


def _key(source: Source, others: Sequence[Source], shared: _Shared) -> str:
    """Digest of all that decides what a galaxy's products are."""
    options, image = shared.options, shared.image
    settings = [options.margin, options.margin_channels, options.threshold, options.velocity]
    text = json.dumps(
        [__version__, image.name, image.shape, settings, source.row, [other.row for other in others]],
        default=str,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write_group(group: Group, shared: _Shared) -> None:
    """Read the part of the cube that some galaxies share, and write the products of each."""
    pixels = shared.image.read(group.lo, group.hi)
    for source, others in group.sources:
        z, y, x = (slice(a - low, b - low) for a, b, low in zip(source.lo, source.hi, group.lo, strict=True))
        _write_source(pixels[z, y, x], source, others, shared)


def _write_source(
    pixels: NDArray[np.float32], source: Source, others: tuple[Source, ...], shared: _Shared
) -> None:
    """Products of one galaxy; the cubelet, which is the largest, comes last."""
    image, options = shared.image, shared.options
    paths, key = _paths(source, shared), _key(source, others, shared)
    mask = source_mask(pixels, source, others, beam=image.pixel_beam, threshold=options.threshold)
    convention = convention_of(spectral_axis(image), options.velocity)
    spectrum = integrated_spectrum(pixels, mask, source, image, convention)
    hdus = {
        "mask": mask_hdu(mask, image, source, key),
        "spec": spectrum_hdus(spectrum, convention, image, source, key),
        "cube": cube_hdu(pixels, image, source, key),
    }
    moments = moment_maps(pixels, mask, cube_header(image, source, key, unit="Jy/beam"), convention)
    hdus |= moment_hdus(moments, image, source, key)
    if options.png:
        with atomic_path(paths["png"], overwrite=True) as temporary:
            draw_source(temporary, Portrait(pixels, mask, moments, spectrum, source), image)
    for kind in options.kinds:
        if kind != "png":
            write_fits(paths[kind], hdus[kind])
