import numpy as np
import pytest

from skadetect.simulate.shapes import DISC_VARIANCES, DISC_WEIGHTS, HALF_LIGHT, covariance, to_gaussians
from skadetect.simulate.sources import Sources

PIXEL = 0.5


def one(*, size_type, kind, major=4.0, minor=2.0, pa=30.0, core_fraction=0.0, flux=2.0):
    column = [np.array([v], float) for v in (10.0, 20.0, 11.0, 20.5, flux, core_fraction, major, minor, pa)]
    return Sources(*column, np.array([size_type]), np.array([kind]))


def draw(source):
    return to_gaussians(source, PIXEL, rng=np.random.default_rng(0))


def moments(parts):
    """Total flux, centre and covariance of a sum of Gaussians."""
    total = parts.flux.sum()
    x, y = np.sum(parts.flux * parts.x) / total, np.sum(parts.flux * parts.y) / total
    dx, dy = parts.x - x, parts.y - y
    c = [
        np.sum(parts.flux * v) / total
        for v in (parts.cxx + dx * dx, parts.cxy + dx * dy, parts.cyy + dy * dy)
    ]
    return total, (x, y), c


def test_covariance_axes_and_angle():
    cxx, cxy, cyy = covariance(np.array([3.0]), np.array([1.0]), np.radians([30.0]))
    values, vectors = np.linalg.eigh([[cxx[0], cxy[0]], [cxy[0], cyy[0]]])
    np.testing.assert_allclose(values, [1, 9])
    assert np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180 == pytest.approx(30)


def test_disc_mixture_has_the_light_of_an_exponential_disc():
    radius = np.array([0.25, 0.5, 1.0, 2.0, 3.0])  # half-light radii
    enclosed = np.sum(DISC_WEIGHTS * -np.expm1(-0.5 * radius[:, None] ** 2 / DISC_VARIANCES), axis=1)
    scaled = HALF_LIGHT * radius
    np.testing.assert_allclose(enclosed, 1 - (1 + scaled) * np.exp(-scaled), atol=3e-4)


@pytest.mark.parametrize(
    ("size_type", "kind", "core"), [(1, 1, 0.1), (2, 1, 0.0), (2, 2, 0.7), (2, 3, 0.0), (3, 3, 0.0)]
)
def test_flux_is_kept(size_type, kind, core):
    parts = draw(one(size_type=size_type, kind=kind, core_fraction=core))
    assert parts.flux.sum() == pytest.approx(2.0)
    assert np.all(parts.flux >= 0)


def test_gaussian_source_has_its_catalogued_axes_clockwise_from_west():
    parts = draw(one(size_type=2, kind=3))
    expected = covariance(
        *(np.array([v / PIXEL / np.sqrt(8 * np.log(2))]) for v in (4.0, 2.0)), np.radians([-30.0])
    )
    np.testing.assert_allclose([parts.cxx, parts.cxy, parts.cyy], expected)
    assert parts.cxy[0] < 0  # clockwise: down to the right


def test_flat_spectrum_source_is_core_and_lobe():
    parts = draw(one(size_type=2, kind=2, core_fraction=0.7, major=1.0, minor=1.0))
    assert parts.cxx[0] == 0
    np.testing.assert_allclose(parts.flux, [1.4, 0.6])


def test_disc_is_drawn_with_half_the_catalogued_scale_as_half_light_radius():
    parts = draw(one(size_type=3, kind=3, major=8.0, minor=2.0))
    variances = np.sqrt(parts.cxx * parts.cyy - parts.cxy**2)
    np.testing.assert_allclose(variances / DISC_VARIANCES, (4.0 / 2 / PIXEL) ** 2)
    axes = np.sqrt(np.linalg.eigvalsh([[parts.cxx[0], parts.cxy[0]], [parts.cxy[0], parts.cyy[0]]]))
    assert axes[0] / axes[1] == pytest.approx(np.sqrt((1 - 0.75) / (1 + 0.75)))


def test_radio_galaxy_spans_its_size_along_its_angle():
    source = one(size_type=1, kind=1, major=60.0, minor=30.0, core_fraction=0.05)
    parts = draw(source)
    _, centre, (cxx, cxy, cyy) = moments(parts)
    angle = np.degrees(0.5 * np.arctan2(2 * cxy, cxx - cyy))
    assert angle == pytest.approx(-30, abs=15)
    half = 30.0 / PIXEL
    reach = np.hypot(parts.x - 10, parts.y - 20) + np.sqrt(parts.cxx + parts.cyy)
    assert 0.7 * half < reach.max() < 1.3 * half
    assert np.hypot(centre[0] - 10, centre[1] - 20) < 0.5 * half
    assert parts.flux[0] == pytest.approx(0.1)
    assert (parts.x[0], parts.y[0]) == (11.0, 20.5)
