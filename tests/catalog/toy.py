"""A small image and made-up detections in it, for tests of catalogues."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from skadetect.beams import PixelBeam, convolve
from skadetect.catalog.build import build_catalog
from skadetect.catalog.catalog import Catalog
from skadetect.detections import Detections
from skadetect.image import Image, open_image
from skadetect.parameters import CONTINUUM, encode
from tests.fits_files import sky_header

RMS = 2e-6
MODEL = SimpleNamespace(
    name="toy", digest="0123456789abcdef", parameters=CONTINUUM, threshold=0.4, metadata={}
)


def toy_image(side: int = 96, **cards: object) -> Image:
    """Noise of `RMS`; north up, beam 3 pixels of 1.8 arcsec unless cards say otherwise."""
    pixels = np.random.default_rng(1).normal(0.0, RMS, (side, side)).astype(np.float32)
    return open_image((pixels, sky_header(side, side, **cards)))


def toy_detections(
    beam: PixelBeam, *, n: int = 12, side: int = 96, seed: int = 0, **columns: np.ndarray
) -> Detections:
    """Sources on a diagonal, none overlapping; columns of CONTINUUM replace the drawn ones."""
    rng = np.random.default_rng(seed)
    step = np.linspace(8.0, side - 8.0, max(n, 2))[:n]
    position = np.stack([step + rng.uniform(-0.4, 0.4, n), side - step], axis=1)
    bmaj = rng.uniform(2.0, 5.0, n)
    true = {
        "int_flux": rng.uniform(10.0, 100.0, n),
        "bmaj": bmaj,
        "bmin": bmaj * rng.uniform(0.3, 0.9, n),
        "theta": rng.uniform(-1.5, 1.5, n),
    } | columns
    seen = convolve(true["bmaj"], true["bmin"], true["theta"], beam)
    peak = true["int_flux"] * beam.bmaj * beam.bmin / (seen[0] * seen[1])
    anchor = np.maximum(peak, 1.0)
    return Detections.from_columns(
        position=position,
        boxes=np.stack([position - 2.0, position + 2.0], axis=1),
        score=rng.uniform(0.4, 1.0, n),
        parameters=encode(CONTINUUM, true, anchor=anchor, beam_fwhm=beam.fwhm),
        anchor=anchor,
        peak=peak * RMS,
        local_rms=np.full(n, RMS),
        background=np.full(n, 0.1 * RMS),
    )


def toy_catalog(n: int = 12) -> Catalog:
    """Catalogue of n made-up sources."""
    image = toy_image()
    return build_catalog(toy_detections(image.pixel_beam, n=n), image, MODEL)


def one_source(image: Image, **columns: float) -> Catalog:
    """Catalogue of one made-up source; columns of CONTINUUM are given."""
    arrays = {name: np.array([float(value)]) for name, value in columns.items()}
    return build_catalog(toy_detections(image.pixel_beam, n=1, **arrays), image, MODEL)
