"""Training fields of cubes: slabs of channels as signal to noise, with the galaxies of an SDC2 catalogue."""

from __future__ import annotations

import math
import os

import numpy as np

from skadetect.astrometry import sky_to_pixel
from skadetect.background import BackgroundOptions, estimate_background
from skadetect.beams import convolve, inclined_axis
from skadetect.catalog.cube_uncertainty import cube_errors
from skadetect.catalog.sdc2 import read_sdc2
from skadetect.errors import InputError
from skadetect.image import Image, open_image
from skadetect.normalize import Normalization
from skadetect.resample import match_sampling
from skadetect.spectral import LIGHT_KMS
from skadetect.train.fields import Field
from skadetect.train.sources import Sources

#: Samples of a cell of a channel's background; there are many channels, which steady each other.
SAMPLES = 2048
#: Thickness of a disc over its diameter, seen edge-on.
THICKNESS = 0.2


def load_cube_fields(
    image: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    *,
    channels: int,
    normalization: Normalization,
    min_snr: float = 1.0,
) -> list[Field]:
    """Read a cube into memory, as fields of so many channels each.

    Parameters
    ----------
    image : path
        FITS cube.
    truth : path
        Galaxies in the text format of SDC2.
    channels : int
        Depth of a field; what is left at the end of the cube is covered by one that overlaps its neighbour.
    normalization : Normalization
        Gives the ranges of beam and channels, and the signal to noise.
    min_snr : float
        Galaxies with a lower signal to noise of the whole line are left out.

    Raises
    ------
    InputError
        If a file cannot be read, or the cube has fewer channels.
    """
    seen = match_sampling(open_image(image), normalization.fwhm_range, normalization.channel_range)
    depth, height, width = seen.shape
    if seen.ndim == 2 or depth < channels:
        raise InputError(f"{seen.name} has {depth} channels to the network, expected {channels} or more")
    background = estimate_background(seen, BackgroundOptions(samples=SAMPLES))
    sources = _place(truth, seen)
    sources = _bright(sources, seen, background.rms.mean(axis=(1, 2)), min_snr)
    fields = []
    for start in sorted({*range(0, depth - channels + 1, channels), depth - channels}):
        window = (start, 0, 0), (start + channels, height, width)
        snr = background.snr(seen.read(*window), window[0])
        inside = (sources.position[:, 0] >= start - 0.5) & (sources.position[:, 0] < start + channels - 0.5)
        here = sources.take(np.flatnonzero(inside))
        here = here.with_(position=here.position - np.array([start, 0.0, 0.0]))
        fields.append(Field(f"{image}[{start}:{start + channels}]", snr, seen.pixel_beam, here))
    return fields


def _place(truth: str | os.PathLike[str], cube: Image) -> Sources:
    """Galaxies in the cube's voxels; fluxes in Jy/beam times beams times channels."""
    table, axis = read_sdc2(truth, strict=False), cube.spectral
    assert axis is not None
    column = {name: table[name].to_numpy(np.float64) for name in table.columns}
    x, y = sky_to_pixel(cube.wcs, column["ra"], column["dec"])
    z = axis.channel(column["central_freq"])
    # a short step towards the receding side, wherever north is on this image
    step, angle = cube.pixel_scale / 3600.0, np.radians(column["pa"])
    east = step * np.sin(angle) / np.cos(np.radians(column["dec"]))
    x_far, y_far = sky_to_pixel(cube.wcs, column["ra"] + east, column["dec"] + step * np.cos(angle))
    theta = np.arctan2(y_far - y, x_far - x) + (0.0 if axis.ascending else math.pi)
    size, incl, width = column["hi_size"] / cube.pixel_scale, np.radians(column["i"]), axis.width(z)
    return Sources(
        position=np.stack([z, y, x], axis=1),
        flux=column["line_flux_integral"] / width,
        bmaj=size,
        bmin=inclined_axis(size, incl, thickness=THICKNESS),
        theta=theta,
        peak_snr=np.zeros(len(z)),
        w20=column["w20"] * column["central_freq"] / (LIGHT_KMS * width),
        w50=np.full(len(z), np.nan),
        incl=incl,
    )


def _bright(sources: Sources, cube: Image, rms: np.ndarray, min_snr: float) -> Sources:
    """Those inside the cube that can be seen, fluxes over the noise of their channel."""
    inside = np.isfinite(sources.position).all(axis=1)
    inside &= (np.nan_to_num(sources.position) > -0.5).all(axis=1)
    inside &= (np.nan_to_num(sources.position) < np.array(cube.shape) - 0.5).all(axis=1)
    kept = sources.take(np.flatnonzero(inside))
    noise = rms[np.clip(np.rint(kept.position[:, 0]).astype(int), 0, len(rms) - 1)]
    kept = kept.with_(flux=kept.flux / noise)
    values = {"line_flux": kept.flux, "hi_size": kept.bmaj, "incl": kept.incl}
    values |= {"w20": kept.w20, "w50": kept.w20}
    ellipse = convolve(kept.bmaj, kept.bmin, kept.theta, cube.pixel_beam)
    snr = cube_errors(values, ellipse, beam=cube.pixel_beam).snr
    return kept.with_(peak_snr=snr).take(np.flatnonzero(snr > min_snr))
