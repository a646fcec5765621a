"""The search of one view: thresholds by what the model knows, views kept where a later run finds them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skadetect.catalog.image_probability import COLUMNS, ImageReliability
from skadetect.catalog.probability import Reliability
from skadetect.detect_options import DetectOptions
from skadetect.errors import ConfigError
from skadetect.image import Image, open_image
from skadetect.job import Job, workers
from skadetect.nn.model import Model
from skadetect.search import CUBE_SAMPLES, Search, background_options, bar, held_room, probable, search_view
from tests.fits_files import sky_header
from tests.nn.networks import cube_model, small_model

LINE = {"CTYPE3": "FREQ", "CRVAL3": 1.4e9, "CDELT3": -4e4, "CRPIX3": 1.0, "CUNIT3": "Hz"}
KNOWN = Reliability(0.1, 0.0, {"score": 1.0}).to_dict()


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels = np.random.default_rng(5).normal(0.0, 1e-3, (48, 24, 28)).astype(np.float32)
    pixels[16:30, 8:14, 10:16] += 0.02
    path = tmp_path_factory.mktemp("cube") / "cube.fits"
    fits.PrimaryHDU(pixels, sky_header(28, 24, RESTFRQ=1.420405751786e9, **LINE)).writeto(path)
    return path


def search(source: object, model: Model, folder: Path | None = None, **options: object) -> Search:
    image = source if isinstance(source, Image) else open_image(source)
    return Search(source, image, model, model, "digest", DetectOptions(**options), "cpu", folder)


@pytest.fixture
def plane() -> Image:
    pixels = np.random.default_rng(1).normal(0.0, 1.0, (40, 56)).astype(np.float32)
    return open_image((pixels, sky_header(56, 40)))


def test_the_threshold_is_the_options_or_the_models(plane: Image) -> None:
    model = small_model(threshold=0.3)
    assert search(plane, model).threshold == 0.3
    assert search(plane, model, threshold=0.7).threshold == 0.7


def test_of_a_calibrated_model_all_that_may_be_probable_is_looked_at(cube: Path) -> None:
    model = cube_model(threshold=0.6)
    run = search(cube, replace(model, metadata={"reliability": KNOWN}))
    assert run.least_score(run.model) == 0.1  # the least that the calibration knows
    assert run.least_score(model) == 0.6
    assert search(cube, run.model, threshold=0.05).least_score(run.model) == 0.05


def test_only_a_model_that_looks_again_does(cube: Path) -> None:
    model = cube_model(threshold=0.6)
    again = {"second_look": {"orientations": 4, "least": 0.3}, "threshold": 0.4}
    both = replace(model, metadata={"looks": {"again": again}})
    assert search(cube, both).again is None
    run = search(cube, both.looking("again"))
    assert run.again is not None and run.again.orientations == 4 and run.threshold == 0.4
    assert run.least_again == 0.3
    assert search(cube, run.model, threshold=0.2).least_again == 0.2  # who wants the improbable, too


def test_memory_that_is_too_small_for_the_second_look_shows_before_the_first(
    cube: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = replace(cube_model(), metadata={"second_look": {"orientations": 4, "least": 0.3}})
    run = search(cube, model)

    def planned(job: Job, *_: object, **__: object) -> object:
        if job.orientations > 1:
            raise ConfigError("max_memory is too little")
        raise AssertionError("the first look was begun")

    monkeypatch.setattr("skadetect.search.plan", planned)
    with workers("cpu", run.options) as pool, pytest.raises(ConfigError, match="too little"):
        search_view(run, run.image, pool)


def test_coarser_views_of_a_file_are_kept_beside_its_tiles(cube: Path, plane: Image, tmp_path: Path) -> None:
    model = cube_model()
    run = search(cube, model, tmp_path)
    store = run.view_store(run.image)
    assert store.folder == tmp_path and store.key["repairs"] == list(run.image.repairs)
    assert store.memory == held_room("cpu", run.options) > 0
    # an array cannot be known again
    assert search(plane, model, tmp_path).view_store(plane).folder is None
    apart = DetectOptions(workers=2, scheduler="processes")
    assert held_room("cpu", apart) == 0.0


def test_a_search_finds_what_is_above_the_threshold_and_keeps_its_tiles(cube: Path, tmp_path: Path) -> None:
    model = cube_model(threshold=0.3).folded()
    every = search(cube, model, tmp_path)
    some = search(cube, model, threshold=0.45)
    with workers("cpu", every.options) as pool:
        found, fewer = search_view(every, every.image, pool), search_view(some, some.image, pool).rows
    rows = found.rows
    assert len(rows) > len(fewer) > 0 and found.seconds > 0
    assert rows.score.min() >= 0.3 and fewer.score.min() >= 0.45
    assert list((tmp_path / "level-0").glob("tile-*.npz"))
    assert not (tmp_path / "level-0-again").exists()


def test_of_a_calibrated_model_of_images_rows_are_kept_by_their_probability(plane: Image) -> None:
    odds = ImageReliability(0.2, {"score": -1.0, "constant": 0.2}, {"peak": -0.1, "constant": -1.0})
    model = small_model(threshold=0.3).folded()
    calibrated = replace(model, metadata={"reliability": odds.to_dict()})
    plain, known, few = (
        search(plane, model, threshold=0.2),
        search(plane, calibrated, threshold=0.2),
        search(plane, calibrated, threshold=0.6),
    )
    with workers("cpu", plain.options) as pool:
        rows, judged, kept = (search_view(run, plane, pool).rows for run in (plain, known, few))
    sure = probable(kept, 0.6)
    assert kept.prob.min() < 0.6  # the model's own threshold says what is taken out before smoothing
    assert np.isnan(rows.prob).all() and len(rows) > 3
    columns = dict.fromkeys(COLUMNS, 1.0)  # most are not among the slopes
    expected = odds.probability(columns | {"score": rows.score, "snr": rows.peak / rows.local_rms})
    np.testing.assert_allclose(judged.prob, expected[expected >= 0.2], rtol=1e-5)
    assert 0 < len(sure) < len(judged) and sure.prob.min() >= 0.6


def test_channels_are_sampled_and_images_are_not(cube: Path, plane: Image) -> None:
    options = background_options(open_image(cube))
    assert options is not None and options.samples == CUBE_SAMPLES
    assert background_options(plane) is None


def test_a_bar_follows_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    for shown in (True, False):
        with bar(shown, "tiles") as show:
            for done in (1, 3):
                show(done, 3)
        assert ("tiles: 100%" in capsys.readouterr().err) == shown
