"""How well could anyone measure? Our attribute scores beside those of constants and of the information limit.

Noise limits what is known of a source: the Cramer-Rao bound says how much, for Gaussians in noise that is as
correlated as the beam (`skadetect.catalog.uncertainty`). The truth perturbed by these errors and scored is
what a measurement of each source by itself reaches at best. Who also knows what sources there are can do
better: of a faint source the population says more about its size than its pixels do. The second limit takes
for each source the answer of the highest expected score, given the perturbed measurement and the population.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skadetect.beams import PixelBeam
from skadetect.catalog.sdc1_angle import TOLERANCE, angle_score, best_angle, fold
from skadetect.catalog.uncertainty import GaussianErrors, gaussian_errors
from skadetect.evaluate.sdc1 import PreparedTruth, Sdc1Match
from skadetect.evaluate.sdc1_attributes import ATTRIBUTES

Floats = NDArray[np.float64]

#: Gaussian FWHM of each size type: largest angular size, FWHM, exponential scale length.
_TO_FWHM = np.array([np.nan, 2.355 / 5.0, 1.0, np.sqrt(2.0)])
_TOLERANCE = {"flux": 0.1, "b_maj": 0.3, "b_min": 0.3}
_STEPS = np.exp(np.linspace(-1.2, 1.2, 61))
_LEAST_WEIGHT = 1e-12


@dataclass(frozen=True)
class LimitOptions:
    """How limits are worked out.

    Attributes
    ----------
    beam : float
        FWHM of the restoring beam, arcsec.
    sample : int
        Matched sources that the limits are averaged over, at most.
    population : int
        Sources that stand for all, at most.
    seed : int
        Of the perturbations.
    """

    beam: float = 1.5
    sample: int = 600
    population: int = 2500
    seed: int = 0


def attribute_limits(
    match: Sdc1Match, truth: PreparedTruth, noise: Floats, options: LimitOptions | None = None
) -> pd.DataFrame:
    """Scores of each attribute over the matches, and what could be reached.

    Parameters
    ----------
    match : Sdc1Match
        Of a submission.
    truth : PreparedTruth
        That it was matched to.
    noise : array (n_submitted,)
        At each row of the submission as it was given, Jy/beam, over the gain of the primary beam there.
    options : LimitOptions, optional

    Returns
    -------
    DataFrame
        One row an attribute; columns score (of the submission), constant (the best one answer for all
        sources; NaN of positions), limit (the truth perturbed by Cramer-Rao errors; of what pixels do not
        tell the constant) and limit_with_population. A score may lie above `limit` where the population says
        more than the pixels.
    """
    options = options or LimitOptions()
    accepted = np.flatnonzero(match.accepted)
    score = np.nansum(match.scores[accepted], axis=0) / max(len(accepted), 1)
    sources = _Sources.of(truth, match.truth[accepted], np.asarray(noise, np.float64)[match.row[accepted]])
    rng = np.random.default_rng(options.seed)
    sample = sources.take(_some(len(accepted), options.sample, rng))
    population = sources.take(_some(len(accepted), options.population, rng))
    seen = _measured(sample, options.beam, rng)
    constants = _constants(sources)
    untold = {name: constants[name] for name in ("core_frac", "class")}
    columns = {
        "score": dict(zip(ATTRIBUTES, score.tolist(), strict=True)),
        "constant": constants,
        "limit": _limits(sample, seen, truth) | untold,
        "limit_with_population": _with_population(sample, seen, population, options.beam, truth),
    }
    return pd.DataFrame(columns).reindex(list(ATTRIBUTES))


@dataclass(frozen=True)
class _Sources:
    """True sources: Jy, Gaussian FWHM in arcsec, degrees, noise in Jy/beam, all (n,)."""

    flux: Floats
    b_maj: Floats
    b_min: Floats
    pa: Floats
    core_frac: Floats
    class_: Floats
    las: NDArray[np.bool_]
    noise: Floats

    @classmethod
    def of(cls, truth: PreparedTruth, rows: NDArray[np.int64], noise: Floats) -> _Sources:
        column = {name: values[rows] for name, values in truth.columns.items()}
        scale = _TO_FWHM[np.clip(column["size"].astype(int), 0, 3)]
        sizes = column["b_maj"] * scale, column["b_min"] * scale
        rest = column["pa"], column["core_frac"], column["class"]
        return cls(column["flux"], *sizes, *rest, las=column["size"] == 1, noise=noise)

    def take(self, index: NDArray[np.int64]) -> _Sources:
        return _Sources(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def convolved(self, beam: float) -> tuple[Floats, Floats]:
        """Axes seen through a round beam, the larger first."""
        axes = np.hypot(self.b_maj, beam), np.hypot(self.b_min, beam)
        return np.maximum(*axes), np.minimum(*axes)

    def errors(self, beam: float) -> GaussianErrors:
        """Cramer-Rao errors of Gaussians."""
        wide, narrow = self.convolved(beam)
        peak = self.flux * beam**2 / (wide * narrow)
        how = {"beam": PixelBeam(beam, beam, 0.0), "int_flux": self.flux, "peak": peak}
        return gaussian_errors(peak / self.noise, wide, narrow, **how)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Measured:
    """Perturbed sources and their errors, each (n,): flux, axes seen through the beam, angle, offset."""

    flux: Floats
    wide: Floats
    narrow: Floats
    pa: Floats
    offset: Floats
    beam: float
    errors: GaussianErrors

    def intrinsic(self, name: str, floor: float) -> Floats:
        """An axis without the beam, at least `floor`."""
        seen = self.wide if name == "b_maj" else self.narrow
        return np.sqrt(np.maximum(seen**2 - self.beam**2, floor**2))


def _measured(sources: _Sources, beam: float, rng: np.random.Generator) -> _Measured:
    errors = sources.errors(beam)
    draws = rng.standard_normal((6, len(sources.flux)))
    wide, narrow = sources.convolved(beam)
    first, second = wide + draws[1] * errors.bmaj, narrow + draws[2] * errors.bmin
    return _Measured(
        flux=np.maximum(sources.flux + draws[0] * errors.int_flux, 0.05 * sources.flux),
        wide=np.maximum(first, second),
        narrow=np.minimum(first, second),
        pa=sources.pa + np.degrees(draws[3] * errors.theta),
        offset=np.hypot(draws[4] * errors.major, draws[5] * errors.minor),
        beam=beam,
        errors=errors,
    )


def _relative(answer: Floats, true: Floats, tolerance: float) -> Floats:
    return np.minimum(1.0, tolerance / np.maximum(np.abs(answer / true - 1.0), 1e-9))


def _constants(sources: _Sources) -> dict[str, float]:
    """The best one answer for all."""
    found = {"position": np.nan}
    for name, tolerance in _TOLERANCE.items():
        true = getattr(sources, name)
        tried = np.quantile(true, np.linspace(0.02, 0.98, 97))
        free = sources.las if name == "b_min" else np.zeros(len(true), bool)
        scores = [np.where(free, 1.0, _relative(value, true, tolerance)).mean() for value in tried]
        found[name] = float(max(scores))
    angles = [
        np.where(sources.las, 1.0, angle_score(a, sources.pa)).mean() for a in np.arange(-44.0, 46.0, 2)
    ]
    found["pa"] = float(max(angles))
    cores = [_core_score(value, sources.core_frac).mean() for value in np.linspace(0.0, 0.1, 41)]
    found["core_frac"] = float(max(cores))
    found["class"] = float(max((sources.class_ == kind).mean() for kind in (1, 2, 3)))
    return found


def _limits(sources: _Sources, seen: _Measured, truth: PreparedTruth) -> dict[str, float]:
    """Scores of the perturbed truth; sizes have a floor chosen in their favour."""
    found = _position(sources, seen, truth) | _angles(sources, seen)
    found["flux"] = float(_relative(seen.flux, sources.flux, _TOLERANCE["flux"]).mean())
    for name in ("b_maj", "b_min"):
        true = getattr(sources, name)
        free = sources.las if name == "b_min" else np.zeros(len(true), bool)
        tried = [
            np.where(free, 1.0, _relative(seen.intrinsic(name, floor), true, _TOLERANCE[name])).mean()
            for floor in np.quantile(true, np.linspace(0.0, 0.8, 33))
        ]
        found[name] = float(max(tried))
    return found


def _with_population(
    sources: _Sources, seen: _Measured, population: _Sources, beam: float, truth: PreparedTruth
) -> dict[str, float]:
    """Scores of the answers that are expected to score best, given measurement and population."""
    found = _position(sources, seen, truth) | _angles(sources, seen)
    wide, narrow = population.convolved(beam)
    totals = dict.fromkeys([*_TOLERANCE, "core_frac", "class"], 0.0)
    cores = np.array([0.0, 0.0375, 0.07, 0.7, 0.76, 0.8])
    for k in range(len(sources.flux)):
        weight = _posterior(seen, k, population, wide, narrow)
        best = {}
        for name, tolerance in _TOLERANCE.items():
            measured = seen.flux[k] if name == "flux" else max(seen.intrinsic(name, 0.1)[k], 0.1)
            usual = np.quantile(getattr(population, name), np.linspace(0.05, 0.95, 19))
            tried = np.append(measured * _STEPS, usual)
            expected = _relative(tried[:, None], getattr(population, name)[None], tolerance) @ weight
            best[name] = tried[int(np.argmax(expected))]
            gained = _relative(best[name], getattr(sources, name)[k], tolerance)
            totals[name] += 1.0 if name == "b_min" and sources.las[k] else float(gained)
        core = cores[int(np.argmax(_core_score(cores[:, None], population.core_frac[None]) @ weight))]
        totals["core_frac"] += float(_core_score(core, sources.core_frac[k]))
        kinds = [weight[population.class_ == kind].sum() for kind in (1, 2, 3)]
        totals["class"] += float(sources.class_[k] == 1 + int(np.argmax(kinds)))
    return found | {name: total / max(len(sources.flux), 1) for name, total in totals.items()}


def _posterior(seen: _Measured, k: int, population: _Sources, wide: Floats, narrow: Floats) -> Floats:
    """Weight of each source of the population, given what was measured of source k."""
    errors = seen.errors
    # a population of some thousands is too thin for the errors of bright sources: they are widened
    spread = np.maximum(
        [errors.int_flux[k] / seen.flux[k], errors.bmaj[k] / seen.wide[k], errors.bmin[k] / seen.narrow[k]],
        [0.08, 0.03, 0.03],
    )
    distance = (np.log(population.flux / seen.flux[k]) / spread[0]) ** 2
    distance += (np.log(wide / seen.wide[k]) / spread[1]) ** 2
    distance += (np.log(narrow / np.maximum(seen.narrow[k], 1e-3)) / spread[2]) ** 2
    weight = np.exp(-0.5 * (distance - distance.min())) + _LEAST_WEIGHT
    return np.asarray(weight / weight.sum())


def _position(sources: _Sources, seen: _Measured, truth: PreparedTruth) -> dict[str, float]:
    size = np.hypot(2.0 * 0.25 / truth.freq * 1400.0, (sources.b_maj + sources.b_min) / 2.0)
    return {"position": float(np.minimum(1.0, 0.3 * size / np.maximum(seen.offset, 1e-9)).mean())}


def _angles(sources: _Sources, seen: _Measured) -> dict[str, float]:
    """Score of the angle of the highest expected score for the perturbed one."""
    turned = 90.0 - np.mod(90.0 - seen.pa, 180.0)
    answer = best_angle(turned, np.degrees(seen.errors.theta))
    error = np.abs(fold(answer) - fold(sources.pa))
    score = np.minimum(1.0, TOLERANCE / np.maximum(error, 1e-9))
    return {"pa": float(np.where(sources.las, 1.0, score).mean())}


def _core_score(answer: Floats | float, true: Floats | float) -> Floats:
    return np.minimum(1.0, 0.05 * 0.75 / np.maximum(np.abs(np.asarray(answer) - true), 1e-9))


def _some(n: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(rng.permutation(n)[:most])
