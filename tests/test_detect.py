"""From a file to a catalogue: invariance to tiles and workers, empty results, bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

import skadetect
from skadetect.beams import PixelBeam, convolve
from skadetect.catalog.catalog import Catalog
from skadetect.catalog.flags import Flag
from skadetect.detect import DetectOptions, Detector
from skadetect.detections import Detections
from skadetect.errors import ConfigError, InputError, ModelError
from skadetect.evaluate.injection import inject_gaussians
from skadetect.job import Job, detect_tile
from skadetect.nn.model import Model
from skadetect.tiling import Tile
from tests.fits_files import PIXEL, sky_header
from tests.nn.networks import small_model

SHAPE = (150, 190)


def _picture(seed: int = 0) -> tuple[np.ndarray, fits.Header]:
    """Noise with bright spots and a blank corner."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(0.0, 1e-6, SHAPE).astype(np.float32)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for _ in range(40):
        cy, cx = rng.uniform(0, SHAPE[0]), rng.uniform(0, SHAPE[1])
        pixels += rng.uniform(5e-6, 5e-5) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 3.2).astype(np.float32)
    pixels[:20, :30] = np.nan
    return pixels, sky_header(SHAPE[1], SHAPE[0])


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    by_pixels = {"moment_mean": {"place": 5.0, "axes": 5.0, "angle": 1.0}}
    by_pixels |= {"flux_mean": {"network": 0.5, "aperture": 0.1}}
    model = replace(small_model(threshold=0.5), metadata=by_pixels)
    return model.save(tmp_path_factory.mktemp("model") / "small.safetensors")


@pytest.fixture(scope="module")
def image_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "image.fits"
    fits.PrimaryHDU(*_picture()).writeto(path)
    return path


@pytest.fixture(scope="module")
def whole(model_file: Path, image_file: Path) -> Catalog:
    return skadetect.detect(image_file, model=str(model_file), tile=256)


@pytest.mark.parametrize(
    "changes",
    [
        {"tile": 32},
        {"tile": 50},
        {"tile": 100},
        {"tile": 64, "workers": 2},
        {"tile": 64, "workers": 2, "scheduler": "processes"},
        {"tile": 48, "device": "reference"},
    ],
    ids=str,
)
def test_neither_tiles_nor_workers_nor_back_end_change_the_catalogue(
    changes: dict[str, object], model_file: Path, image_file: Path, whole: Catalog
) -> None:
    found = skadetect.detect(image_file, model=str(model_file), **changes)
    assert len(found) == len(whole) > 100
    for name in ("x", "y"):
        np.testing.assert_allclose(found.table[name].value, whole.table[name].value, atol=1e-3)
    np.testing.assert_array_equal(found.table["local_rms"].value, whole.table["local_rms"].value)
    peaks = found.table["peak_flux"].value, whole.table["peak_flux"].value
    np.testing.assert_allclose(*peaks, rtol=1e-5)
    pixels = (np.asarray(whole.table["flags"]) & Flag.SPLIT.value) == 0  # others are fitted
    np.testing.assert_array_equal(peaks[0][pixels], peaks[1][pixels])
    for name in ("int_flux", "aper_flux", "bmaj", "bmin", "bmaj_deconv"):
        np.testing.assert_allclose(found.table[name].value, whole.table[name].value, rtol=2e-3, err_msg=name)
    np.testing.assert_array_equal(found.table["flags"], whole.table["flags"])
    np.testing.assert_array_equal(found.table["name"], whole.table["name"])


@pytest.mark.parametrize(
    "changes",
    [
        {"tile": 24},
        {"tile": 64, "workers": 2},
        {"tile": 64, "workers": 2, "scheduler": "processes"},
        {"max_memory": "600MB"},
    ],
    ids=str,
)
def test_nor_do_they_change_what_is_found_in_smoothed_views(
    changes: dict[str, object], model_file: Path, image_file: Path, whole: Catalog
) -> None:
    one = skadetect.detect(image_file, model=str(model_file), tile=256, levels=1)
    found = skadetect.detect(image_file, model=str(model_file), levels=1, **changes)
    scale = np.asarray(found.table["scale"])
    assert (scale == 1).sum() == len(whole) and (scale == 2).sum() > 5 and one.meta["levels"] == 2
    np.testing.assert_array_equal(scale, one.table["scale"])
    for name in ("x", "y"):
        np.testing.assert_allclose(found.table[name].value, one.table[name].value, atol=2e-3)
    for name in ("int_flux", "bmaj", "snr"):
        np.testing.assert_allclose(found.table[name].value, one.table[name].value, rtol=5e-3, err_msg=name)


def test_nothing_on_blank_pixels_and_their_neighbours_are_flagged(whole: Catalog) -> None:
    x, y = whole.table["x"].value, whole.table["y"].value
    assert not ((x < 28) & (y < 18)).any()
    close = ((x < 32) & (y < 22)) | (x < 2) | (y < 2)
    assert (np.asarray(whole.table["flags"])[close] & 1).all()
    far = (x > 40) & (y > 40) & (x < SHAPE[1] - 10) & (y < SHAPE[0] - 10)
    assert not (np.asarray(whole.table["flags"])[far] & 1).any()


def test_peaks_and_noise_are_the_images(whole: Catalog) -> None:
    pixels, _ = _picture()
    table = whole.table[(np.asarray(whole.table["flags"]) & Flag.SPLIT.value) == 0]  # those have shares
    x, y = np.rint(table["x"].value).astype(int), np.rint(table["y"].value).astype(int)
    highest = np.array(
        [np.nanmax(pixels[max(0, b - 1) : b + 2, max(0, a - 1) : a + 2]) for a, b in zip(x, y, strict=True)]
    )
    bright = highest > 1e-5
    # a parabola through the highest pixel reaches above it by less than half the drop to its neighbours
    ratio = table["peak_flux"].value[bright] / highest[bright]
    assert ((ratio > 0.95) & (ratio < 1.3)).all()
    np.testing.assert_allclose(table["local_rms"].value, 1e-6, rtol=0.15)


def test_an_array_in_memory_gives_what_its_file_gives(model_file: Path, whole: Catalog) -> None:
    found = Detector(model_file, tile=64).detect(_picture())
    np.testing.assert_allclose(found.table["x"].value, whole.table["x"].value, atol=1e-3)


def test_an_oversampled_image_is_binned_and_its_pixels_are_the_files(
    model_file: Path, image_file: Path
) -> None:
    pixels, header = _picture()
    big = np.repeat(np.repeat(pixels, 4, axis=0), 4, axis=1)
    for key in ("CDELT1", "CDELT2"):
        header[key] /= 4
    for key in ("CRPIX1", "CRPIX2"):
        header[key] = (header[key] - 0.5) * 4 + 0.5
    found = skadetect.detect((big, header), model=str(model_file))
    small = skadetect.detect(image_file, model=str(model_file))
    assert found.table.meta["resampled"] == pytest.approx(4.0, abs=1.1)
    assert found.table["x"].value.max() > 2 * small.table["x"].value.max()
    np.testing.assert_allclose(
        found.table["ra"].value.mean(), small.table["ra"].value.mean(), atol=20 * header["CDELT2"]
    )


def test_an_empty_catalogue_is_a_result(model_file: Path) -> None:
    _, header = _picture()
    for pixels in (np.full(SHAPE, np.nan, np.float32), np.zeros(SHAPE, np.float32)):
        found = skadetect.detect((pixels, header), model=str(model_file), threshold=0.999999)
        assert len(found) == 0
        assert {"ra", "dec", "x", "y", "int_flux"} <= set(found.table.colnames)


@pytest.mark.parametrize(
    ("sources", "threshold", "warned"), [(2, None, True), (2, 0.5, False), (60, None, False)]
)
def test_of_a_sparse_field_it_is_said_that_noise_may_be_among_the_sources(
    sources: int, threshold: float | None, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(4)
    pixels = np.zeros((384, 384))
    pixels[tuple(rng.integers(20, 364, (2, sources)))] = 60.0
    sigma = 3.0 / 2.3548  # of sky_header's beam
    noise = gaussian_filter(rng.normal(0.0, 1.0, pixels.shape), sigma) * 2 * sigma * np.pi**0.5
    pixels = noise + 2 * np.pi * sigma**2 * gaussian_filter(pixels, sigma)
    header = sky_header(384, 384)
    found = skadetect.detect((pixels.astype(np.float32), header), model="sdc1", threshold=threshold)
    assert sources - 8 <= len(found) <= sources + 12
    assert any("the faint rows may be noise" in line for line in caplog.messages) == warned


def test_fluxes_of_bright_sources_are_those_of_their_pixels() -> None:
    rng, side, step = np.random.default_rng(5), 400, 40
    sigma = 3.0 / 2.3548  # of sky_header's beam
    noise = gaussian_filter(rng.normal(0.0, 1.0, (side, side)), sigma, mode="wrap") * 2 * sigma * np.pi**0.5
    grid = np.mgrid[step // 2 : side : step, step // 2 : side : step].reshape(2, -1)
    y, x = grid + rng.uniform(-4, 4, grid.shape)
    bmaj = rng.uniform(0.0, 6.0, 100)
    shape = {"bmaj": bmaj, "bmin": bmaj * rng.uniform(0.3, 1.0, 100), "theta": rng.uniform(-1.5, 1.5, 100)}
    sources = {"x": x, "y": y, "int_flux": np.exp(rng.uniform(np.log(300), np.log(5000), 100)), **shape}
    pixels, truth = inject_gaussians(noise.astype(np.float32), sources, PixelBeam(3.0, 3.0, 0.0))
    every = skadetect.detect((pixels, sky_header(side, side)), threshold=0.1).to_pandas()
    assert cKDTree(every[["y", "x"]]).query(truth[["y", "x"]])[0].max() < 1.0
    found = skadetect.detect((pixels, sky_header(side, side))).to_pandas()
    distance, row = cKDTree(found[["y", "x"]]).query(truth[["y", "x"]])
    seen = distance < 1.0  # a large one may be improbable: bright pieces of larger sources look alike
    assert seen.sum() >= 98 and len(found) <= 104
    rows, truth = found.iloc[row[seen]], truth[seen]
    ratio = rows["int_flux"].to_numpy() / truth["int_flux"].to_numpy()
    assert np.median(ratio) == pytest.approx(1.0, abs=0.015)
    assert np.quantile(np.abs(ratio - 1.0), 0.68) < 0.02
    pulls = np.abs(ratio - 1.0) * truth["int_flux"].to_numpy() / rows["e_int_flux"].to_numpy()
    assert np.mean(pulls < 1.0) > 0.5 and np.mean(pulls < 3.0) > 0.95
    # the pixels tell the places and shapes of what is as bright, too
    assert np.median(distance[seen]) < 0.01 and np.quantile(distance[seen], 0.95) < 0.05
    large = rows["bmaj_deconv"].to_numpy() > 3600.0 * PIXEL * 1.5
    bright = (rows["snr"].to_numpy() > 100) & large
    axis = rows["bmaj"].to_numpy() / (3600.0 * PIXEL * np.hypot(truth["bmaj"].to_numpy(), 3.0))
    assert np.median(axis[bright]) == pytest.approx(1.0, abs=0.005)
    assert np.quantile(np.abs(axis[bright] - 1.0), 0.68) < 0.02
    angle = rows["pa_deconv"].to_numpy() + 90.0 - np.degrees(truth["theta"].to_numpy())
    long = bright & (truth["bmaj"] > 1.3 * truth["bmin"]).to_numpy()
    assert np.median(np.abs((angle[long] + 90.0) % 180.0 - 90.0)) < 1.5


def test_sources_of_any_size_come_back_once() -> None:
    """Gaussians of four to twenty-four beams in beam-correlated noise, 10 to 30 times it at the peak."""
    shape, fwhm, rms = (900, 900), 4.0, 1e-5
    sigma = fwhm / 2.3548
    noise = gaussian_filter(np.random.default_rng(5).normal(0.0, 1.0, shape), sigma, mode="wrap")
    header = sky_header(shape[1], shape[0])
    header["BMAJ"] = header["BMIN"] = fwhm * abs(header["CDELT1"])
    beam = PixelBeam(fwhm, fwhm)
    beams, peak = np.array([4.0, 7.0, 12.0, 24.0, 5.0, 9.0]), np.array([30.0, 20.0, 15.0, 10.0, 100.0, 300.0])
    seen = convolve(beams * fwhm, 0.6 * beams * fwhm, np.full(6, 0.5), beam)
    truth = {
        "y": np.array([130.0, 150.0, 420.0, 700.0, 430.0, 760.0]),
        "x": np.array([130.0, 450.0, 200.0, 620.0, 700.0, 160.0]),
        "int_flux": peak * rms * seen[0] * seen[1] / fwhm**2,
        "bmaj": beams * fwhm,
        "bmin": 0.6 * beams * fwhm,
        "theta": np.full(6, 0.5),
    }
    pixels, _ = inject_gaussians(noise / noise.std() * rms, truth, beam)
    table = skadetect.detect((pixels.astype(np.float32), header)).to_pandas()
    off = np.hypot(table["y"].to_numpy()[:, None] - truth["y"], table["x"].to_numpy()[:, None] - truth["x"])
    on = off < 0.6 * truth["bmaj"]
    np.testing.assert_array_equal(on.sum(axis=0), 1)  # one row each
    row = on.argmax(axis=0)
    np.testing.assert_allclose(table["int_flux"].to_numpy()[row], truth["int_flux"], rtol=0.12)
    pixel = abs(header["CDELT1"]) * 3600
    np.testing.assert_allclose(table["bmaj_deconv"].to_numpy()[row] / pixel, truth["bmaj"], rtol=0.15)
    assert (off[row, np.arange(6)] < 0.05 * truth["bmaj"]).all()
    assert len(table) <= 8
    # another threshold leaves fewer or more of the same rows, as it is not what is taken out before smoothing
    for threshold in (0.3, 0.85):
        other = skadetect.detect((pixels.astype(np.float32), header), threshold=threshold).to_pandas()
        both = [part[part["prob"] >= max(threshold, 0.7)] for part in (table, other)]
        for name in ("x", "scale", "int_flux", "prob"):
            np.testing.assert_allclose(both[0][name], both[1][name], rtol=1e-5)
        assert other["prob"].min() >= threshold and len(both[0]) > 1


@pytest.mark.parametrize("correlated", [True, False])
def test_noise_alone_gives_at_most_one_row(correlated: bool) -> None:
    noise = np.random.default_rng(8).normal(0.0, 1.0, (1024, 1024))
    if correlated:
        sigma = 3.0 / 2.3548  # of sky_header's beam
        noise = gaussian_filter(noise, sigma, mode="wrap") * 2 * sigma * np.pi**0.5
    found = skadetect.detect((noise.astype(np.float32), sky_header(1024, 1024)))
    assert len(found) <= 1


def test_provenance_says_how(whole: Catalog, model_file: Path) -> None:
    meta = whole.table.meta
    assert meta["network_seconds"] <= meta["wall_seconds"]
    assert meta["thresh"] == 0.5
    assert meta["resampled"] == 1.0


def test_bad_options_and_files_are_named(tmp_path: Path, model_file: Path, image_file: Path) -> None:
    with pytest.raises(ConfigError, match="unknown option 'thresh'"):
        skadetect.detect(image_file, thresh=0.5)
    with pytest.raises(ConfigError, match=r"threshold is 1\.5"):
        DetectOptions(threshold=1.5)
    with pytest.raises(ModelError, match="no model 'nonesuch'"):
        Detector("nonesuch")
    with pytest.raises(InputError, match=r"absent\.fits"):
        skadetect.detect(tmp_path / "absent.fits", model=str(model_file))
    broken = tmp_path / "broken.fits"
    broken.write_bytes(image_file.read_bytes()[:-60000])
    with pytest.raises(InputError, match=r"broken\.fits"):
        skadetect.detect(broken, model=str(model_file))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_from_its_finished_tiles(
    workers: int,
    tmp_path: Path,
    model_file: Path,
    image_file: Path,
    whole: Catalog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    detector = Detector(model_file, tile=64, workers=workers)
    calls: list[int] = []

    def counted(tile: Tile, job: Job) -> tuple[Detections, float]:
        calls.append(tile.index)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return detect_tile(tile, job)

    monkeypatch.setattr("skadetect.job.detect_tile", counted)
    with pytest.raises(KeyboardInterrupt):
        detector.detect(image_file, resume_folder=tmp_path / "parts")
    before = len(calls)
    found = detector.detect(image_file, resume_folder=tmp_path / "parts")
    assert 5 - workers <= 9 - (len(calls) - before) <= before - 1
    assert sorted(set(calls)) == list(range(9))
    np.testing.assert_allclose(found.table["x"].value, whole.table["x"].value, atol=1e-3)


def test_smoothed_views_are_kept_for_a_later_run(tmp_path: Path, model_file: Path, image_file: Path) -> None:
    options, parts = DetectOptions(tile=64, levels=1), tmp_path / "parts"
    first = Detector(model_file, options=options).detect(image_file, resume_folder=parts)
    tiles = {path.name: path.stat().st_mtime_ns for path in (parts / "level-1").glob("tile-*.npz")}
    assert tiles
    again = Detector(model_file, options=options).detect(image_file, resume_folder=parts)
    assert tiles == {path.name: path.stat().st_mtime_ns for path in (parts / "level-1").glob("tile-*.npz")}
    np.testing.assert_array_equal(first.table["x"].value, again.table["x"].value)
    # another threshold leaves other rows, but takes the same sources out of the view
    Detector(model_file, options=replace(options, threshold=0.55)).detect(image_file, resume_folder=parts)
    assert tiles == {path.name: path.stat().st_mtime_ns for path in (parts / "level-1").glob("tile-*.npz")}
    # other sources taken out are another view
    other = replace(Model.load(model_file), threshold=0.55)
    Detector(other, options=options).detect(image_file, resume_folder=parts)
    assert tiles != {path.name: path.stat().st_mtime_ns for path in (parts / "level-1").glob("tile-*.npz")}


def test_a_cube_is_no_image(model_file: Path) -> None:
    pixels, header = _picture()
    header.update({"CTYPE3": "FREQ", "CRVAL3": 1.4e9, "CDELT3": 1e6, "CRPIX3": 1.0, "CUNIT3": "Hz"})
    with pytest.raises(InputError, match=r"has 3 axes .*'small' expects 2"):
        skadetect.detect((np.stack([pixels] * 3), header), model=str(model_file))
    single = skadetect.detect((pixels[None], header), model=str(model_file))
    assert len(single) > 100
