"""From detections in pixels to a catalogue on the sky: columns of all rows, joined, ordered and numbered."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.astrometry import pa_to_theta
from skadetect.boxes import falling_order
from skadetect.catalog.assemble import CHUNK, Columns, chunks, gather, to_table
from skadetect.catalog.catalog import Catalog
from skadetect.catalog.coarser import Coarser, columns_in_image
from skadetect.catalog.columns import source_columns
from skadetect.catalog.flags import Flag, beside_bright, blended
from skadetect.catalog.islands import islands
from skadetect.catalog.provenance import CatalogOptions, ModelInfo, provenance
from skadetect.catalog.schema import COLUMNS
from skadetect.catalog.shapes import signal_to_noise
from skadetect.detections import Detections
from skadetect.image import Image


def build_catalog(
    detections: Detections,
    image: Image,
    model: ModelInfo,
    options: CatalogOptions | None = None,
    *,
    coarser: Sequence[Coarser] = (),
    meta: Mapping[str, Any] | None = None,
) -> Catalog:
    """Catalogue of the detections in an image.

    Parameters
    ----------
    detections : Detections
        Positions and boxes in pixels of `image`, measured: peak, local_rms and background in its unit.
    image : Image
        As it was opened, not resampled.
    model : ModelInfo
        What made the detections; its parameters decode theirs.
    options : CatalogOptions, optional
        How rows are named and flagged.
    coarser : sequence of Coarser
        Larger sources, found in smoothed views of what the others leave of the image.
    meta : mapping of str to value, optional
        More provenance; overrides the entries of the same name.

    Returns
    -------
    Catalog
        Brightest peak first, equal peaks by position.
    """
    options = options or CatalogOptions()
    rows, coarser = _with_neighbours(detections, coarser, image, options)
    order = falling_order(np.nan_to_num(rows.peak, nan=-np.inf), rows.position[:, ::-1])
    wide = [columns_in_image(part, image, model, options) for part in coarser if len(part)]
    n = len(rows) + sum(len(part["x"]) for part in wide)
    fine = (source_columns(part, image, model, options)[0] for part in chunks(rows, order))
    places = _places(rows, order, wide)
    arrays = gather(COLUMNS, itertools.chain(fine, wide), n, prefix=options.prefix, places=places)
    arrays["source_id"][:] = np.arange(1, n + 1)
    arrays["island_id"][:] = 1 + _islands(arrays, image)
    about = provenance(image, model, options) | dict(meta or {})
    return Catalog(to_table(arrays, COLUMNS, image.unit, meta=about))


def _islands(arrays: Columns, image: Image) -> NDArray[np.int64]:
    """The first row of each row's island."""
    bmaj, bmin = (arrays[name] / np.float32(image.pixel_scale) for name in ("bmaj", "bmin"))
    theta, beam = np.empty(len(bmaj), np.float32), image.pixel_beam
    for start in range(0, len(theta), CHUNK):
        some = slice(start, start + CHUNK)
        theta[some] = pa_to_theta(image.wcs, *(arrays[name][some] for name in ("x", "y", "pa")))
    peak = (arrays["int_flux"] * (beam.bmaj * beam.bmin) / (bmaj * bmin)).astype(np.float32)
    centre = np.stack([arrays["y"], arrays["x"]], axis=1)
    return islands(centre, peak, (bmaj, bmin, theta), arrays["local_rms"].astype(np.float32))


def _places(rows: Detections, order: NDArray[np.int64], wide: Sequence[Columns]) -> NDArray[np.int64] | None:
    """Where rows in an order go if all are to be ordered by falling peak; None if they are already."""
    if not wide:
        return None
    peak = np.concatenate([rows.peak[order], *(part["peak_flux"] for part in wide)])
    x = np.concatenate([rows.position[order, 1], *(part["x"] for part in wide)])
    y = np.concatenate([rows.position[order, 0], *(part["y"] for part in wide)])
    order = falling_order(np.nan_to_num(peak, nan=-np.inf), np.stack([x, y], axis=1))
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def _with_neighbours(
    rows: Detections, coarser: Sequence[Coarser], image: Image, options: CatalogOptions
) -> tuple[Detections, list[Coarser]]:
    """The same rows with the flags that they have because of others."""
    boxes = [rows.boxes, *(part.view.to_original(part.rows.boxes) for part in coarser)]
    overlapping = np.where(blended(np.concatenate(boxes)), Flag.BLENDED.value, 0).astype(np.int32)
    first, *others = np.split(overlapping, np.cumsum([len(part) for part in boxes])[:-1])
    wider = [
        replace(part, rows=part.rows.with_(flags=part.rows.flags | flags))
        for part, flags in zip(coarser, others, strict=True)
    ]
    return rows.with_(flags=rows.flags | first | _artefacts(rows, image, options)), wider


def _artefacts(rows: Detections, image: Image, options: CatalogOptions) -> NDArray[np.int32]:
    """The flag of what may be a bright source's sidelobe."""
    bright = signal_to_noise(rows) >= options.artefact_snr
    radius, ratio = options.artefact_radius * image.pixel_beam.fwhm, options.artefact_ratio
    artefact = beside_bright(rows.position, rows.peak, bright=bright, radius=radius, ratio=ratio)
    return np.where(artefact, Flag.ARTEFACT.value, 0).astype(np.int32)
