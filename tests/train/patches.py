"""A patch with one known Gaussian source, its measurement by moments, and what noise shaped as a beam is."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.beams import PixelBeam, convolve
from skadetect.train.augment import Patch
from skadetect.train.sources import Sources, expected_peak


def gaussian_patch(
    *, shape=(40, 40), position=(17.3, 24.6), size=(5.0, 2.0), theta=0.5, beam=None, flux=50.0
) -> Patch:
    """A noiseless source seen through a beam, in units of the noise."""
    beam = beam or PixelBeam(3.5, 2.5, 1.2)
    wide, narrow, angle = convolve(size[0], size[1], theta, beam)
    peak = flux * beam.bmaj * beam.bmin / (wide * narrow)
    y, x = np.mgrid[: shape[0], : shape[1]] - np.reshape(position, (2, 1, 1))
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    image = peak * np.exp(-4 * np.log(2) * ((along / wide) ** 2 + (across / narrow) ** 2))
    columns = [np.array([v]) for v in (flux, size[0], size[1], theta)]
    peaks = expected_peak(*columns, beam)
    return Patch(image[None].astype("f4"), beam, Sources(np.array([position]), *columns, peaks))


def moments(patch: Patch) -> tuple[np.ndarray, np.ndarray, float]:
    """Centroid (y, x), second moments (yy, xx, xy) in FWHM units squared, and sum over the beam's area."""
    image = patch.snr[0].astype(float)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    total = image.sum()
    cy, cx = (image * y).sum() / total, (image * x).sum() / total
    second = [
        (image * a * b).sum() / total for a, b in ((y - cy, y - cy), (x - cx, x - cx), (y - cy, x - cx))
    ]
    return np.array([cy, cx]), 8 * np.log(2) * np.array(second), total / patch.beam.area


def expected_moments(patch: Patch) -> tuple[np.ndarray, np.ndarray, float]:
    """The same from the patch's source and beam."""
    s = patch.sources
    wide, narrow, theta = (v[0] for v in convolve(s.bmaj, s.bmin, s.theta, patch.beam))
    cos, sin = np.cos(theta), np.sin(theta)
    yy, xx = (wide * sin) ** 2 + (narrow * cos) ** 2, (wide * cos) ** 2 + (narrow * sin) ** 2
    return s.position[0], np.array([yy, xx, (wide**2 - narrow**2) * cos * sin]), float(s.flux[0])


def assert_correlated_as(noise: np.ndarray, beam: PixelBeam) -> None:
    """Planes of noise (n, y, x) have a beam's autocorrelation: a Gaussian sqrt(2) wider than it."""
    power = np.mean([np.fft.ifft2(np.abs(np.fft.fft2(plane)) ** 2).real for plane in noise], axis=0)
    power /= power[0, 0]
    for y, x in ((0, 1), (1, 0), (1, 1), (1, -1), (2, 0), (0, 2)):
        along = x * np.cos(beam.theta) + y * np.sin(beam.theta)
        across = y * np.cos(beam.theta) - x * np.sin(beam.theta)
        wanted = np.exp(-2 * np.log(2) * ((along / beam.bmaj) ** 2 + (across / beam.bmin) ** 2))
        assert power[y, x] == pytest.approx(wanted, abs=0.05)
