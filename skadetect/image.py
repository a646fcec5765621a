"""One image: pixels by windows, sky coordinates, beam and unit, whatever axes and spellings the file has."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from radio_beam import Beam

from skadetect.beams import PixelBeam
from skadetect.errors import InputError
from skadetect.fits_source import open_fits
from skadetect.header_repair import repair_header
from skadetect.image_axes import Axes, celestial_wcs, find_axes, reference_frequency
from skadetect.image_beam import (
    BeamLike,
    SkyBeam,
    beam_table,
    given_beam,
    header_beam,
    missing_beam,
    noise_beam,
    pixel_beam,
    pixel_scale,
)
from skadetect.image_units import JY_PER_BEAM, conversion
from skadetect.pixels import (
    ArrayPixels,
    AxisOrder,
    ChannelScaledPixels,
    Corner,
    FitsPixels,
    PixelSource,
    read_padded,
)
from skadetect.spectral import SpectralAxis
from skadetect.spectral_header import read_spectral_axis

__all__ = ["JY_PER_BEAM", "BeamLike", "Image", "Source", "open_image"]

logger = logging.getLogger(__name__)

Source: TypeAlias = (
    str | os.PathLike[str] | tuple[NDArray[Any], fits.Header] | fits.PrimaryHDU | fits.ImageHDU
)


@dataclass(frozen=True)
class Image:
    """An image or cube, its pixels not yet read.

    Attributes
    ----------
    pixels : PixelSource
        Where the pixels come from.
    ndim : int
        2 for an image, 3 for a cube.
    wcs : astropy.wcs.WCS
        Celestial, two axes, (x, y) = (longitude, latitude).
    beam : radio_beam.Beam
        Restoring beam on the sky; of a cube with a beam for each channel that of median area, which all
        channels are scaled to.
    pixel_beam : PixelBeam
        The same in pixels.
    pixel_scale : float
        Pixel side, arcsec: square root of the pixel's solid angle.
    unit : astropy.units.UnitBase
        Of what `read` returns: Jy/beam, into which the file's unit is converted; K if it has no frequency.
    frequency : float or None
        Of the first plane, Hz.
    name : str
        Of the file or object, for messages and tables.
    header : astropy.io.fits.Header
        Of the file, repaired.
    repairs : tuple of str
        What was mended or assumed, one line each.
    factor : float
        Side of a pixel in pixels of the file: 1 unless the image was resampled.
    spectral : SpectralAxis or None
        Frequencies of the channels of a cube; None for an image.
    factor_z : float
        Width of a channel in channels of the file: 1 unless the cube was resampled along frequency.
    """

    pixels: PixelSource
    ndim: int
    wcs: WCS
    beam: Beam
    pixel_beam: PixelBeam
    pixel_scale: float
    unit: u.UnitBase
    frequency: float | None
    name: str
    header: fits.Header
    repairs: tuple[str, ...] = ()
    factor: float = 1.0
    spectral: SpectralAxis | None = None
    factor_z: float = 1.0

    @property
    def shape(self) -> Corner:
        """(z, y, x); z is 1 for a 2D image."""
        return self.pixels.shape

    def read(self, lo: Corner, hi: Corner) -> NDArray[np.float32]:
        """Pixels lo <= index < hi as native float32 (z, y, x) in `unit`; blank and outside pixels are NaN."""
        return read_padded(self.pixels, lo, hi)

    def to_original(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixel coordinates of this image as those of the file.

        Parameters
        ----------
        position : (..., ndim) array
            Pixels, columns (y, x) or (z, y, x); integers are pixel centres.

        Returns
        -------
        (..., ndim) float64
        """
        out = np.array(position, np.float64)
        out[..., -2:] = (out[..., -2:] + 0.5) * self.factor - 0.5
        out[..., :-2] = (out[..., :-2] + 0.5) * self.factor_z - 0.5
        return out


@dataclass(frozen=True)
class _Opened:
    """An image whose beam is not yet known."""

    header: fits.Header
    pixels: FitsPixels | ArrayPixels
    axes: Axes
    wcs: WCS
    name: str


def open_image(source: Source, *, beam: BeamLike | None = None, hdu: int | str | None = None) -> Image:
    """Open a radio image; its header is read and repaired, its pixels are read later, by windows.

    Parameters
    ----------
    source : path, (array, header) or HDU
        A FITS file (.fits, .fits.gz), an array in FITS order (the last axis is NAXIS1) with its header, or an
        image HDU. Values of an array or HDU are taken as they are: BSCALE and BZERO are not applied to them.
    beam : radio_beam.Beam, (bmaj, bmin, pa) or float, optional
        Restoring beam, FWHM in arcsec and degrees east of north; it overrides the header. Without either,
        that of a cube is estimated from its noise.
    hdu : int or str, optional
        Which HDU of a file; the first that holds an image by default.

    Returns
    -------
    Image

    Raises
    ------
    InputError
        If the file is absent, truncated or not FITS, has no celestial axes, no beam or no known unit.
    """
    header, pixels, name = _open_source(source, hdu)
    mended, repairs = repair_header(header)
    axes, axis_repairs = find_axes(mended, pixels.array_shape, name=name)
    pixels = replace(pixels, order=axes.order)
    wcs = celestial_wcs(mended, axes, shape=pixels.shape[1:], name=name)
    spectral, spectral_repairs = _spectral(mended, axes, n=pixels.shape[0], name=name)
    frequency = reference_frequency(mended, axes) if spectral is None else float(spectral.freq[0])
    sky = _beam_of(source, beam, _Opened(mended, pixels, axes, wcs, name))
    converted = conversion(
        mended,
        sky.beam,
        pixel_degrees=pixel_scale(wcs),
        frequency=frequency if spectral is None else spectral.freq,
        name=name,
    )
    gains = sky.gains if sky.gains is not None and converted.per_beam else 1.0
    image = Image(
        pixels=_scaled(pixels, converted.scale * gains),
        ndim=axes.ndim,
        wcs=wcs,
        beam=sky.beam,
        pixel_beam=pixel_beam(sky.beam, wcs),
        pixel_scale=pixel_scale(wcs) * 3600,
        unit=converted.unit,
        frequency=frequency,
        name=name,
        header=mended,
        repairs=repairs + axis_repairs + spectral_repairs + sky.repairs + converted.repairs,
        spectral=spectral,
    )
    for repair in image.repairs:
        logger.info("%s: %s", name, repair)
    return image


def _open_source(source: Source, hdu: int | str | None) -> tuple[fits.Header, FitsPixels | ArrayPixels, str]:
    """Header, pixels and name of any kind of source."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return *open_fits(path, hdu=hdu), path.name
    if isinstance(source, (fits.PrimaryHDU, fits.ImageHDU)):
        array, header = source.data, source.header
    else:
        array, header = source
    if array is None or np.ndim(array) < 2:
        raise InputError(f"image array of shape {np.shape(array)}; expected two to four axes")
    order = AxisOrder((None, array.ndim - 2, array.ndim - 1))
    return header, ArrayPixels(array, order), str(header.get("OBJECT", "")).strip() or "array"


def _spectral(
    header: fits.Header, axes: Axes, *, n: int, name: str
) -> tuple[SpectralAxis | None, tuple[str, ...]]:
    """Spectral axis of a cube, and remarks; None of an image."""
    if axes.ndim == 2:
        return None, ()
    return read_spectral_axis(header, axes, n=n, name=name)


def _beam_of(source: Source, given: BeamLike | None, image: _Opened) -> SkyBeam:
    """The beam asked for, that of a table in the file, the header's, or of a cube what its noise tells."""
    if given is not None:
        return given_beam(given, name=image.name)
    if image.axes.ndim == 3 and isinstance(source, (str, os.PathLike)):
        found = beam_table(Path(source), channels=image.pixels.shape[0])
        if found is not None:
            return found
    found = header_beam(image.header, image.wcs, name=image.name)
    if found is None and image.axes.ndim == 3:
        found = noise_beam(image.header, image.wcs, image.pixels)
    if found is None:
        raise missing_beam(image.header, name=image.name)
    return found


def _scaled(pixels: FitsPixels | ArrayPixels, scale: float | NDArray[np.float64]) -> PixelSource:
    """Pixels times one number, or times one for each channel."""
    if np.ndim(scale) == 0:
        return replace(pixels, scale=float(scale))
    return ChannelScaledPixels(pixels, np.asarray(scale, np.float64))
