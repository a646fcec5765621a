"""Background: right on pure noise, little moved by sources, the same by windows, always with an answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from skadetect.background import Background, BackgroundOptions, estimate_background
from skadetect.errors import ConfigError
from skadetect.image import Image, open_image
from tests.data_paths import shared
from tests.fits_files import sky_header

SIZE = 512
SIGMA = 2e-6


def image_of(array: np.ndarray) -> Image:
    return open_image((array.astype(np.float32), sky_header(array.shape[1], array.shape[0])))


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Noise of unit variance through a beam of 3 pixels."""
    white = np.random.default_rng(8).normal(size=(SIZE, SIZE))
    seen = gaussian_filter(white, 3 / 2.3548, mode="wrap")
    return seen / seen.std()


def crowd(density: float, *, seed: int = 4, index: float = 1.2) -> np.ndarray:
    """Point sources with power-law fluxes above half the noise, `density` a pixel, beam 3 pixels."""
    rng = np.random.default_rng(seed)
    count = rng.poisson(density * SIZE * SIZE)
    sky = np.zeros((SIZE, SIZE))
    flux = np.minimum(0.5 * rng.random(count) ** (-1 / index), 3e4)
    np.add.at(sky, tuple(rng.integers(0, SIZE, (2, count))), flux)
    sigma = 3 / 2.3548
    return gaussian_filter(sky, sigma, mode="wrap") * 2 * np.pi * sigma**2


def test_pure_noise_is_unbiased(noise: np.ndarray) -> None:
    background = estimate_background(image_of(SIGMA * (noise + 5)))
    assert background.rms.shape == (1, 4, 4)
    assert background.rms.mean() / SIGMA == pytest.approx(1, abs=0.02)
    assert background.level.mean() / SIGMA == pytest.approx(5, abs=0.04)
    assert background.rms.std() / SIGMA < 0.03


@pytest.mark.parametrize(("density", "allowed"), [(1 / 2000, 0.03), (1 / 300, 0.05), (1 / 100, 0.1)])
def test_sources_move_it_little(noise: np.ndarray, density: float, allowed: float) -> None:
    clean = estimate_background(image_of(noise))
    crowded = estimate_background(image_of(noise + crowd(density)))
    assert np.median(crowded.rms / clean.rms) == pytest.approx(1, abs=allowed)
    assert np.median(crowded.level - clean.level) == pytest.approx(0, abs=2 * allowed)


def test_scale_and_offset_carry_over(noise: np.ndarray) -> None:
    one, two = estimate_background(image_of(noise)), estimate_background(image_of(noise * 1e-6 - 3e-6))
    np.testing.assert_allclose(two.rms, one.rms * 1e-6, rtol=5e-3)
    np.testing.assert_allclose(two.level, one.level * 1e-6 - 3e-6, atol=5e-9)


def test_a_gradient_of_noise_is_followed(noise: np.ndarray) -> None:
    slope = np.linspace(1, 3, SIZE)[:, np.newaxis]
    background = estimate_background(image_of(noise * slope))
    _, rms = background.at((0, 0, 0), (1, SIZE, SIZE))
    inner = slice(100, -100)
    np.testing.assert_allclose(rms[0, inner].mean(axis=1), slope[inner, 0], rtol=0.12)


def test_windows_are_cut_from_the_whole(noise: np.ndarray) -> None:
    background = estimate_background(image_of(noise * np.linspace(1, 2, SIZE)))
    level, rms = background.at((0, 0, 0), (1, SIZE, SIZE))
    for lo, hi in [((0, 3, 5), (1, 200, 260)), ((0, 100, 500), (1, 400, 512)), ((0, 17, 0), (1, 18, 512))]:
        part = tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))
        got_level, got_rms = background.at(lo, hi)
        np.testing.assert_array_equal(got_level, level[part])
        np.testing.assert_array_equal(got_rms, rms[part])


def test_blank_cells_hold_no_data(noise: np.ndarray) -> None:
    assert estimate_background(image_of(noise)).covered == 1.0
    half = noise.copy()
    half[: SIZE // 2] = np.nan
    assert estimate_background(image_of(half)).covered == pytest.approx(0.5, abs=0.1)


def test_interpolation_by_hand() -> None:
    level = np.array([[[0.0, 10.0], [20.0, 30.0]]])
    background = Background(level, level + 1, (1, 40, 40))
    got, rms = background.at((0, 0, 0), (1, 40, 40))
    assert got[0, 0, 0] == 0.0  # the nearest value holds beyond the cells' centres
    assert got[0, 39, 39] == 30.0
    # Pixel 19 ends at the middle of the image: 0.475 of the way between the centres.
    assert got[0, 19, 19] == pytest.approx(0.475 * 10 + 0.475 * 20)
    np.testing.assert_allclose(rms, got + 1)
    outside, _ = background.at((-1, -5, -5), (2, 0, 0))
    assert outside.shape == (3, 5, 5)
    assert not outside.any()


def test_signal_to_noise_is_that_of_the_maps_in_any_window() -> None:
    rng = np.random.default_rng(3)
    background = Background(rng.normal(size=(5, 3, 4)), rng.uniform(1, 2, (5, 3, 4)), (5, 60, 90))
    pixels = rng.normal(size=(5, 60, 90)).astype(np.float32)
    pixels[1, 2, 3:5] = np.nan, np.inf
    level, rms = background.at((0, 0, 0), (5, 60, 90))
    expected = np.where(np.isfinite(pixels), (pixels - level) / rms, 0)
    whole = background.snr(pixels, (0, 0, 0))
    np.testing.assert_allclose(whole, expected, rtol=1e-5, atol=1e-6)
    assert whole.dtype == np.float32 and whole[1, 2, 3] == whole[1, 2, 4] == 0
    for lo, hi in [((0, 0, 7), (5, 60, 8)), ((1, 13, 2), (4, 41, 89)), ((2, 59, 0), (3, 60, 90))]:
        part = tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))
        out = np.full([b - a for a, b in zip(lo, hi, strict=True)], np.nan, np.float32)
        assert background.snr(np.ascontiguousarray(pixels[part]), lo, out=out) is out
        np.testing.assert_array_equal(out, whole[part])
    assert np.isfinite(background.snr(np.ones((2, 5, 5), np.float32), (-1, -5, -5))).all()


@pytest.mark.parametrize("padding", [np.nan, 0.0])
def test_padding_does_not_count(noise: np.ndarray, padding: float) -> None:
    array = noise + 7
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    array[np.hypot(y, x) > 200] = padding
    background = estimate_background(image_of(array))
    np.testing.assert_allclose(background.rms[0, 1:-1, 1:-1], 1, rtol=0.1)
    assert np.isfinite(background.rms).all()
    assert background.rms.min() > 0.8


@pytest.mark.parametrize("value", [0.0, 3.0, np.nan])
def test_constant_images_have_an_answer(value: float) -> None:
    image = image_of(np.full((64, 64), value))
    background = estimate_background(image)
    level, rms = background.at((0, 0, 0), image.shape)
    assert (rms > 0).all()
    assert np.isfinite(level).all()
    if np.isfinite(value):
        np.testing.assert_allclose((value - level) / rms, 0, atol=1)


def test_quantised_noise(noise: np.ndarray) -> None:
    background = estimate_background(image_of(np.rint(3 * noise)))
    assert np.median(background.rms) == pytest.approx(np.hypot(3, 12**-0.5), rel=0.05)


def test_each_plane_of_a_cube_has_its_own() -> None:
    rng = np.random.default_rng(2)
    cube = rng.normal(size=(3, 128, 128)) * np.array([1, 2, 4])[:, np.newaxis, np.newaxis]
    header = sky_header(128, 128, CTYPE3="FREQ", CRVAL3=1.4e9, CRPIX3=1.0, CDELT3=1e6)
    background = estimate_background(open_image((cube.astype(np.float32), header)))
    np.testing.assert_allclose(background.rms[:, 0, 0], [1, 2, 4], rtol=0.1)
    _, rms = background.at((1, 0, 0), (3, 2, 2))
    np.testing.assert_allclose(rms[:, 0, 0], background.rms[1:, 0, 0], rtol=1e-6)


def test_small_images_and_narrow_strips(noise: np.ndarray) -> None:
    for shape in ((40, 40), (5, 300), (300, 20)):
        background = estimate_background(image_of(noise[: shape[0], : shape[1]]))
        np.testing.assert_allclose(background.rms, 1, atol=0.4)


def test_progress_counts_to_the_end(noise: np.ndarray) -> None:
    seen: list[tuple[int, int]] = []
    estimate_background(image_of(noise), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_real_sdc1_piece() -> None:
    # The noise of the map is known from its power spectrum: 0.341 uJy/beam; sources cover it densely.
    background = estimate_background(open_image(shared("sdc1_cutout/B1_1000h_0.05tr.fits")))
    assert background.rms[0, 0, 0] == pytest.approx(0.341e-6, rel=0.03)
    assert background.level[0, 0, 0] == pytest.approx(-0.24e-6, abs=0.03e-6)


@pytest.mark.parametrize(
    "wrong", [{"cell": -1}, {"samples": 3}, {"filter_size": 2}, {"lower": 1.0}, {"upper": -2.0}]
)
def test_nonsense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        BackgroundOptions(**wrong)  # type: ignore[arg-type]
