"""Parameters of smooth-and-clip sources by moments over their voxels, as SoFiA-2 measures them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from smooth_and_clip import FWHM_PER_SIGMA, Cube, Noise, Sources

from skadetect.beams import PixelBeam, deconvolve

SPEED_OF_LIGHT = 299_792.458  # km/s
#: Each mask is grown by so many (channels, pixels).
DILATIONS = ((0, 0), (1, 1), (1, 2), (2, 3))
MARGIN = (3, 4)


@dataclass(frozen=True)
class Frame:
    """What voxels are on the sky and in frequency.

    Attributes
    ----------
    wcs : WCS
        Celestial.
    pixel : float
        Pixel side, arcsec.
    beam : PixelBeam
    start, step : float
        Frequency of the first channel and from a channel to the next, Hz.
    noise : Noise
        In Jy/beam.
    """

    wcs: WCS
    pixel: float
    beam: PixelBeam
    start: float
    step: float
    noise: Noise

    @classmethod
    def from_header(cls, header: fits.Header, noise: Noise) -> Frame:
        """The frame of a cube with a linear axis of frequency or radio velocity and a single beam."""
        wcs = WCS(header).celestial
        beam = PixelBeam.from_sky(
            header["BMAJ"],
            header["BMIN"],
            math.radians(header.get("BPA", 0.0)),
            pixel_matrix=wcs.pixel_scale_matrix,
        )
        step = header["CDELT3"]
        start = header["CRVAL3"] + (1.0 - header["CRPIX3"]) * step
        if header["CTYPE3"].startswith("VRAD"):
            rest = header["RESTFRQ"]
            step, start = -rest * step / SPEED_OF_LIGHT / 1e3, rest * (1.0 - start / SPEED_OF_LIGHT / 1e3)
        pixel = 3600.0 * math.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix)))
        return cls(wcs, pixel, beam, start, step, noise)

    @property
    def fwhm(self) -> float:
        """Of the beam, arcsec."""
        return self.beam.fwhm * self.pixel


def measure_sources(cube: Cube, sources: Sources, rows: NDArray[np.int64], frame: Frame) -> pd.DataFrame:
    """Measure some sources in each of `DILATIONS`.

    Parameters
    ----------
    cube : (z, y, x) float32
        In units of the noise.
    sources : Sources
    rows : (n,) int
        Rows of the sources to measure.
    frame : Frame

    Returns
    -------
    DataFrame
        A row each and dilation: row, dilation and the columns of `measure`.
    """
    found = []
    for row in rows:
        one = sources.table.iloc[row]
        window, origin = [], []
        for axis, size, margin in zip("zyx", cube.shape, (MARGIN[0], MARGIN[1], MARGIN[1])):
            low = max(int(one[f"{axis}0"]) - margin, 0)
            window.append(slice(low, min(int(one[f"{axis}1"]) + margin, size)))
            origin.append(low)
        labels = sources.labels[tuple(window)]
        pixels = cube[tuple(window)] * frame.noise.channels[window[0], None, None]
        pixels *= frame.noise.sky[tuple(window[1:])]
        for number, dilation in enumerate(DILATIONS):
            mask = dilate(labels == row + 1, *dilation) & ((labels == 0) | (labels == row + 1))
            found.append({"row": row, "dilation": number} | measure(pixels, mask, origin, frame=frame))
    return pd.DataFrame(found)


def dilate(mask: NDArray[np.bool_], channels: int, radius: int) -> NDArray[np.bool_]:
    """A mask grown along the spectrum and by a disc on the sky."""
    if radius:
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
        mask = binary_dilation(mask, (y**2 + x**2 <= radius**2 + radius)[None])
    return binary_dilation(mask, np.ones((2 * channels + 1, 1, 1), bool)) if channels else mask


def measure(pixels: Cube, mask: NDArray[np.bool_], origin: list[int], *, frame: Frame) -> dict[str, float]:
    """Moments of one source.

    Parameters
    ----------
    pixels : (z, y, x) float32
        Window around it, Jy/beam.
    mask : (z, y, x) bool
        Its voxels.
    origin : list of int
        Place of the window in the cube.
    frame : Frame

    Returns
    -------
    dict
        ra, dec (deg), line_flux_integral (Jy Hz), central_freq (Hz), pa (receding side, deg east of north),
        w20 (km/s); bmaj, bmin (FWHM of the moment-0 map, beam removed, arcsec), wide and narrow (the same,
        beam not removed).
    """
    inside = np.where(mask, pixels, 0.0).astype(np.float64)
    positive = np.maximum(inside, 0.0)
    z, y, x = (np.sum(grid * positive) / positive.sum() for grid in np.indices(mask.shape, sparse=True))
    spectrum = inside.sum(axis=(1, 2)) / frame.beam.area
    ra, dec = frame.wcs.wcs_pix2world(x + origin[2], y + origin[1], 0)
    frequency = frame.start + (z + origin[0]) * frame.step
    width = line_width(spectrum) * abs(frame.step)
    wide, narrow, theta = ellipse(np.maximum(inside.sum(axis=0), 0.0))
    intrinsic = deconvolve(wide, narrow, theta, frame.beam)
    return {
        "ra": float(ra),
        "dec": float(dec),
        "line_flux_integral": float(spectrum.sum() * abs(frame.step)),
        "central_freq": frequency,
        "pa": position_angle(positive, frame),
        "w20": SPEED_OF_LIGHT * width / frequency,
        "bmaj": float(intrinsic[0]) * frame.pixel,
        "bmin": float(intrinsic[1]) * frame.pixel,
        "wide": wide * frame.pixel,
        "narrow": narrow * frame.pixel,
    }


def line_width(spectrum: NDArray[np.float64], level: float = 0.2) -> float:
    """Width in channels at a fraction of the peak, from both ends inwards, interpolated."""
    limit = level * spectrum.max()
    above = np.flatnonzero(spectrum >= limit)
    if limit <= 0.0:
        return 1.0
    padded = np.concatenate([[0.0], spectrum, [0.0]])
    low, high = above[0] + 1, above[-1] + 1
    left = low - (padded[low] - limit) / (padded[low] - padded[low - 1])
    right = high + (padded[high] - limit) / (padded[high] - padded[high + 1])
    return float(right - left)


def ellipse(plane: NDArray[np.float64]) -> tuple[float, float, float]:
    """FWHM along both axes (pixels) and angle (radians from +x) of the second moments of a map."""
    total = plane.sum()
    y, x = np.indices(plane.shape)
    dy, dx = y - np.sum(y * plane) / total, x - np.sum(x * plane) / total
    yy, xx, xy = (np.sum(p * plane) / total for p in (dy * dy, dx * dx, dx * dy))
    half, spread = (xx + yy) / 2.0, math.hypot((xx - yy) / 2.0, xy)
    axes = (math.sqrt(max(half + sign * spread, 0.0)) * FWHM_PER_SIGMA for sign in (1.0, -1.0))
    return *axes, 0.5 * math.atan2(2.0 * xy, xx - yy)


def position_angle(positive: NDArray[np.float64], frame: Frame) -> float:
    """Angle of the receding side from the line through the centroids of the channels, deg east of north.

    The line is that of least squared distances, channels weighted by flux; where a source has one channel
    only it has no direction, and 0 is as good as any.
    """
    flux = positive.sum(axis=(1, 2))
    used = flux > 0.0
    weight = flux[used] / flux.sum()
    y, x = (
        np.sum(grid * positive, axis=(1, 2))[used] / flux[used]
        for grid in np.indices(positive.shape, sparse=True)[1:]
    )
    z = np.flatnonzero(used).astype(np.float64)
    z, y, x = (values - np.sum(weight * values) for values in (z, y, x))
    theta = 0.5 * math.atan2(2.0 * np.sum(weight * x * y), np.sum(weight * (x * x - y * y)))
    dx, dy = math.cos(theta), math.sin(theta)
    rising = np.sum(weight * z * (dx * x + dy * y)) * math.copysign(1.0, frame.step) > 0.0
    if rising:  # frequency rises that way: the other side recedes
        dx, dy = -dx, -dy
    east, north = frame.wcs.pixel_scale_matrix @ (dx, dy)
    return math.degrees(math.atan2(east, north)) % 360.0
