"""One image: pixels by windows, sky coordinates, beam and unit, whatever axes and spellings the file has."""

from __future__ import annotations

import logging
import math
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
from skadetect.header_repair import find_beam, repair_header
from skadetect.image_axes import celestial_wcs, find_axes, reference_frequency
from skadetect.pixels import ArrayPixels, AxisOrder, Corner, FitsPixels, PixelSource, read_padded
from skadetect.spectral import SpectralAxis
from skadetect.spectral_header import read_spectral_axis

logger = logging.getLogger(__name__)

Source: TypeAlias = (
    str | os.PathLike[str] | tuple[NDArray[Any], fits.Header] | fits.PrimaryHDU | fits.ImageHDU
)
BeamLike: TypeAlias = Beam | tuple[float, float, float] | float
JY_PER_BEAM = u.Jy / u.beam


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
        Restoring beam on the sky.
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


def open_image(source: Source, *, beam: BeamLike | None = None, hdu: int | str | None = None) -> Image:
    """Open a radio image; its header is read and repaired, its pixels are read later, by windows.

    Parameters
    ----------
    source : path, (array, header) or HDU
        A FITS file (.fits, .fits.gz), an array in FITS order (the last axis is NAXIS1) with its header, or an
        image HDU. Values of an array or HDU are taken as they are: BSCALE and BZERO are not applied to them.
    beam : radio_beam.Beam, (bmaj, bmin, pa) or float, optional
        Restoring beam, FWHM in arcsec and degrees east of north; it overrides the header.
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
    sky_beam, beam_repairs = _sky_beam(beam, mended, wcs, name=name)
    spectral: SpectralAxis | None = None
    spectral_repairs: tuple[str, ...] = ()
    if axes.ndim == 3:
        spectral, spectral_repairs = read_spectral_axis(mended, axes, n=pixels.shape[0], name=name)
    frequency = float(spectral.freq[0]) if spectral is not None else reference_frequency(mended, axes)
    unit, scale, unit_repairs = _conversion(mended, sky_beam, wcs, frequency=frequency, name=name)
    image = Image(
        pixels=replace(pixels, scale=scale),
        ndim=axes.ndim,
        wcs=wcs,
        beam=sky_beam,
        pixel_beam=_pixel_beam(sky_beam, wcs),
        pixel_scale=_pixel_scale(wcs) * 3600,
        unit=unit,
        frequency=frequency,
        name=name,
        header=mended,
        repairs=repairs + axis_repairs + spectral_repairs + beam_repairs + unit_repairs,
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


def _sky_beam(
    given: BeamLike | None, header: fits.Header, wcs: WCS, *, name: str
) -> tuple[Beam, tuple[str, ...]]:
    """The beam asked for, or the header's."""
    if isinstance(given, Beam):
        return given, ()
    repairs: tuple[str, ...] = ()
    if given is not None:
        axes = (given, given, 0.0) if isinstance(given, (int, float)) else tuple(given)
        bmaj, bmin, pa = axes[0] / 3600, axes[1] / 3600, axes[2]
    else:
        found, repairs = find_beam(header, pixel_scale=_pixel_scale(wcs))
        if found is None:
            raise InputError(
                f"{name}: no restoring beam (BMAJ = {header.get('BMAJ', 'absent')}, none in HISTORY): "
                "give beam=(bmaj, bmin, pa) in arcsec and degrees"
            )
        bmaj, bmin, pa = found
    if not (math.isfinite(bmaj) and bmaj >= bmin > 0):
        raise InputError(f"{name}: beam of {bmaj * 3600} x {bmin * 3600} arcsec; expected bmaj >= bmin > 0")
    return Beam(major=bmaj * u.deg, minor=bmin * u.deg, pa=pa * u.deg), repairs


def _conversion(
    header: fits.Header, beam: Beam, wcs: WCS, *, frequency: float | None, name: str
) -> tuple[u.UnitBase, float, tuple[str, ...]]:
    """Unit of the pixels as read, the file's unit in it, and a remark where that is a conversion."""
    text = str(header["BUNIT"]).strip()
    pixel = (_pixel_scale(wcs) * u.deg) ** 2
    if text == "K" or text == "mK":
        if frequency is None:
            return u.K, 1.0 if text == "K" else 1e-3, (f"BUNIT = {text!r} without a frequency: left in K",)
        scale = (1 * u.Unit(text)).to_value(u.Jy, u.brightness_temperature(frequency * u.Hz, beam.sr))
    elif text == "MJy/sr":
        scale = (1 * u.MJy / u.sr * beam.sr).to_value(u.Jy)
    elif text.endswith("Jy/pixel"):
        scale = (1 * u.Unit(text.removesuffix("/pixel")) / pixel * beam.sr).to_value(u.Jy)
    elif text.endswith("Jy/beam"):
        factor, _, unit = text.rpartition(" ")
        scale = float(factor or 1) * (1 * u.Unit(unit.removesuffix("/beam"))).to_value(u.Jy)
    else:
        raise InputError(f"{name}: BUNIT = {text!r}; expected Jy/beam, Jy/pixel, MJy/sr or K")
    repairs = () if text == "Jy/beam" else (f"{text} converted to Jy/beam: times {scale:.6g}",)
    return JY_PER_BEAM, float(scale), repairs


def _pixel_beam(beam: Beam, wcs: WCS) -> PixelBeam:
    """A sky beam on the pixel grid at the reference point, where imagers define it."""
    return PixelBeam.from_sky(
        beam.major.to_value(u.deg),
        beam.minor.to_value(u.deg),
        beam.pa.to_value(u.rad),
        pixel_matrix=wcs.pixel_scale_matrix,
    )


def _pixel_scale(wcs: WCS) -> float:
    """Pixel side, degrees: square root of the pixel's solid angle at the reference point."""
    return math.sqrt(abs(float(np.linalg.det(wcs.pixel_scale_matrix))))
