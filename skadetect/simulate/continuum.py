"""Simulate a continuum field: sky, telescope, artefacts, and the files."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from skadetect.simulate import artefacts, bands
from skadetect.simulate.files import field_header, primary_beam_image, write_image, write_truth
from skadetect.simulate.observe import beam_covariance, draw_noise, observe, primary_beam
from skadetect.simulate.options import ContinuumOptions, Instrument
from skadetect.simulate.shapes import to_gaussians
from skadetect.simulate.sources import Sources, draw_sources
from skadetect.simulate.stamps import add_gaussians

Image = NDArray[np.float32]

logger = logging.getLogger(__name__)

# Below this primary beam a corrected image is blank.
_PRIMARY_BEAM_LIMIT = 0.2
# Sources brighter than this many times the noise get sidelobes, the brightest ones first.
_SIDELOBE_SNR, _SIDELOBE_COUNT = 100.0, 300


@dataclass(frozen=True)
class Field:
    """A simulated field.

    Parameters
    ----------
    image : ndarray, shape (y, x)
        Jy/beam, blank pixels NaN.
    truth : Sources
        The sources whose centroid lies on a pixel with data; positions are pixels of `image`.
    instrument : Instrument
        The telescope.
    """

    image: Image
    truth: Sources
    instrument: Instrument


def simulate_continuum(
    out_dir: str | os.PathLike[str],
    *,
    options: ContinuumOptions | None = None,
    sky: Sources | None = None,
) -> Path:
    """Simulate a field and write image.fits, primary_beam.fits and truth.txt.

    Parameters
    ----------
    out_dir : path
        Created where absent; files of these names in it are replaced.
    options : ContinuumOptions, optional
        What to simulate; the default is SDC1's 560 MHz map after 1000 hours.
    sky : Sources, optional
        What is there, instead of a sky that is drawn; see `draw_field`.

    Returns
    -------
    Path
        The folder. The truth has SDC1's 12 columns, whitespace between, no header; fluxes (Jy) are not
        attenuated by the primary beam, the image (Jy/beam) is.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    options = options or ContinuumOptions()
    field = draw_field(options, sky=sky)
    header = field_header(field.instrument, options.size)
    folder = Path(out_dir)
    write_image(folder / "image.fits", field.image, header)
    attenuates = options.primary_beam and not options.primary_beam_corrected
    write_image(folder / "primary_beam.fits", *primary_beam_image(field.instrument, options.size, attenuates))
    write_truth(folder / "truth.txt", field.truth, header)
    logger.info("%s: %d sources in %d x %d pixels", folder, len(field.truth), options.size, options.size)
    return folder


def draw_field(options: ContinuumOptions, *, sky: Sources | None = None) -> Field:
    """Simulate a field in memory.

    Parameters
    ----------
    options : ContinuumOptions
        What to simulate.
    sky : Sources, optional
        Sources in pixels of the field, with their fluxes in its band, instead of drawn ones.

    Returns
    -------
    Field
        Image and truth.
    """
    instrument = Instrument.from_options(options)
    rngs = [np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(4)]
    pad = _padding(options.size, instrument)
    given = None if sky is None else _moved(sky, pad)
    sources, drawn = _draw_sky(options, instrument, pad, rngs[:2], given)
    logger.info("drew %d sources", len(sources))
    attenuation = _attenuation(options, instrument, pad)
    drawn *= attenuation
    image = observe(drawn, instrument, response_loss=options.response_loss, zero_spacing=options.zero_spacing)
    del drawn
    _add_sidelobes(image, sources, attenuation, instrument=instrument, options=options, rng=rngs[3])
    image += _draw_noise(image.shape, options, instrument, rngs[2])
    if options.primary_beam_corrected:
        image /= np.where(attenuation > _PRIMARY_BEAM_LIMIT, attenuation, np.float32(np.nan))
    inside = slice(pad, pad + options.size)
    return _crop(np.ascontiguousarray(image[inside, inside]), sources, pad, options, instrument)


def _padding(size: int, instrument: Instrument) -> int:
    """Pixels to draw around the field, so that the Fourier transform wraps nothing into it."""
    margin = max(32, int(np.ceil(6 * instrument.beam_major / instrument.pixel_scale)))
    total = fft.next_fast_len(size + 2 * margin, real=True)
    return margin + (total - size - 2 * margin) // 2


def _draw_sky(
    options: ContinuumOptions,
    instrument: Instrument,
    pad: int,
    rngs: list[np.random.Generator],
    given: Sources | None,
) -> tuple[Sources, Image]:
    side = fft.next_fast_len(options.size + 2 * pad, real=True)
    shape, scale = (side, side), instrument.pixel_scale
    sources = given if given is not None else draw_sources(shape, scale, options=options, rng=rngs[0])
    sky = np.zeros(shape, np.float32)
    beam = beam_covariance(instrument, factor=bands.DRAWING_BEAM)
    floor = instrument.noise_rms if instrument.noise_rms > 0 else 0.01 * instrument.clip
    add_gaussians(sky, to_gaussians(sources, scale, rng=rngs[1]), beam=beam, floor=floor)
    if options.diffuse_count > 0:
        expected = options.diffuse_count * (side / options.size) ** 2
        clouds, clumps = artefacts.draw_clouds(shape, expected, instrument, rngs[1])
        add_gaussians(sky, clumps, beam=beam, floor=floor)
        if options.diffuse_labelled:
            sources = Sources.concatenate([sources, clouds])
    return sources, sky


def _attenuation(options: ContinuumOptions, instrument: Instrument, pad: int) -> Image:
    side = fft.next_fast_len(options.size + 2 * pad, real=True)
    if not options.primary_beam:
        return np.ones((side, side), np.float32)
    step = (np.arange(side) - pad - (options.size - 1) / 2) * instrument.pixel_scale / 3600
    east, north = instrument.offset
    return primary_beam(east - step, north + step, instrument.primary_beam_fwhm)


def _draw_noise(
    shape: tuple[int, ...], options: ContinuumOptions, instrument: Instrument, rng: np.random.Generator
) -> Image:
    grid = (shape[0], shape[1])
    noise = draw_noise(grid, instrument, spectrum=options.noise_spectrum, rng=rng)
    if options.noise_gradient > 0:
        noise *= artefacts.noise_profile(grid, options.noise_gradient, rng)
    if options.stripe_level > 0:
        beam = instrument.beam_major / instrument.pixel_scale
        noise += np.float32(options.stripe_level * instrument.noise_rms) * artefacts.stripes(grid, beam, rng)
    return noise


def _add_sidelobes(
    image: Image,
    sources: Sources,
    attenuation: Image,
    *,
    instrument: Instrument,
    options: ContinuumOptions,
    rng: np.random.Generator,
) -> None:
    """Add the sidelobes of the brightest sources."""
    if options.sidelobe_level == 0 and options.spoke_level == 0:
        return
    column, row = np.rint(sources.core_x).astype(int), np.rint(sources.core_y).astype(int)
    last = image.shape[0] - 1
    flux = sources.flux * attenuation[np.clip(row, 0, last), np.clip(column, 0, last)]
    peak = flux / (1 + sources.major * sources.minor / (instrument.beam_major * instrument.beam_minor))
    order = np.argsort(-peak, kind="stable")[:_SIDELOBE_COUNT]
    order = order[peak[order] > _SIDELOBE_SNR * instrument.noise_rms]
    peaks = np.stack([sources.core_x, sources.core_y, peak], axis=1)[order]
    beam = instrument.beam_major / instrument.pixel_scale
    levels = options.sidelobe_level, options.spoke_level
    artefacts.add_sidelobes(image, peaks, beam_pixels=beam, levels=levels, rng=rng)


def _crop(
    image: Image, sources: Sources, pad: int, options: ContinuumOptions, instrument: Instrument
) -> Field:
    """Blank what has no data and keep the sources on pixels that have."""
    image[artefacts.blank_mask(options.size, border=options.nan_border, circle=options.nan_circle)] = np.nan
    moved = _moved(sources, -pad)
    column, row = np.rint(moved.x).astype(int), np.rint(moved.y).astype(int)
    inside = (column >= 0) & (column < options.size) & (row >= 0) & (row < options.size)
    moved, column, row = moved.take(inside), column[inside], row[inside]
    return Field(image, moved.take(np.isfinite(image[row, column])), instrument)


def _moved(sources: Sources, pixels: float) -> Sources:
    """The same sources at positions that count from another pixel on."""
    names = ("x", "y", "core_x", "core_y")
    return replace(sources, **{name: getattr(sources, name) + pixels for name in names})
