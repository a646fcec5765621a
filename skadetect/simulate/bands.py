"""Measured numbers of the SKA Science Data Challenge 1: bands, noise spectrum, source counts, sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Band:
    """One observing band of SKA-Mid as SDC1 imaged it.

    Parameters
    ----------
    pixel_scale : float
        Pixel size, arcsec.
    beam : float
        FWHM of the round restoring beam, arcsec.
    clip : float
        Brightness above which emission was restored with a clean beam, Jy/beam.
    thermal_noise : dict of int to float
        Thermal noise after the key's hours, Jy/beam.
    bandwidth : float
        Width of the image's one channel, Hz.
    excess_noise : float
        Noise found on top of the thermal noise whatever the depth, Jy/beam.
    """

    pixel_scale: float
    beam: float
    clip: float
    thermal_noise: dict[int, float]
    bandwidth: float
    excess_noise: float = 0.0


# The map's own noise in band 1 is 0.341 uJy/beam after 1000 h where the thermal noise is 0.256.
BANDS: dict[int, Band] = {
    560: Band(0.604249, 1.5, 8.6e-6, {8: 2.87e-6, 100: 0.811e-6, 1000: 0.256e-6}, 168e6, 0.2253e-6),
    1400: Band(0.2416993, 0.60, 2.1e-6, {8: 0.70e-6, 100: 0.198e-6, 1000: 0.0626e-6}, 420e6),
    9200: Band(0.0367803, 0.0913, 1.3e-6, {8: 0.433e-6, 100: 0.123e-6, 1000: 0.0388e-6}, 2760e6),
}

# FWHM of the primary beam at 1400 MHz along right ascension and declination, degrees; goes with 1/frequency.
PRIMARY_BEAM_FWHM = (0.879, 0.838)
# Spacing of the primary beam's pixels at 1400 MHz, degrees.
PRIMARY_BEAM_PIXEL = 0.03235
# FWHM of the Gaussian with which the sky was drawn, in units of the restoring beam: 1.2 / 1.5 arcsec.
DRAWING_BEAM = 0.8
# FWHM of band 1's restoring beam in pixels, the unit in which the noise spectrum's wavenumbers are given.
REFERENCE_BEAM_PIXELS = 1.5 / 0.604249

# Power spectrum of the real 560 MHz 1000 h noise: cycles per pixel, uJy^2 a mode (white noise of rms s: s^2).
NOISE_WAVENUMBER = np.array(
    [0.0217, 0.0408, 0.0605, 0.0804, 0.1003, 0.1203, 0.1402, 0.1602, 0.1802, 0.2001,
     0.2202, 0.2453, 0.2753, 0.3053, 0.3352, 0.3652, 0.4003, 0.4403, 0.4803, 0.5415]
)  # fmt: skip
NOISE_POWER = np.array(
    [0.7440, 0.4762, 0.4972, 0.5692, 0.6196, 0.6400, 0.6294, 0.5992, 0.4875, 0.4332,
     0.3096, 0.2534, 0.1390, 0.0870, 0.0448, 0.0225, 0.0113, 0.0053, 0.0034, 0.0015]
)  # fmt: skip

STEEP, FLAT, STARFORMING = 1, 2, 3  # SDC1's class numbers
LARGEST_SCALE, GAUSSIAN, EXPONENTIAL = 1, 2, 3  # SDC1's size numbers

# Differential counts at 560 MHz, sources per square degree and dex, at log10(flux/Jy), by class number.
COUNTS_LOG_FLUX = np.array(
    [-6.875, -6.375, -5.875, -5.375, -4.875, -4.375, -3.875, -3.375, -2.875, -2.375, -1.375, -0.375]
)
COUNTS: dict[int, np.ndarray] = {
    STEEP: np.array([7329, 4840, 2351, 1798, 553, 366, 230, 153, 102, 13, 4, 0.5]),
    FLAT: np.array([17148, 7329, 1936, 1383, 415, 230, 115, 26, 13, 3, 0.8, 0.1]),
    STARFORMING: np.array([505448, 352223, 227210, 118791, 53933, 18416, 4933, 882, 64, 5, 0.02, 1e-4]),
}

# Mean and scatter of the spectral index (flux ~ frequency^index) by class: 560 to 1400 MHz, 1400 to 9200 MHz.
SPECTRAL_INDEX: dict[int, tuple[tuple[float, float], tuple[float, float]]] = {
    STEEP: ((-0.6, 0.3), (-0.6, 0.15)),
    FLAT: ((-0.35, 0.25), (-0.05, 0.1)),
    STARFORMING: ((-0.775, 0.035), (-0.56, 0.035)),
}

# Star-forming discs: geometric-mean scale length (arcsec), its scatter in ln, at log10(flux/Jy) at 560 MHz.
DISC_LOG_FLUX = np.array([-6.75, -5.75, -4.75, -3.75, -3.25])
DISC_SCALE = np.array([0.074, 0.14, 0.43, 1.11, 2.2])
DISC_SCALE_SCATTER = np.array([0.62, 0.59, 0.54, 0.52, 0.53])

# Axis ratios of the discs: quantiles at these probabilities (columns), at log10(flux/Jy) (rows).
RATIO_PROBABILITY = np.array([0.0, 0.05, 0.5, 0.95, 1.0])
RATIO_LOG_FLUX = np.array([-6.7, -4.7, -3.8])
RATIO_QUANTILES = np.array(
    [[0.32, 0.44, 0.65, 0.79, 0.88], [0.08, 0.13, 0.28, 0.45, 0.60], [0.06, 0.09, 0.19, 0.75, 0.90]]
)

# Steep-spectrum active galaxies: median largest size (arcsec) and its scatter in ln, at log10(flux/Jy).
LOBE_LOG_FLUX = np.array([-6.5, -5.0, -3.5])
LOBE_SIZE = np.array([12.7, 9.0, 6.4])
LOBE_SIZE_SCATTER = np.array([1.27, 1.05, 0.84])
LOBE_SIZE_MAXIMUM = 172.0
# Flat-spectrum active galaxies: median size (arcsec) and scatter in ln; core fraction mean and scatter.
CORE_SIZE = (0.04, 1.3)
CORE_FRACTION = (0.76, 0.08)
