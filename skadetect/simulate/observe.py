"""What the telescope does to the sky: beams, primary beam and noise."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from skadetect.simulate.bands import DRAWING_BEAM, NOISE_POWER, NOISE_WAVENUMBER, REFERENCE_BEAM_PIXELS
from skadetect.simulate.options import Instrument
from skadetect.simulate.shapes import FWHM_TO_SIGMA, covariance

Image = NDArray[np.float32]
Plane = NDArray[np.float32]

# The real map lies 13 % of the faint emission's mean below zero: restored sources lost some of theirs too.
_BOWL = 0.13


def beam_covariance(instrument: Instrument, *, factor: float = 1.0) -> tuple[float, float, float]:
    """Covariance of the restoring beam in pixels.

    Parameters
    ----------
    instrument : Instrument
        The telescope; right ascension decreases with x, declination increases with y.
    factor : float
        Scales the beam's axes.

    Returns
    -------
    cxx, cxy, cyy : float
        Pixels^2.
    """
    scale = factor * FWHM_TO_SIGMA / instrument.pixel_scale
    theta = np.array(math.radians(instrument.beam_pa + 90))
    major, minor = np.array(instrument.beam_major * scale), np.array(instrument.beam_minor * scale)
    cxx, cxy, cyy = covariance(major, minor, theta)
    return float(cxx), float(cxy), float(cyy)


def observe(sky: Image, instrument: Instrument, *, response_loss: float, zero_spacing: bool) -> Image:
    """Image a drawn sky: bright emission restored, faint emission through the dirty beam.

    Parameters
    ----------
    sky : ndarray, shape (y, x)
        Jy per drawing beam, which is 0.8 of the restoring beam.
    instrument : Instrument
        Beam and clip level.
    response_loss : float
        Regularisation of the faint emission's deconvolution.
    zero_spacing : bool
        Keep the mean of the faint emission.

    Returns
    -------
    ndarray, shape (y, x)
        Jy/beam.

    Notes
    -----
    What exceeds the clip level in a pixel is restored, the rest of that pixel is not: with this split, and
    not with one of whole pixels or sources, the model of a piece of the real map leaves only noise.
    """
    clip = np.float32(instrument.clip)
    restored = fft.rfft2(np.maximum(sky - clip, 0), workers=2, overwrite_x=True)
    faint = fft.rfft2(np.minimum(sky, clip), workers=2, overwrite_x=True)
    radius2 = scaled_wavenumber2(sky.shape, instrument)
    # Transforms of the beams are exp(-2 pi^2 sigma^2 k^2), with k in cycles per FWHM of the restoring beam.
    rate = 2 * math.pi**2 * FWHM_TO_SIGMA**2
    beam, drawing = np.exp(-rate * radius2), np.exp(-rate * DRAWING_BEAM**2 * radius2)
    faint *= beam * drawing / (drawing**2 + np.float32(response_loss**2))
    if not zero_spacing:
        faint[0, 0] *= -_BOWL
    restored *= np.exp(-rate * (1 - DRAWING_BEAM**2) * radius2)
    restored += faint
    restored *= np.float32(1 / DRAWING_BEAM**2)
    return fft.irfft2(restored, s=sky.shape, workers=2, overwrite_x=True)


def scaled_wavenumber2(shape: tuple[int, ...], instrument: Instrument) -> Plane:
    """Squared wavenumber of each Fourier mode, in cycles per beam FWHM along the beam's axes.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the image.
    instrument : Instrument
        The beam.

    Returns
    -------
    ndarray, shape (y, x // 2 + 1)
        Dimensionless.
    """
    cxx, cxy, cyy = (c / FWHM_TO_SIGMA**2 for c in beam_covariance(instrument))
    ky = fft.fftfreq(shape[0])[:, None]
    kx = fft.rfftfreq(shape[1])[None, :]
    return (cxx * kx**2 + 2 * cxy * kx * ky + cyy * ky**2).astype(np.float32)


def draw_noise(
    shape: tuple[int, int], instrument: Instrument, *, spectrum: str, rng: np.random.Generator
) -> Image:
    """Draw Gaussian noise with a given power spectrum, zero mean and the instrument's rms.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    instrument : Instrument
        Beam and noise.
    spectrum : str
        "sdc1", "natural" or "beam".
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (y, x)
        Jy/beam.
    """
    amplitude = np.sqrt(noise_power(scaled_wavenumber2(shape, instrument), spectrum))
    amplitude[0, 0] = 0
    # Each column of the half plane stands for two modes, but the first and, where shape is even, the last.
    power = (amplitude**2).sum(axis=0, dtype=np.float64)
    total = 2 * power.sum() - power[0] - (power[-1] if shape[1] % 2 == 0 else 0)
    modes = fft.rfft2(rng.standard_normal(shape, dtype=np.float32), workers=2, overwrite_x=True)
    modes *= amplitude * np.float32(instrument.noise_rms / math.sqrt(total / (shape[0] * shape[1])))
    return fft.irfft2(modes, s=shape, workers=2, overwrite_x=True)


def noise_power(radius2: Plane, spectrum: str) -> Plane:
    """Power spectrum of the noise, any normalisation.

    Parameters
    ----------
    radius2 : ndarray
        Squared wavenumber, cycles per beam FWHM.
    spectrum : str
        "sdc1" (interpolated in the measured table), "natural" or "beam".

    Returns
    -------
    ndarray
        Of the same shape.
    """
    rate = 2 * math.pi**2 * FWHM_TO_SIGMA**2
    if spectrum == "beam":
        return np.exp(-2 * rate * radius2)
    if spectrum == "natural":
        return np.exp(-rate * radius2)
    # Table lookup in k^2 on a fine grid: np.interp over the whole plane would be the slowest step of all.
    last = (NOISE_WAVENUMBER[-1] * REFERENCE_BEAM_PIXELS) ** 2
    grid = np.linspace(0, last, 20001)
    table = np.interp(np.sqrt(grid), NOISE_WAVENUMBER * REFERENCE_BEAM_PIXELS, np.log(NOISE_POWER))
    index = np.minimum(radius2 * np.float32(20000 / last), 20000).astype(np.int32)
    beyond = np.maximum(radius2 - np.float32(last), 0)
    return np.exp(table).astype(np.float32)[index] * np.exp(-np.float32(rate) * beyond)


def primary_beam(east: NDArray[np.float64], north: NDArray[np.float64], fwhm: tuple[float, float]) -> Image:
    """Gaussian primary beam on a grid.

    Parameters
    ----------
    east : ndarray, shape (nx,)
        Distances east of the pointing centre, degrees.
    north : ndarray, shape (ny,)
        Distances north of it, degrees.
    fwhm : tuple of float
        FWHM east and north, degrees.

    Returns
    -------
    ndarray, shape (ny, nx)
        1 at the centre.
    """
    factor = -4 * math.log(2)
    across = np.exp(factor * (east / fwhm[0]) ** 2).astype(np.float32)
    along = np.exp(factor * (north / fwhm[1]) ** 2).astype(np.float32)
    return along[:, None] * across[None, :]
