"""A picture of a whole cube with its galaxies: where they are on the sky, and along the spectral axis."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skadetect.atomic import atomic_path
from skadetect.catalog.catalog import Catalog
from skadetect.errors import InputError, OutputError
from skadetect.image import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SLAB_VOXELS = 1 << 22
_NOISE_SAMPLE = 20_000
_MOST_NUMBERS = 60
_MOST_ELLIPSES = 5_000
_SIDE = 900

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Projections:
    """Highest signal to noise of a cube, in blocks.

    Attributes
    ----------
    face : (rows, columns) float32
        Over all channels; NaN where all is blank.
    side : (channels, columns) float32
        Over all rows.
    factor : int
        Side of a block in pixels.
    factor_z : int
        Channels of a block.
    """

    face: Floats
    side: Floats
    factor: int
    factor_z: int


def plot_cube(
    image: Image, catalog: Catalog, path: str | os.PathLike[str], *, overwrite: bool = True
) -> None:
    """Draw the highest signal to noise of a cube along z and along y, with an ellipse and id for each galaxy.

    Parameters
    ----------
    image : Image
        A cube, as it is in the file; it is read once, a few channels at a time.
    catalog : Catalog
        Its galaxies.
    path : path
        PNG file to write.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    InputError
        If the image is no cube.
    OutputError
        Matplotlib is not installed, or the file cannot be written.
    """
    if image.spectral is None:
        raise InputError(f"{image.name} has no spectral axis; expected a cube")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError("plots need matplotlib; install skadetect[plot]") from error
    views = project(image, side=_SIDE)
    figure = Figure(figsize=(10.0, 13.0), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 1, height_ratios=(1.6, 1.0))
    face = figure.add_subplot(grid[0], projection=image.wcs)
    side = figure.add_subplot(grid[1])
    _draw_face(face, views, image, catalog)
    _draw_side(side, views, image, catalog)
    count = "1 galaxy" if len(catalog) == 1 else f"{len(catalog)} galaxies"
    figure.suptitle(f"{image.name}: {count}")
    with atomic_path(Path(path), overwrite=overwrite) as temporary:
        figure.savefig(temporary, format="png")


def project(image: Image, *, side: int) -> Projections:
    """Highest signal to noise along z and along y, in blocks so that each axis has `side` of them at most.

    Parameters
    ----------
    image : Image
        A cube.
    side : int
        Blocks along an axis.
    """
    depth, height, width = image.shape
    factor, factor_z = max(1, -(-max(height, width) // side)), max(1, -(-depth // side))
    face = np.full((-(-height // factor), -(-width // factor)), -np.inf, np.float32)
    flank = np.full((-(-depth // factor_z), -(-width // factor)), -np.inf, np.float32)
    rows = factor * max(1, min(-(-height // factor), _SLAB_VOXELS // width // factor))
    planes = max(1, _SLAB_VOXELS // (height * width))
    for z in range(0, depth, planes):
        last = min(z + planes, depth)
        for y in range(0, height, rows):
            pixels = image.read((z, y, 0), (last, min(y + rows, height), width))
            noise = _noise(pixels)
            np.nan_to_num(pixels, copy=False, nan=-np.inf)
            pixels /= noise[:, np.newaxis, np.newaxis]
            here = _highest(_highest(pixels.max(axis=0), factor, 0), factor, 1)
            part = face[y // factor : y // factor + len(here)]
            np.maximum(part, here, out=part)
            line = _highest(pixels.max(axis=1), factor, 1)
            np.maximum.at(flank, np.arange(z, last) // factor_z, line)
    for view in (face, flank):
        view[np.isneginf(view)] = np.nan
    return Projections(face, flank, factor, factor_z)


def _noise(pixels: Floats) -> Floats:
    """Of each channel, by the median of what is below zero; of a sample, and 1 where there is none."""
    step = max(1, pixels[0].size // _NOISE_SAMPLE)
    samples = pixels.reshape(len(pixels), -1)[:, ::step]
    levels = [np.median(-plane[plane < 0]) if (plane < 0).any() else 0.0 for plane in samples]
    return np.array([1.4826 * level if level > 0 else 1.0 for level in levels], np.float32)


def _highest(values: Floats, factor: int, axis: int) -> Floats:
    """Maximum of blocks along an axis, the last one of what is left."""
    return np.maximum.reduceat(values, np.arange(0, values.shape[axis], factor), axis=axis)


def _draw_face(axes: Any, views: Projections, image: Image, catalog: Catalog) -> None:
    """The sky, with an ellipse around each galaxy coloured by its channel."""
    from matplotlib.collections import EllipseCollection

    height, width = image.shape[1:]
    rows, columns = views.face.shape
    extent = (-0.5, columns * views.factor - 0.5, -0.5, rows * views.factor - 0.5)
    _show(axes, views.face, extent)
    places = _places(catalog, image)
    if len(places):
        style: dict[str, Any] = {"units": "xy", "facecolors": "none", "cmap": "turbo", "linewidths": 1.1}
        least = 6.0 * views.factor
        axes.add_collection(
            EllipseCollection(
                np.maximum(places[:, 3], least),
                np.maximum(places[:, 4], least),
                np.degrees(places[:, 5]),
                offsets=places[:, [2, 1]],
                offset_transform=axes.transData,
                array=_shade(places, image),
                clim=(0.0, 1.0),
                **style,
            ),
            autolim=False,
        )
    for number, place in _numbers(catalog, places):
        axes.annotate(number, (place[2], place[1]), (4, 4), **_text_style())
    _draw_beam(axes, image)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(-0.5, height - 0.5)
    axes.set_xlabel("right ascension" if str(image.wcs.wcs.ctype[0]).startswith("RA") else "longitude")
    axes.set_ylabel("declination" if str(image.wcs.wcs.ctype[1]).startswith("DEC") else "latitude")
    axes.set_title("highest signal to noise of all channels; colour: channel of the galaxy", fontsize=9)


def _draw_side(axes: Axes, views: Projections, image: Image, catalog: Catalog) -> None:
    """Channels over x, with a line as long as the width of each galaxy's line."""
    from matplotlib.collections import LineCollection

    depth, width = image.shape[0], image.shape[2]
    blocks, columns = views.side.shape
    extent = (-0.5, columns * views.factor - 0.5, -0.5, blocks * views.factor_z - 0.5)
    _show(axes, views.side, extent)
    places = _places(catalog, image)
    if len(places):
        x = places[:, 2]
        corners = [[x, places[:, 6]], [x, places[:, 7]]]
        lines = LineCollection(list(np.array(corners).transpose(2, 0, 1)), cmap="turbo", linewidths=1.6)
        lines.set_array(_shade(places, image))
        lines.set_clim(0.0, 1.0)
        axes.add_collection(lines, autolim=False)
    for number, place in _numbers(catalog, places):
        axes.annotate(number, (place[2], place[0]), (4, 0), **_text_style())
    axes.set_aspect("auto")
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(-0.5, depth - 0.5)
    axes.set_xlabel("x [pixels]")
    axes.set_ylabel("channel")
    axis = image.spectral
    assert axis is not None
    to_mhz, to_z = (lambda z: axis.frequency(z) / 1e6), (lambda mhz: axis.channel(np.asarray(mhz) * 1e6))
    axes.secondary_yaxis("right", functions=(to_mhz, to_z)).set_ylabel("frequency [MHz]")


def _show(axes: Axes, values: Floats, extent: tuple[float, float, float, float]) -> None:
    """Signal to noise in grey: up to the median, which is noise, white, the scale logarithmic well above."""
    from matplotlib.colors import AsinhNorm

    known = values[np.isfinite(values)]
    middle = float(np.median(known)) if known.size else 0.0
    top = max(float(np.percentile(known, 99.8)) if known.size else 0.0, middle + 5.0)
    shown = axes.imshow(
        values - middle,
        norm=AsinhNorm(3.0, vmin=0.0, vmax=top - middle),
        origin="lower",
        extent=extent,
        interpolation="nearest",
        cmap="gray_r",
        aspect="equal" if hasattr(axes, "coords") else "auto",
    )
    axes.set_facecolor("0.85")
    bar = axes.figure.colorbar(
        shown, ax=axes, fraction=0.04, pad=0.08 if not hasattr(axes, "coords") else 0.02
    )
    bar.set_label(f"highest signal to noise, above the median of {middle:.1f}")


def _places(catalog: Catalog, image: Image) -> NDArray[np.float64]:
    """Galaxies as rows (z, y, x, major, minor, theta, z_min, z_max) of voxels and radians."""
    from skadetect.astrometry import pa_to_theta

    table = catalog.table[:_MOST_ELLIPSES]
    z, y, x, major, minor, pa, low, high = (
        np.array(getattr(table[name], "value", table[name]), np.float64)
        for name in ("z", "y", "x", "ell_maj", "ell_min", "ell_pa", "z_min", "z_max")
    )
    theta = pa_to_theta(image.wcs, x, y, pa) if len(z) else pa
    scale = image.pixel_scale
    return np.nan_to_num(np.stack([z, y, x, major / scale, minor / scale, theta, low, high], axis=1))


def _shade(places: NDArray[np.float64], image: Image) -> NDArray[np.float64]:
    """Channels as numbers from 0 to 1."""
    return places[:, 0] / max(image.shape[0] - 1, 1)


def _numbers(catalog: Catalog, places: NDArray[np.float64]) -> Any:
    """Ids of the first rows, which are the brightest, with their places."""
    ids = [str(int(number)) for number in catalog.table["id"][:_MOST_NUMBERS]]
    return zip(ids, places, strict=False)


def _text_style() -> dict[str, Any]:
    """Small black letters with a white rim, readable on any grey."""
    from matplotlib.patheffects import withStroke

    rim = [withStroke(linewidth=2.0, foreground="white")]
    return {"textcoords": "offset points", "fontsize": 8, "path_effects": rim}


def _draw_beam(axes: Axes, image: Image) -> None:
    from matplotlib.patches import Ellipse

    beam = image.pixel_beam
    margin = 0.03 * max(image.shape[1:]) + beam.bmaj / 2
    turn = math.degrees(beam.theta)
    axes.add_patch(
        Ellipse((margin, margin), beam.bmaj, beam.bmin, angle=turn, facecolor="tab:red", edgecolor="white")
    )
