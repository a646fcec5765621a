"""A picture of one galaxy: column density, velocities, a cut along the major axis and the spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from numpy.typing import NDArray
from scipy import ndimage

from skadetect.astrometry import direction_to_pa, pa_to_theta
from skadetect.image import Image
from skadetect.products.maps import Moments, Spectrum, rest_velocity
from skadetect.products.mask import Mask
from skadetect.products.sources import Source, spectral_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Column density of neutral hydrogen, cm^-2, of 1 Jy Hz an arcsec^2 at redshift 0 (Meyer et al. 2017).
COLUMN_DENSITY = 2.33e20
#: Errors at which the first contour stands; the others are twice the one before.
FIRST_CONTOUR = 3.0
#: Left, bottom, width and height of the panels; fixed, since a layout engine draws everything twice.
PANELS = (
    ((0.07, 0.54, 0.35, 0.38), (0.57, 0.54, 0.35, 0.38)),
    ((0.07, 0.07, 0.35, 0.38), (0.57, 0.07, 0.40, 0.38)),
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Portrait:
    """All that a picture shows: the window's pixels (z, y, x), its mask, maps and spectrum."""

    pixels: NDArray[np.float32]
    mask: Mask
    moments: Moments
    spectrum: Spectrum
    source: Source


def draw_source(path: Path, portrait: Portrait, image: Image) -> None:
    """Draw a galaxy into a PNG file; needs matplotlib.

    Parameters
    ----------
    path : Path
        File to write.
    portrait : Portrait
        The galaxy.
    image : Image
        The cube that it is in.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 9.0), dpi=100)
    FigureCanvasAgg(figure)
    (_, y0, x0), (_, y1, x1) = portrait.source.lo, portrait.source.hi
    sky = image.wcs[y0:y1, x0:x1]
    upper, lower = PANELS
    _draw_total(figure.add_axes(upper[0], projection=sky), portrait, image)
    _draw_velocity(figure.add_axes(upper[1], projection=sky), portrait, image)
    _draw_cut(figure.add_axes(lower[0]), portrait, image)
    _draw_spectrum(figure.add_axes(lower[1]), portrait, image)
    figure.suptitle(_title(portrait.source), fontsize=13, y=0.98)
    figure.savefig(path, format="png", metadata={"Software": "skadetect"})


def receding_direction(source: Source, image: Image) -> float:
    """Direction of the receding side on the image, radians from +x towards +y; the major axis if unknown."""
    pa, (_, y, x) = source.row["kin_pa"], source.centre
    if not math.isfinite(pa):
        return source.theta
    theta = float(pa_to_theta(image.wcs, x, y, pa))
    off = abs(float(direction_to_pa(image.wcs, x, y, theta)) - pa)
    return theta if min(off, 360.0 - off) < 90.0 else theta + math.pi


def cut(pixels: NDArray[np.float32], place: tuple[float, float], direction: float, width: float) -> tuple:
    """Position-velocity cut: the mean over a band of some width, NaN as 0.

    Parameters
    ----------
    pixels : (z, y, x) float32
        A window.
    place : (y, x)
        Through which pixel of the window.
    direction : float
        Towards which offsets are positive, radians from +x towards +y.
    width : float
        Of the band, pixels.

    Returns
    -------
    values : (z, n) float64
    offsets : (n,) float64
        Pixels from `place`.
    """
    (ny, nx), cos, sin = pixels.shape[1:], math.cos(direction), math.sin(direction)
    reach = math.hypot(ny, nx)
    steps = np.arange(-math.ceil(reach), math.ceil(reach) + 1)
    y, x = place[0] + steps * sin, place[1] + steps * cos
    inside = (y >= -0.5) & (y <= ny - 0.5) & (x >= -0.5) & (x <= nx - 0.5)
    steps, y, x = steps[inside], y[inside], x[inside]
    across = np.arange(-(width - 1) / 2, width / 2, 1.0) if width > 1 else np.zeros(1)
    places = np.array([y[:, np.newaxis] + across * cos, x[:, np.newaxis] - across * sin])
    known = np.nan_to_num(pixels)
    values = [ndimage.map_coordinates(plane, places, order=1, mode="nearest").mean(axis=1) for plane in known]
    return np.array(values, np.float64), steps.astype(np.float64)


def _title(source: Source) -> str:
    row = source.row
    parts = [f"{row.get('name', '')} (source {source.number})".strip(), f"{row['freq'] / 1e6:.2f} MHz"]
    parts.append(f"flux {row['f_sum']:.4g} Jy Hz")
    if math.isfinite(row["snr"]):
        parts.append(f"signal to noise {row['snr']:.1f}")
    return "    ".join(parts)


def _draw_total(axes: Axes, portrait: Portrait, image: Image) -> None:
    """Column density, with contours of the moment map's error."""
    source, spectrum, mask = portrait.source, portrait.spectrum, portrait.mask
    beam = float((image.beam.major * image.beam.minor).to_value(u.arcsec**2))
    redshift = spectral_axis(image).rest_freq / source.row["freq"] - 1.0
    column = portrait.moments.total * COLUMN_DENSITY * (1.0 + redshift) ** 4 / beam / 1e20
    top = float(np.nanmax(column, initial=0.0)) or 1.0
    shown = axes.imshow(np.nan_to_num(column), origin="lower", cmap="inferno", vmin=0.0, vmax=top)
    channel = float(np.abs(np.diff(spectrum.freq)).mean()) if len(spectrum.freq) > 1 else 1.0
    depth = mask.voxels.sum(axis=0)
    error = mask.noise * channel * math.sqrt(float(np.median(depth[depth > 0])) if depth.any() else 1.0)
    sure = np.ma.masked_invalid(portrait.moments.total) / error
    levels = FIRST_CONTOUR * 2.0 ** np.arange(12)
    levels = levels[levels < sure.filled(0.0).max()]
    if levels.size:
        axes.contour(sure, levels, colors="white", linewidths=0.6, alpha=0.8)
    _bar(axes, shown, r"$N_\mathrm{HI}$ [$10^{20}$ cm$^{-2}$]")
    _draw_beam(axes, image, "white")
    _sky_labels(axes, image, "column density")


def _draw_velocity(axes: Axes, portrait: Portrait, image: Image) -> None:
    """Velocities relative to the galaxy's own, and the direction of the receding side."""
    source = portrait.source
    velocity = rest_velocity(portrait.moments.velocity, source, image, portrait.moments.convention)
    known = np.abs(velocity[np.isfinite(velocity)])
    span = max(float(np.percentile(known, 98)) if known.size else 0.0, 1.0)
    axes.set_facecolor("0.92")
    shown = axes.imshow(velocity, origin="lower", cmap="RdBu_r", vmin=-span, vmax=span)
    levels = np.linspace(-0.8 * span, 0.8 * span, 9)
    if known.size > 4:
        axes.contour(np.ma.masked_invalid(velocity), levels, colors="black", linewidths=0.5, alpha=0.6)
    y, x = source.centre[1] - source.lo[1], source.centre[2] - source.lo[2]
    turn = receding_direction(source, image)
    dy, dx = source.major / 2 * math.sin(turn), source.major / 2 * math.cos(turn)
    axes.plot([x - dx, x], [y - dy, y], "--", color="black", lw=1)
    axes.annotate("", (x + dx, y + dy), (x, y), arrowprops={"arrowstyle": "->", "color": "black"})
    _bar(axes, shown, "velocity from that of the galaxy [km/s]")
    _draw_beam(axes, image, "black")
    _sky_labels(axes, image, "velocity; the arrow points to the receding side")


def _draw_cut(axes: Axes, portrait: Portrait, image: Image) -> None:
    """Position and velocity along the direction of the receding side."""
    source, noise = portrait.source, portrait.mask.noise
    place = (source.centre[1] - source.lo[1], source.centre[2] - source.lo[2])
    direction = receding_direction(source, image)
    width = max(1.0, image.pixel_beam.fwhm)
    values, offsets = cut(portrait.pixels, place, direction, width)
    inside, _ = cut(portrait.mask.voxels.astype(np.float32), place, direction, width)
    velocity = rest_velocity(portrait.spectrum.velocity, source, image, portrait.moments.convention)
    scale, unit = (60.0, "arcmin") if offsets.max() * image.pixel_scale > 240.0 else (1.0, "arcsec")
    x = offsets * image.pixel_scale / scale
    top = max(float(np.percentile(values, 99.7)) / noise, 5.0)
    shown = axes.pcolormesh(x, velocity, values / noise, cmap="Greys", vmin=-2.0, vmax=top, shading="nearest")
    if inside.max() > 0.5 > inside.min():
        axes.contour(x, velocity, inside, [0.5], colors="tab:red", linewidths=0.9)
    axes.axhline(0.0, color="0.5", lw=0.6)
    axes.axvline(0.0, color="0.5", lw=0.6)
    axes.set_xlabel(f"offset towards the receding side [{unit}]")
    axes.set_ylabel("velocity from that of the galaxy [km/s]")
    axes.set_title("cut along the major axis; red: the galaxy's voxels", fontsize=10)
    _bar(axes, shown, "noise levels")


def _draw_spectrum(axes: Axes, portrait: Portrait, image: Image) -> None:
    """Flux density over velocity, with the width of the catalogue."""
    source, spectrum = portrait.source, portrait.spectrum
    velocity = rest_velocity(spectrum.velocity, source, image, portrait.moments.convention)
    top = float(np.nanmax(spectrum.flux, initial=0.0))
    unit, scale = ("mJy", 1e3) if top < 0.5 else ("Jy", 1.0)
    flux, error = spectrum.flux * scale, spectrum.error * scale
    axes.step(
        velocity,
        spectrum.aperture_flux * scale,
        where="mid",
        color="0.75",
        lw=1,
        label="all pixels of the map",
    )
    axes.fill_between(velocity, flux - error, flux + error, step="mid", color="tab:blue", alpha=0.25, lw=0)
    axes.step(velocity, flux, where="mid", color="tab:blue", lw=1.4, label="the galaxy's voxels")
    axes.axhline(0.0, color="0.5", lw=0.6)
    axes.axvline(0.0, color="0.5", lw=0.6)
    w20 = source.row["w20"]
    if math.isfinite(w20) and top > 0:
        style = {"arrowstyle": "<->", "color": "tab:red", "shrinkA": 0, "shrinkB": 0}
        height = 0.2 * top * scale
        axes.annotate("", (w20 / 2, height), (-w20 / 2, height), arrowprops=style)
        axes.annotate(
            f"w20 = {w20:.0f} km/s", (0.0, height), (0, 4), textcoords="offset points",
            color="tab:red", ha="center",
        )  # fmt: skip
    axes.set_xlabel("velocity from that of the galaxy [km/s]")
    axes.set_ylabel(f"flux density [{unit}]")
    axes.set_xlim(velocity.min(), velocity.max())
    axes.legend(fontsize=8, frameon=False)
    axes.set_title("spectrum", fontsize=10)


def _draw_beam(axes: Axes, image: Image, colour: str) -> None:
    from matplotlib.patches import Ellipse

    beam, place = image.pixel_beam, 0.8 * image.pixel_beam.bmaj
    turn = math.degrees(beam.theta)
    axes.add_patch(
        Ellipse((place, place), beam.bmaj, beam.bmin, angle=turn, facecolor="none", edgecolor=colour, lw=1.2)
    )


def _sky_labels(axes: Any, image: Image, title: str) -> None:
    galactic = str(image.wcs.wcs.ctype[0]).startswith("GLON")
    names = ("galactic longitude", "galactic latitude") if galactic else ("right ascension", "declination")
    for coordinate, name in zip(axes.coords, names, strict=True):
        coordinate.set_axislabel(name)
        coordinate.set_ticks(number=4)
        coordinate.set_ticklabel(exclude_overlapping=True, size=8)
    axes.set_title(title, fontsize=10)


def _bar(axes: Axes, shown: Any, label: str) -> None:
    axes.figure.colorbar(shown, cax=axes.inset_axes((1.02, 0.0, 0.04, 1.0)), label=label)
