"""How probable rows of smoothed views are to be real, fitted on held-out fields with larger sources put in.

Fields hold few sources of many beams, so each one gets some more, 3 to 50 beams long: Gaussians, and what
is narrower in the middle and wider outside. A row is real if it lies on a source of about its flux and size
that no finer view has a row of.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits
from held_out import folders
from reliability import GROUPS

from skadetect.astrometry import pa_to_theta, sky_to_pixel
from skadetect.background import estimate_background
from skadetect.beams import Ellipses, convolve
from skadetect.catalog.coarse_probability import (
    COLUMNS,
    TERMS,
    CoarseReliability,
    fit_coarse_reliability,
)
from skadetect.catalog.evidence import Taken, coarse_columns
from skadetect.catalog.shapes import measured
from skadetect.detect_options import DetectOptions
from skadetect.evaluate.injection import inject_gaussians
from skadetect.image import Image, open_image
from skadetect.job import workers
from skadetect.nn.model import Model
from skadetect.pyramid import MOST_SMOOTHINGS, count_levels
from skadetect.residual import residual_view
from skadetect.search import Part, Search, search_view, sky_model
from skadetect.train.truth import primary_beam_at, read_truth
from skadetect.views import ViewStore

#: Sources put into a field; their major axes in beams; signal to noise if all their light is added up.
NUMBER, LENGTHS, LOUDNESS = 6, (3.0, 50.0), (5.0, 200.0)
#: Shares of the flux, and widths, of what half of them are made of.
LAYERS = ((0.3, 0.55), (0.45, 1.0), (0.25, 1.6))
#: Distance over the major axis, and factors of flux and area, within which a row is of a source.
NEAR, FLUX, AREA = 0.3, 1.4, 2.0
#: Real rows of a field beyond which its rows count less: a few fields are full of large sources.
MANY = 40
#: Bytes for a view.
MEMORY = 1e9
#: Before there is a fit a row counts that has most of the flux to itself.
FIRST = CoarseReliability({name: {"alone": 1.0, "inside": -3.0}.get(name, 0.0) for name in TERMS})


@dataclass(frozen=True)
class Truth:
    """True sources in pixels of a field's image: places (n, 2), fluxes and intrinsic ellipses."""

    position: np.ndarray
    flux: np.ndarray
    ellipse: Ellipses


def with_coarse(model: Model, fields: Path) -> Model:
    """The model with probabilities of rows in smoothed views."""
    found = FIRST
    for _ in range(2):  # what is taken out of a view hangs on what was believed before
        rows = pd.concat(
            [
                field_rows(model, folder, found, seed).assign(group=group, field=folder.name)
                for group in GROUPS
                for seed, folder in enumerate(folders(fields, group))
            ],
            ignore_index=True,
        )
        columns = {name: rows[name].to_numpy() for name in COLUMNS}
        found = fit_coarse_reliability(columns, rows["real"], weight=_weight(rows))
        rows["prob"] = found.probability(columns)
        table = [_summary(name, part, model.threshold) for name, part in rows.groupby("group", sort=False)]
        print(f"{found}\n{pd.DataFrame(table).to_string(index=False)}", flush=True)
    known = {"coarse_reliability": found.to_dict(), "coarse_probabilities": table, "pyramid": True}
    return replace(model, metadata=model.metadata | known)


def field_rows(model: Model, folder: Path, believed: CoarseReliability, seed: int) -> pd.DataFrame:
    """All rows of the smoothed views of a field, what is known of them, and whether they are real."""
    plain = {key: value for key, value in model.metadata.items() if key != "coarse_reliability"}
    model = replace(model, metadata=plain).folded()  # which leaves all rows in smoothed views
    image, truth = _field(folder, seed)
    options = DetectOptions(device="cpu", threshold=model.threshold, progress=False)
    run = Search(image, image, model, model, "", options, "cpu")
    store, parts, taken = ViewStore(MEMORY), [], []
    left = np.ones(len(truth.flux), bool)
    with workers("cpu", options) as pool:
        last = search_view(run, image, pool)
        left[_matches(last, model, truth, left)] = False
        for level in range(1, 1 + count_levels(image, model, MOST_SMOOTHINGS)):
            taken.append(Taken(sky_model(last, model), last.view))
            view = store.keep(residual_view(last.view, taken[-1].sources), level)
            found = search_view(run, view, pool, level=level, taken=taken)
            known = coarse_columns(found.rows, view, model, taken, covered=found.background.covered)
            match = _matches(found, model, truth, left)
            parts.append(pd.DataFrame(known).assign(level=level, real=match >= 0))
            kept = believed.probability(known) >= model.threshold
            left[match[kept & (match >= 0)]] = False
            last = replace(found, rows=found.rows.take(kept))
    return pd.concat(parts, ignore_index=True)


def _field(folder: Path, seed: int) -> tuple[Image, Truth]:
    """A field's image with larger sources put in, and the truth."""
    image = open_image(folder / "image.fits")
    rng, beam = np.random.default_rng([7, seed]), image.pixel_beam
    pixels = image.read((0, 0, 0), image.shape)[0].astype(np.float64)
    length = np.exp(rng.uniform(*np.log(LENGTHS), NUMBER)) * beam.fwhm
    ratio, theta = rng.uniform(0.3, 1.0, NUMBER), rng.uniform(0, np.pi, NUMBER)
    bmaj, bmin, _ = convolve(length, ratio * length, theta, beam)
    noise = float(np.median(estimate_background(image).rms))
    flux = np.exp(rng.uniform(*np.log(LOUDNESS), NUMBER)) * noise * np.sqrt(bmaj * bmin) / beam.fwhm
    place = rng.uniform(0, 1, (NUMBER, 2)) * pixels.shape
    layered = rng.random(NUMBER) < 0.5
    for share, width in LAYERS:
        axis = np.where(layered, width, 1.0) * length
        columns = {"y": place[:, 0], "x": place[:, 1], "int_flux": share * flux, "theta": theta}
        pixels, _ = inject_gaussians(pixels, columns | {"bmaj": axis, "bmin": ratio * axis}, beam)
    header = fits.getheader(folder / "image.fits")
    added = Truth(place, flux, (length, ratio * length, theta))
    return open_image((pixels.astype(np.float32), header)), _joined(_truth(folder, image), added)


def _truth(folder: Path, image: Image) -> Truth:
    """The sources of a field's own."""
    truth, response = read_truth(folder / "truth.txt"), folder / "primary_beam.fits"
    flux = truth.flux * (primary_beam_at(response, truth.ra, truth.dec) if response.exists() else 1.0)
    x, y = sky_to_pixel(image.wcs, truth.ra, truth.dec)
    theta = pa_to_theta(image.wcs, x, y, truth.pa)
    axes = truth.bmaj / image.pixel_scale, truth.bmin / image.pixel_scale
    return Truth(np.stack([y, x], axis=1), flux, (*axes, theta))


def _joined(a: Truth, b: Truth) -> Truth:
    bmaj, bmin, theta = (np.concatenate(pair) for pair in zip(a.ellipse, b.ellipse, strict=True))
    position, flux = np.concatenate([a.position, b.position]), np.concatenate([a.flux, b.flux])
    return Truth(position, flux, (bmaj, bmin, theta))


def _matches(found: Part, model: Model, truth: Truth, left: np.ndarray) -> np.ndarray:
    """Index of the source that each row is of those that are left, each once; -1 if it is none."""
    shapes, rows, _ = measured(found.rows, found.view, model)
    place, factor = found.view.to_original(rows.position), found.view.factor
    seen = convolve(*truth.ellipse, found.view.pixel_beam.scaled(factor))
    area, free = seen[0] * seen[1], left.copy()
    match = np.full(len(rows), -1)
    for row in np.argsort(-shapes.int_flux):
        major, minor = (factor * axis[row] for axis in shapes.convolved[:2])
        near = np.flatnonzero(free & (np.abs(truth.position - place[row]) < NEAR * major).all(axis=1))
        distance = np.hypot(*(truth.position[near] - place[row]).T)
        flux = np.abs(np.log(np.maximum(truth.flux[near] / shapes.int_flux[row], 1e-9)))
        size = np.abs(np.log(area[near] / (major * minor)))
        fits_it = (distance < NEAR * major) & (flux < np.log(FLUX)) & (size < np.log(AREA))
        if fits_it.any():
            match[row] = near[fits_it][np.argmin(flux[fits_it])]
            free[match[row]] = False
    return match


def _weight(rows: pd.DataFrame) -> np.ndarray:
    """Groups count alike; fields of very many real rows count less."""
    group = len(rows) / len(GROUPS) / rows.groupby("group")["real"].transform("size").to_numpy()
    return group * np.minimum(1.0, MANY / np.maximum(rows.groupby("field")["real"].transform("sum"), 1))


def _summary(group: str, rows: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """How pure the rows of some fields are at a threshold."""
    kept = rows["prob"] >= threshold
    return {
        "group": group,
        "candidates": len(rows),
        "rows": int(kept.sum()),
        "purity": float(rows["real"][kept].mean()),
        "expected purity": float(rows["prob"][kept].mean()),
        "of real rows": float((rows["real"] & kept).sum() / max(rows["real"].sum(), 1)),
    }
