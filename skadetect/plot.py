"""A picture of an image with its sources, for people to judge a catalogue by."""

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
from skadetect.catalog.summary import si_prefix
from skadetect.errors import OutputError
from skadetect.image import Image, open_image
from skadetect.plot_cube import plot_cube

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STRIP = 512
_LEAST_SIDE = 4.0
_MOST_BOXES = 50_000


def plot_detections(
    image: Image | str | os.PathLike[str],
    catalog: Catalog,
    path: str | os.PathLike[str],
    *,
    max_pixels: int = 2_000_000,
    overwrite: bool = True,
) -> None:
    """Draw an image, its beam and a box around each source, coloured by score, on axes of the sky.

    A cube is drawn by `skadetect.plot_cube.plot_cube`.

    Parameters
    ----------
    image : Image or path
        A path is opened with the beam that the catalogue was made with.
    catalog : Catalog
        Its sources.
    path : path
        PNG file to write.
    max_pixels : int
        Pixels of an image drawn at most; a larger one is averaged in square blocks, a strip at a time.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    OutputError
        Matplotlib is not installed, or the file cannot be written.
    """
    figure_class, canvas_class = _matplotlib()
    if not isinstance(image, Image):
        meta = catalog.meta
        image = open_image(image, beam=(meta["bmaj"] * 3600, meta["bmin"] * 3600, meta["bpa"]))
    if image.ndim == 3:
        plot_cube(image, catalog, path, overwrite=overwrite)
        return
    overview = read_overview(image, max_pixels=max_pixels)
    figure = figure_class(figsize=_figure_size(image), dpi=150, layout="constrained")
    canvas_class(figure)
    axes = figure.add_subplot(projection=image.wcs)
    shown, unit = _show_pixels(axes, overview, image)
    boxes = _draw_boxes(axes, catalog, overview)
    _draw_beam(axes, image)
    _label(axes, image, catalog)
    figure.colorbar(shown, ax=axes, fraction=0.04, pad=0.02, label=f"brightness [{unit}]")
    if boxes is not None:
        figure.colorbar(boxes, ax=axes, fraction=0.04, pad=0.02, label="score of the boxes")
    with atomic_path(Path(path), overwrite=overwrite) as temporary:
        figure.savefig(temporary, format="png", bbox_inches="tight")


@dataclass(frozen=True)
class Overview:
    """An image averaged in square blocks: pixels (y, x) and the side of a block in pixels of the image."""

    pixels: NDArray[np.float32]
    factor: int

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edges in pixels of the image."""
        height, width = self.pixels.shape
        return (-0.5, width * self.factor - 0.5, -0.5, height * self.factor - 0.5)


def read_overview(image: Image, *, max_pixels: int) -> Overview:
    """First plane of an image, averaged so that about `max_pixels` remain at most; NaN where all is blank."""
    height, width = image.shape[1:]
    factor = max(1, math.ceil(math.sqrt(height * width / max_pixels)))
    rows, columns = -(-height // factor), -(-width // factor)
    pixels = np.empty((rows, columns), np.float32)
    strip = max(1, _STRIP // factor)
    for start in range(0, rows, strip):
        stop = min(start + strip, rows)
        window = image.read((0, start * factor, 0), (1, stop * factor, columns * factor))[0]
        pixels[start:stop] = _block_mean(window, factor)
    return Overview(pixels, factor)


def _block_mean(window: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    if factor == 1:
        return window
    height, width = (n // factor for n in window.shape)
    blocks = window.reshape(height, factor, width, factor)
    known = np.isfinite(blocks)
    count = known.sum(axis=(1, 3))
    total = np.where(known, blocks, 0.0).sum(axis=(1, 3))
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0).astype(np.float32)


def _matplotlib() -> tuple[Any, Any]:
    """Figure and canvas classes; drawing without pyplot leaves the user's figures and back end alone."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError("plots need matplotlib; install skadetect[plot]") from error
    return Figure, FigureCanvasAgg


def _figure_size(image: Image) -> tuple[float, float]:
    """Inches: the longer side 9, the shorter by the image's shape, and room for the colour bars."""
    height, width = image.shape[1:]
    longest = max(height, width)
    return 2.5 + 9.0 * max(width / longest, 0.3), 1.0 + 9.0 * max(height / longest, 0.3)


def _show_pixels(axes: Axes, overview: Overview, image: Image) -> tuple[Any, str]:
    """Draw the pixels on a scale that is linear in the noise and logarithmic above, and say in what unit."""
    from matplotlib.colors import AsinhNorm

    known = overview.pixels[np.isfinite(overview.pixels)].astype(np.float64)
    known = known if known.size else np.zeros(1)
    middle = float(np.median(known))
    sigma = 1.4826 * float(np.median(np.abs(known - middle))) or float(known.std()) or 1.0
    scale, prefix = si_prefix(10.0 * sigma)
    top = max(float(np.percentile(known, 99.8)), middle + 10.0 * sigma)
    norm = AsinhNorm(3.0 * sigma / scale, vmin=(middle - 2.0 * sigma) / scale, vmax=top / scale)
    axes.set_facecolor("0.75")
    style: dict[str, Any] = {
        "origin": "lower",
        "extent": overview.extent,
        "interpolation": "nearest",
        "cmap": "gray_r",
    }
    unit = f"{prefix}{image.unit.to_string().replace(' ', '')}"
    return axes.imshow(overview.pixels / scale, norm=norm, **style), unit


def _draw_boxes(axes: Axes, catalog: Catalog, overview: Overview) -> Any:
    """Outlines of the detection boxes, none too small to see; of the brightest only if there are many."""
    from matplotlib.collections import LineCollection

    if not len(catalog):
        return None
    table = catalog.table[:_MOST_BOXES]
    sides = [np.asarray(table[name].value, np.float64) for name in ("x_min", "x_max", "y_min", "y_max")]
    x_min, x_max = _widened(*sides[:2], least=_LEAST_SIDE * overview.factor)
    y_min, y_max = _widened(*sides[2:], least=_LEAST_SIDE * overview.factor)
    x, y = np.stack([x_min, x_max, x_max, x_min, x_min]), np.stack([y_min, y_min, y_max, y_max, y_min])
    lines = LineCollection(
        list(np.stack([x, y], axis=-1).transpose(1, 0, 2)), cmap="plasma_r", linewidths=0.8
    )
    lines.set_array(np.asarray(table["score"]))
    lines.set_clim(min(float(np.min(table["score"])), 0.99), 1.0)
    axes.add_collection(lines, autolim=False)
    return lines


def _widened(
    low: NDArray[np.float64], high: NDArray[np.float64], *, least: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    more = np.maximum(least - (high - low), 0.0) / 2.0
    return low - more, high + more


def _draw_beam(axes: Axes, image: Image) -> None:
    from matplotlib.patches import Ellipse

    beam = image.pixel_beam
    height, width = image.shape[1:]
    margin = 0.03 * max(height, width) + beam.bmaj / 2
    place, turn = (margin, margin), math.degrees(beam.theta)
    axes.add_patch(Ellipse(place, beam.bmaj, beam.bmin, angle=turn, facecolor="tab:red", edgecolor="white"))


def _label(axes: Axes, image: Image, catalog: Catalog) -> None:
    height, width = image.shape[1:]
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(-0.5, height - 0.5)
    kinds = [str(kind) for kind in image.wcs.wcs.ctype]
    names = {
        "RA": "right ascension",
        "DEC": "declination",
        "GLON": "galactic longitude",
        "GLAT": "galactic latitude",
    }
    labels = [names.get(kind.split("-")[0], kind) for kind in kinds]
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    count = "1 source" if len(catalog) == 1 else f"{len(catalog)} sources"
    axes.set_title(f"{image.name}: {count}")
