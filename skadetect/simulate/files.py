"""Write a simulated field: FITS images with SDC1's kind of header, and the truth catalogue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from skadetect.atomic import atomic_path
from skadetect.errors import OutputError
from skadetect.simulate.bands import PRIMARY_BEAM_FWHM, PRIMARY_BEAM_PIXEL
from skadetect.simulate.observe import primary_beam
from skadetect.simulate.options import Instrument
from skadetect.simulate.sources import Sources

_POINTING = (0.0, -30.0)  # right ascension, declination, degrees


def field_header(instrument: Instrument, size: int) -> fits.Header:
    """Header of the image: four axes, SIN projection about the pointing centre, the beam.

    Parameters
    ----------
    instrument : Instrument
        Pixel scale, beam, frequency and offset of the field.
    size : int
        Side of the image, pixels.

    Returns
    -------
    astropy.io.fits.Header
        Without SIMPLE, BITPIX and NAXIS.
    """
    step = instrument.pixel_scale / 3600
    east, north = instrument.offset
    reference = (size + 1) / 2 + east / step, (size + 1) / 2 - north / step
    header = _header(instrument, step, reference, "JY/BEAM")
    header["BMAJ"] = (instrument.beam_major / 3600, "deg")
    header["BMIN"] = (instrument.beam_minor / 3600, "deg")
    header["BPA"] = (instrument.beam_pa, "deg, north through east")
    return header


def primary_beam_image(
    instrument: Instrument, size: int, attenuates: bool
) -> tuple[NDArray[np.float32], fits.Header]:
    """Coarse image of the primary beam that covers the field.

    Parameters
    ----------
    instrument : Instrument
        Width of the primary beam, pixel scale and offset of the field.
    size : int
        Side of the field, pixels.
    attenuates : bool
        False for a field that the primary beam does not touch: all ones.

    Returns
    -------
    ndarray, shape (y, x)
        1 at the pointing centre.
    astropy.io.fits.Header
        Its header.
    """
    step = PRIMARY_BEAM_PIXEL / PRIMARY_BEAM_FWHM[0] * min(instrument.primary_beam_fwhm)
    reach = max(abs(offset) for offset in instrument.offset) + 0.5 * size * instrument.pixel_scale / 3600
    half = int(np.ceil(reach / step)) + 2
    axis = step * np.arange(-half, half + 1, dtype=np.float64)
    beam = primary_beam(-axis, axis, instrument.primary_beam_fwhm)
    return beam if attenuates else np.ones_like(beam), _header(instrument, step, (half + 1, half + 1), "")


def write_image(path: Path, image: NDArray[np.float32], header: fits.Header) -> None:
    """Write a plane as a four-axis FITS image, atomically.

    Parameters
    ----------
    path : Path
        Where; its folder is created.
    image : ndarray, shape (y, x)
        In the header's unit.
    header : astropy.io.fits.Header
        What astropy does not set by itself.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    hdu = fits.PrimaryHDU(image[None, None], header)
    _replace(path, lambda temporary: hdu.writeto(temporary, overwrite=True))


def write_truth(path: Path, sources: Sources, header: fits.Header) -> None:
    """Write the 12 SDC1 columns as whitespace-separated text without header, atomically.

    Parameters
    ----------
    path : Path
        Where; its folder is created.
    sources : Sources
        Positions in pixels of the header's image.
    header : astropy.io.fits.Header
        The image's.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    wcs = WCS(header, naxis=2)
    core = wcs.all_pix2world(sources.core_x, sources.core_y, 0)
    centre = wcs.all_pix2world(sources.x, sources.y, 0)
    # The challenge writes right ascensions west of 0 as negative numbers.
    positions = [(a + 180) % 360 - 180 if i % 2 == 0 else a for i, a in enumerate((*core, *centre))]
    columns = [
        np.arange(1, len(sources) + 1), *positions, sources.flux, sources.core_fraction,
        sources.major, sources.minor, sources.pa, sources.size_type, sources.kind,
    ]  # fmt: skip
    line = "%d %.8f %.8f %.8f %.8f %.6g %.6g %.4f %.4f %.3f %d %d"
    text = "\n".join(line % row for row in zip(*(column.tolist() for column in columns), strict=True))
    _replace(path, lambda temporary: temporary.write_text(text + "\n" if text else ""))


def _header(instrument: Instrument, step: float, reference: tuple[float, float], unit: str) -> fits.Header:
    header = fits.Header()
    if unit:
        header["BUNIT"] = unit
    axes = (
        ("RA---SIN", reference[0], -step, _POINTING[0], "deg"),
        ("DEC--SIN", reference[1], step, _POINTING[1], "deg"),
        ("FREQ", 1.0, instrument.bandwidth, instrument.frequency, "Hz"),
        ("STOKES", 1.0, 1.0, 1.0, ""),
    )
    for i, (kind, pixel, increment, value, axis_unit) in enumerate(axes, start=1):
        header[f"CTYPE{i}"] = kind
        header[f"CRPIX{i}"] = float(pixel)
        header[f"CDELT{i}"] = increment
        header[f"CRVAL{i}"] = value
        if axis_unit:
            header[f"CUNIT{i}"] = axis_unit
    header["RADESYS"] = "FK5"
    header["EQUINOX"] = 2000.0
    header["ORIGIN"] = "skadetect simulation"
    return header


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write to a temporary name and rename, so that no half-written file is ever seen."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error}); expected a writable folder") from error
    with atomic_path(path, overwrite=True) as temporary:
        write(temporary)
