"""A small cube, views of it and made-up galaxies in them, for tests of catalogues of cubes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from skadetect.astrometry import direction_to_pa
from skadetect.beams import convolve
from skadetect.catalog.catalog import Catalog
from skadetect.catalog.cube_build import build_cube_catalog
from skadetect.detections import Detections
from skadetect.image import Image, open_image
from skadetect.parameters import HI, encode
from tests.fits_files import sky_header

RMS = 3e-5
PIXEL = 2.8 / 3600
CHANNEL = 30e3
FIRST = 1.04e9
REST = 1.420405752e9
LIGHT = 299792.458
MODEL = SimpleNamespace(name="toy-hi", digest="0123456789abcdef", parameters=HI, threshold=0.4, metadata={})


def toy_cube(nz: int = 64, side: int = 64, *, step: float = CHANNEL, **cards: object) -> Image:
    """Noise of `RMS`, pixels of 2.8 arcsec, beam 3 pixels, north up unless cards say otherwise."""
    pixels = np.random.default_rng(1).normal(0.0, RMS, (nz, side, side)).astype(np.float32)
    spectral = {
        "CTYPE3": "FREQ", "CRVAL3": FIRST, "CRPIX3": 1.0, "CDELT3": step, "CUNIT3": "Hz", "RESTFRQ": REST,
        "SPECSYS": "BARYCENT",
    }  # fmt: skip
    return open_image((pixels, sky_header(side, side, pixel=PIXEL, **(spectral | cards))))


def toy_truth(n: int = 6, *, seed: int = 0, **columns: np.ndarray) -> dict[str, np.ndarray]:
    """What galaxies are, in voxels of the file, Jy Hz, arcsec, degrees and km/s; columns replace."""
    rng = np.random.default_rng(seed)
    step = np.linspace(12.0, 52.0, max(n, 2))[:n]
    return {
        "x": step + rng.uniform(-0.4, 0.4, n),
        "y": 64.0 - step,
        "z": step[::-1] + rng.uniform(-0.4, 0.4, n),
        "f_sum": rng.uniform(20.0, 200.0, n),
        "hi_size": rng.uniform(6.0, 30.0, n),
        "w20": rng.uniform(60.0, 200.0, n),
        "w50": rng.uniform(40.0, 60.0, n),
        "theta": rng.uniform(-np.pi, np.pi, n),
        "incl": rng.uniform(10.0, 80.0, n),
    } | columns


def toy_galaxies(view: Image, truth: dict[str, np.ndarray]) -> Detections:
    """The galaxies as a network would give them on a view of the toy cube; `theta` recedes on the image."""
    n, axis = len(truth["x"]), view.spectral
    position = np.stack(
        [
            (truth["z"] + 0.5) / view.factor_z - 0.5,
            (truth["y"] + 0.5) / view.factor - 0.5,
            (truth["x"] + 0.5) / view.factor - 0.5,
        ],
        axis=1,
    )
    channel, freq = axis.width(position[:, 0]), axis.frequency(position[:, 0])
    lower = truth["theta"] if axis.ascending else truth["theta"] + np.pi
    true = {
        "line_flux": truth["f_sum"] / channel / RMS,
        "hi_size": truth["hi_size"] / view.pixel_scale,
        "w20": truth["w20"] * freq / LIGHT / channel,
        "w50": truth["w50"] * freq / LIGHT / channel,
        "direction": lower,
        "incl": np.radians(truth["incl"]),
    }
    anchor = np.maximum(true["line_flux"] / true["w20"], 1.0)
    half = np.stack([true["w20"], true["hi_size"], true["hi_size"]], axis=1) / 8
    return Detections.from_columns(
        position=position,
        boxes=np.stack([position - half, position + half], axis=1),
        score=np.linspace(0.5, 1.0, n),
        parameters=encode(HI, true, anchor=anchor, beam_fwhm=view.pixel_beam.fwhm),
        anchor=anchor,
        peak=anchor * RMS,
        local_rms=np.full(n, RMS),
    )


def toy_cube_catalog(n: int = 6) -> Catalog:
    """Catalogue of n made-up galaxies."""
    view = toy_cube()
    return build_cube_catalog([(toy_galaxies(view, toy_truth(n)), view)], MODEL)


def receding_pa(view: Image, truth: dict[str, np.ndarray]) -> np.ndarray:
    """Position angles of the receding sides, degrees."""
    y, x = (truth["y"] + 0.5) / view.factor - 0.5, (truth["x"] + 0.5) / view.factor - 0.5
    return direction_to_pa(view.wcs, x, y, truth["theta"])


def seen_axes(view: Image, truth: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Major and minor axes of the discs through the beam of a view, arcsec."""
    size, beam = truth["hi_size"], view.pixel_beam.scaled(view.pixel_scale)
    major, minor, _ = convolve(size, size * np.cos(np.radians(truth["incl"])), truth["theta"], beam)
    return major, minor
