"""Find the pixels of an image in a FITS file: which HDU, at which offset, of which number type."""

from __future__ import annotations

import gzip
import math
import os
import shutil
import tempfile
import warnings
import zlib
from pathlib import Path
from typing import TypeAlias

import numpy as np
from astropy.io import fits

from skadetect.errors import InputError
from skadetect.pixels import AxisOrder, FitsPixels, TemporaryFile

DTYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
GZIP_MAGIC = b"\x1f\x8b"
CHUNK_BYTES = 1 << 22

ImageHDU: TypeAlias = fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU


def open_fits(path: Path, *, hdu: int | str | None = None) -> tuple[fits.Header, FitsPixels]:
    """Header and pixel source of an image in a FITS file.

    A gzip file is expanded, and a tile-compressed image decompressed, to a temporary file, which goes with
    the last reference to the source. Axes are as the file has them; the last two are taken as (y, x).

    Parameters
    ----------
    path : Path
        The file.
    hdu : int or str, optional
        Index or EXTNAME; the first HDU with an image of two or more axes by default.

    Returns
    -------
    header : astropy.io.fits.Header
    pixels : FitsPixels

    Raises
    ------
    InputError
        If the file is absent, truncated, not FITS, or has no such image.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd headers are the repair layer's business
        try:
            return _open(path, hdu=hdu)
        except (OSError, EOFError, zlib.error, fits.VerifyError, TypeError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()
            raise InputError(
                f"{path.name}: not a readable FITS file: {reason[0] if reason else type(error).__name__}"
            ) from error


def _open(path: Path, *, hdu: int | str | None) -> tuple[fits.Header, FitsPixels]:
    """Header and source of a plain, gzipped or tile-compressed image."""
    temporary, name = None, path.name
    with path.open("rb") as stream:
        zipped = stream.read(2) == GZIP_MAGIC
    if zipped:
        temporary = _expanded(path)
        path = temporary.path
    with fits.open(path, memmap=True, do_not_scale_image_data=True) as hdus:
        image = _choose(hdus, hdu, name=name)
        header = image.header.copy()
        if isinstance(image, fits.CompImageHDU):
            temporary = _decompressed(image)
            path, offset = temporary.path, 0
        else:
            offset = int(image.fileinfo()["datLoc"])
    return header, _located(header, path, offset, temporary=temporary, name=name)


def _choose(hdus: fits.HDUList, hdu: int | str | None, *, name: str) -> ImageHDU:
    """The HDU asked for, or the first with an image."""
    if hdu is not None:
        try:
            chosen = hdus[hdu]
        except (IndexError, KeyError) as error:
            raise InputError(f"{name}: no HDU {hdu!r}; it has {len(hdus)}") from error
        candidates = [chosen]
    else:
        candidates = list(hdus)
    for candidate in candidates:
        if isinstance(candidate, ImageHDU) and int(candidate.header.get("NAXIS", 0)) >= 2:
            return candidate
    raise InputError(f"{name}: no image of two or more axes" + ("" if hdu is None else f" in HDU {hdu!r}"))


def _located(
    header: fits.Header, path: Path, offset: int, *, temporary: TemporaryFile | None, name: str
) -> FitsPixels:
    """Source of the pixels that start at an offset; they must all be there."""
    dtype = DTYPES[int(header["BITPIX"])]
    shape = tuple(int(header[f"NAXIS{i}"]) for i in range(int(header["NAXIS"]), 0, -1))
    if 0 in shape:
        raise InputError(f"{name}: image of shape {shape} has no pixels")
    needed = offset + np.dtype(dtype).itemsize * math.prod(shape)
    size = path.stat().st_size
    if size < needed:
        raise InputError(f"{name}: truncated: it has {size} bytes and its header needs {needed}")
    integer = dtype[1] in "iu"
    return FitsPixels(
        path=path,
        offset=offset,
        dtype=dtype,
        array_shape=shape,
        order=AxisOrder((None, len(shape) - 2, len(shape) - 1)),
        bscale=float(header.get("BSCALE", 1.0)),
        bzero=float(header.get("BZERO", 0.0)),
        blank=int(header["BLANK"]) if integer and "BLANK" in header else None,
        temporary=temporary,
    )


def _expanded(path: Path) -> TemporaryFile:
    """A gzip file expanded by chunks to a temporary file."""
    temporary = _new_temporary()
    with gzip.open(path, "rb") as packed, temporary.path.open("wb") as plain:
        shutil.copyfileobj(packed, plain, CHUNK_BYTES)
    return temporary


def _decompressed(image: fits.CompImageHDU) -> TemporaryFile:
    """The stored numbers of a tile-compressed image, by slabs, in a temporary file."""
    temporary = _new_temporary()
    dtype, shape = DTYPES[int(image.header["BITPIX"])], image.shape
    row_bytes = shape[-1] * np.dtype(dtype).itemsize
    rows = max(1, CHUNK_BYTES // row_bytes)
    with temporary.path.open("wb") as plain:
        for plane in np.ndindex(*shape[:-2]):
            for start in range(0, shape[-2], rows):
                section = image.section[(*plane, slice(start, start + rows), slice(None))]
                plain.write(np.asarray(section).astype(dtype).tobytes())
    return temporary


def _new_temporary() -> TemporaryFile:
    """An empty file that is removed with its last reference."""
    handle, path = tempfile.mkstemp(prefix="skadetect-", suffix=".fits")
    os.close(handle)
    return TemporaryFile(Path(path))
