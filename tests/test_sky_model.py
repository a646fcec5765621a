"""Gaussian sources on pixels: their flux, and the same pixel whichever window is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.beams import PixelBeam, convolve
from skadetect.evaluate.injection import inject_gaussians
from skadetect.sky_model import SkyModel

BEAM = PixelBeam(4.0, 3.0, 0.4)
SHAPE = (90, 110)


def sources(n: int = 40, *, noise: float = 1.0) -> tuple[SkyModel, dict[str, np.ndarray]]:
    rng = np.random.default_rng(2)
    centre = rng.uniform(-5, 1, (n, 2)) + rng.uniform(0, 1, (n, 2)) * SHAPE
    bmaj = rng.uniform(0, 12, n)
    ellipse = (bmaj, bmaj * rng.uniform(0.2, 1, n), rng.uniform(0, np.pi, n))
    flux = rng.uniform(1, 200, n)
    model = SkyModel.of(centre, flux, convolve(*ellipse, BEAM), beam=BEAM, noise=np.full(n, noise))
    names = ("y", "x", "int_flux", "bmaj", "bmin", "theta")
    return model, dict(zip(names, (*centre.T, flux, *ellipse), strict=True))


def drawn(model: SkyModel, low: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    window = np.zeros(shape, np.float32)
    model.add_to(window, low)
    return window


def test_sources_are_gaussians_through_the_beam() -> None:
    model, columns = sources(noise=1e-4)
    expected, _ = inject_gaussians(np.zeros(SHAPE), columns, BEAM)
    # injection draws out to five sigma, the model until what is left is far below the noise
    np.testing.assert_allclose(drawn(model, (0, 0), SHAPE), expected, atol=1e-3)


def test_wings_are_left_out_below_the_noise_only() -> None:
    fine, coarse = sources(noise=1e-4)[0], sources(noise=1.0)[0]
    assert (coarse.corners[:, 1] - coarse.corners[:, 0] <= fine.corners[:, 1] - fine.corners[:, 0]).all()
    off = np.abs(drawn(coarse, (0, 0), SHAPE) - drawn(fine, (0, 0), SHAPE))
    assert 0 < off.max() < 0.3  # several wings of a twentieth of the noise each


@pytest.mark.parametrize("low", [(0, 0), (17, 33), (60, 3), (-20, -7)])
def test_a_pixel_does_not_depend_on_the_window(low: tuple[int, int]) -> None:
    model, _ = sources()
    whole = drawn(model, (-40, -40), (200, 200))
    window = drawn(model, low, (37, 41))
    start = low[0] + 40, low[1] + 40
    np.testing.assert_array_equal(window, whole[start[0] : start[0] + 37, start[1] : start[1] + 41])


def test_what_was_added_can_be_taken_out() -> None:
    model, _ = sources()
    window = np.random.default_rng(3).normal(size=SHAPE).astype(np.float32)
    window[10:20, 30:40] = np.nan
    changed = window.copy()
    model.add_to(changed, (0, 0))
    assert np.nanmax(np.abs(changed - window)) > 1
    model.add_to(changed, (0, 0), sign=-1.0)
    np.testing.assert_allclose(changed, window, atol=1e-4)
    np.testing.assert_array_equal(np.isnan(changed), np.isnan(window))


def test_rows_without_a_shape_or_a_flux_are_no_sources() -> None:
    nothing, bad = np.zeros(3), np.array([np.nan, -1.0, 0.0])
    ellipse = (np.full(3, 4.0), np.full(3, 3.0), nothing)
    model = SkyModel.of(np.zeros((3, 2)), bad, ellipse, beam=BEAM, noise=np.ones(3))
    assert len(model) == 0
    assert not drawn(model, (0, 0), (5, 5)).any()


def test_a_digest_tells_sources_apart() -> None:
    one, other = sources(40)[0], sources(39)[0]
    assert one.digest == sources(40)[0].digest != other.digest
    assert one.nbytes == 40 * (16 + 4 + 16 + 16)


def test_parts_are_joined_in_the_order_of_all() -> None:
    model, _ = sources()
    halves = [
        SkyModel(*(getattr(model, name)[half] for name in ("centre", "int_flux", "profile", "corners")))
        for half in (slice(1, None, 2), slice(0, None, 2))
    ]
    assert SkyModel.joined(halves).digest == model.digest
    assert len(SkyModel.joined([])) == 0
