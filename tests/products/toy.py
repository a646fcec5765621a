"""A small cube with rotating discs in it, and the catalogue of them that a perfect detector would give."""

from __future__ import annotations

import numpy as np
from astropy.table import QTable
from scipy import ndimage

from skadetect.astrometry import direction_to_pa, theta_to_pa
from skadetect.beams import FWHM_PER_SIGMA, convolve
from skadetect.catalog.catalog import Catalog
from skadetect.image import Image, open_image
from tests.fits_files import sky_header

RMS = 1e-4
PIXEL = 5.0 / 3600
CHANNEL = 25e3
FIRST = 1.38e9
REST = 1.420405752e9
LIGHT = 299792.458

#: Of a disc: place in voxels, flux over noise and beam and channel, size and width in voxels, angles.
DISC = {
    "z": 20.0, "y": 22.0, "x": 26.0, "flux": 12000.0, "size": 14.0, "depth": 14.0, "theta": 0.6, "incl": 60.0,
}  # fmt: skip


def disc_cube(
    *discs: dict[str, float], shape: tuple[int, int, int] = (40, 48, 52), noise: float = 1.0, **cards: object
) -> Image:
    """Discs in noise of the beam's shape; `theta` points to the side at lower z."""
    header = sky_header(shape[2], shape[1], pixel=PIXEL, **(_spectral_cards(CHANNEL) | cards))
    image = open_image((np.zeros(shape, np.float32), header))
    sigma = image.pixel_beam.fwhm / FWHM_PER_SIGMA
    blur = (0.0, sigma, sigma)
    white = np.random.default_rng(3).normal(size=shape)
    field = ndimage.gaussian_filter(white, blur, mode="wrap")
    field *= noise * RMS / field.std()
    for disc in discs:
        galaxy = ndimage.gaussian_filter(_disc(DISC | disc, shape), blur, mode="constant")
        field += galaxy / galaxy.sum() * (DISC | disc)["flux"] * RMS * image.pixel_beam.area
    return open_image((field.astype(np.float32), header))


def _spectral_cards(step: float) -> dict[str, object]:
    return {
        "CTYPE3": "FREQ", "CRVAL3": FIRST, "CRPIX3": 1.0, "CDELT3": step, "CUNIT3": "Hz", "RESTFRQ": REST,
        "SPECSYS": "BARYCENT", "OBJECT": "toy",
    }  # fmt: skip


def _disc(disc: dict[str, float], shape: tuple[int, int, int]) -> np.ndarray:
    """An exponential disc with a flat rotation curve, before the beam."""
    z, y, x = (np.arange(n) - disc[name] for n, name in zip(shape, "zyx"))
    dy, dx = y[:, np.newaxis], x
    along = dx * np.cos(disc["theta"]) + dy * np.sin(disc["theta"])
    across = (dy * np.cos(disc["theta"]) - dx * np.sin(disc["theta"])) / np.cos(np.radians(disc["incl"]))
    radius = np.hypot(along, across)
    surface = 0.18 ** np.square(radius / (disc["size"] / 2))  # 1 of 5.5 solar masses a square parsec
    speed = -(disc["depth"] / 2 - 2.0) * along / np.hypot(radius, 1.0)
    return surface * np.exp(-0.5 * np.square((z[:, np.newaxis, np.newaxis] - speed) / 1.2))


def disc_catalog(image: Image, *discs: dict[str, float]) -> Catalog:
    """The discs as rows of a catalogue, in the order given, with the columns that products need."""
    rows = []
    for number, disc in enumerate((DISC | each for each in discs), start=1):
        freq, channel = (float(f(disc["z"])) for f in (image.spectral.frequency, image.spectral.width))
        minor = disc["size"] * np.cos(np.radians(disc["incl"]))
        major, minor, theta = convolve(disc["size"], minor, disc["theta"], image.pixel_beam)
        place = (image.wcs, disc["x"], disc["y"])
        receding = disc["theta"] + (0.0 if image.spectral.ascending else np.pi)
        half = {"z": disc["depth"] / 2, "y": disc["size"] / 2, "x": disc["size"] / 2}
        box = {f"{a}_min": disc[a] - half[a] for a in "zyx"} | {f"{a}_max": disc[a] + half[a] for a in "zyx"}
        rows.append(
            {"id": number, "name": f"SKAD {number}", "freq": freq, **{a: disc[a] for a in "zyx"}, **box}
            | {"f_sum": disc["flux"] * RMS * channel, "w20": LIGHT * disc["depth"] * channel / freq}
            | {
                "hi_size": disc["size"] * image.pixel_scale,
                "kin_pa": float(direction_to_pa(*place, receding)),
            }
            | {"ell_maj": float(major) * image.pixel_scale, "ell_min": float(minor) * image.pixel_scale}
            | {"ell_pa": float(theta_to_pa(*place, theta)), "rms": RMS, "snr": 50.0, "factor": 1.0}
        )
    return Catalog(QTable(rows) if rows else QTable(names=["id"]))
