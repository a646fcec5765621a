"""Moment maps and integrated spectrum of a galaxy."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io.fits import Header
from astropy.wcs import WCS
from numpy.typing import NDArray

from skadetect.image import Image
from skadetect.products.headers import LIGHT, velocity_of
from skadetect.products.mask import Mask
from skadetect.products.sources import Source, spectral_axis
from skadetect.spectral import LIGHT_KMS

#: Errors by which moment 0 exceeds 0 where moments 1 and 2 are given.
SURE = 3.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Maps (y, x), NaN outside the galaxy.

    Attributes
    ----------
    total : array
        Moment 0, Jy/beam Hz.
    velocity, dispersion : array
        Moment 1 and the square root of moment 2, km/s in `convention`.
    convention : str
        "radio" or "optical".
    """

    total: Floats
    velocity: Floats
    dispersion: Floats
    convention: str


@dataclass(frozen=True)
class Spectrum:
    """Sums over a galaxy, a number a channel of its window.

    Attributes
    ----------
    channel : array
        Of the file, 0-based.
    freq : array
        Hz.
    velocity : array
        km/s, in the convention of the moment maps.
    flux, error : array
        Over the galaxy's voxels, Jy.
    n_pix : array
        Voxels summed.
    aperture_flux, aperture_error : array
        Over all pixels where it has a voxel in any channel, Jy.
    aperture_n_pix : array
        Pixels of that.
    """

    channel: NDArray[np.int64]
    freq: Floats
    velocity: Floats
    flux: Floats
    error: Floats
    n_pix: NDArray[np.int64]
    aperture_flux: Floats
    aperture_error: Floats
    aperture_n_pix: NDArray[np.int64]


def moment_maps(pixels: NDArray[np.float32], mask: Mask, header: Header, convention: str) -> Moments:
    """Moments of a galaxy's voxels by spectral-cube; 1 and 2 of positive voxels, as SoFiA-2 does.

    Parameters
    ----------
    pixels : (z, y, x) float32
        The window, Jy/beam.
    mask : Mask
        The galaxy's voxels.
    header : astropy.io.fits.Header
        Of the window.
    convention : str
        "radio" or "optical".
    """
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore")  # of what old headers lack, of slow ways, of variances
        total, velocity, dispersion = _by_spectral_cube(pixels, mask, header, convention)
    total *= _hertz(header, pixels.shape[0])
    channel = abs(header["CDELT3"]) * _hertz(header, pixels.shape[0])
    weak = ~(total > SURE * mask.noise * channel * np.sqrt(mask.voxels.sum(axis=0)))
    total[~mask.voxels.any(axis=0)] = np.nan
    velocity[weak] = dispersion[weak] = np.nan
    return Moments(total, velocity, dispersion, convention)


def integrated_spectrum(
    pixels: NDArray[np.float32], mask: Mask, source: Source, image: Image, convention: str
) -> Spectrum:
    """Flux density of a galaxy in each channel of its window, with errors for noise correlated by the beam.

    Parameters
    ----------
    pixels : (z, y, x) float32
        The window, Jy/beam.
    mask : Mask
        The galaxy's voxels.
    source, image : Source, Image
        The window's place.
    convention : str
        Of the velocities, "radio" or "optical".
    """
    axis, area = spectral_axis(image), image.pixel_beam.area
    channel = np.arange(source.lo[0], source.hi[0])
    freq = np.asarray(axis.frequency(channel.astype(np.float64)), np.float64)
    n_pix, aperture = mask.voxels.sum(axis=(1, 2)), mask.voxels.any(axis=0)
    flux = np.array([plane[inside].sum(dtype=np.float64) for plane, inside in zip(pixels, mask.voxels)])
    around = np.nan_to_num(pixels[:, aperture]).sum(axis=1, dtype=np.float64)
    known = np.isfinite(pixels[:, aperture]).sum(axis=1)
    return Spectrum(
        channel=channel,
        freq=freq,
        velocity=velocity_of(axis, freq, convention),
        flux=flux / area,
        error=sum_error(n_pix, mask.noise, area),
        n_pix=n_pix,
        aperture_flux=around / area,
        aperture_error=sum_error(known, mask.noise, area),
        aperture_n_pix=known,
    )


def rest_velocity(velocity: Any, source: Source, image: Image, convention: str) -> Any:
    """Velocities of a convention as those in the galaxy's own frame, c (freq0 - freq) / freq0, km/s."""
    rest, ratio = spectral_axis(image).rest_freq, velocity * 1e3 / LIGHT
    freq = rest * (1.0 - ratio) if convention == "radio" else rest / (1.0 + ratio)
    return LIGHT_KMS * (1.0 - freq / source.row["freq"])


def sum_error(n_pix: NDArray[Any], noise: float, area: float) -> Floats:
    """Error of a sum over n pixels divided by the beam's area, of noise that has the shape of the beam.

    The sum of that noise's autocorrelation is twice the beam's area; of fewer pixels, all are one.
    """
    return np.asarray(noise * np.sqrt(n_pix * np.minimum(n_pix, 2.0 * area)) / area, np.float64)


def _by_spectral_cube(
    pixels: NDArray[np.float32], mask: Mask, header: Header, convention: str
) -> tuple[Floats, Floats, Floats]:
    """Moment 0 in the header's spectral unit, moment 1 and the root of moment 2 in km/s."""
    from spectral_cube import SpectralCube

    cube = SpectralCube(u.Quantity(pixels, u.Jy, copy=False), wcs=WCS(header), header=header)
    in_kms = cube.with_spectral_unit(
        u.km / u.s, velocity_convention=convention, rest_value=header["RESTFRQ"] * u.Hz
    )
    positive = in_kms.with_mask(mask.voxels & (pixels > 0))
    return (
        cube.with_mask(mask.voxels).moment(order=0, how="slice").value,
        positive.moment(order=1, how="slice").to_value(u.km / u.s),
        positive.linewidth_sigma(how="slice").to_value(u.km / u.s),
    )


def _hertz(header: Header, channels: int) -> float:
    """Frequency that a unit of the spectral axis is worth, in the middle of a window."""
    if header["CTYPE3"] == "FREQ":
        return 1.0
    middle = header["CRVAL3"] + header["CDELT3"] * (channels - 1) / 2
    return float(header["RESTFRQ"] / (LIGHT * (1.0 + middle / LIGHT) ** 2))
