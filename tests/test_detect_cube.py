"""From a cube to a catalogue of galaxies: levels, options, empty results, and which model reads what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from skadetect.catalog.probability import Reliability
from skadetect.detect import Detector
from skadetect.errors import ConfigError, InputError
from skadetect.nn.model import Model
from skadetect.pyramid import beside_brighter
from skadetect.second_look import AGAIN, near
from skadetect.tiling import TileGrid
from tests.fits_files import sky_header
from tests.nn.networks import cube_model

SHAPE = (64, 40, 48)


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(5)
    pixels = rng.normal(0.0, 1e-3, SHAPE).astype(np.float32)
    pixels[20:40, 10:16, 10:16] += 0.02
    cards = {"CTYPE3": "FREQ", "CRVAL3": 1.4e9, "CDELT3": -4e4, "CRPIX3": 1.0, "CUNIT3": "Hz"}
    path = tmp_path_factory.mktemp("cube") / "cube.fits"
    fits.PrimaryHDU(pixels, sky_header(SHAPE[2], SHAPE[1], RESTFRQ=1.420405751786e9, **cards)).writeto(path)
    return path


@pytest.fixture(scope="module")
def model() -> Model:
    return replace(cube_model(threshold=0.3), nms_overlap=0.2)


def test_a_catalogue_of_a_cube_does_not_depend_on_tiles(cube: Path, model: Model) -> None:
    one, other = (Detector(model, tile=tile, levels=1).detect(cube) for tile in (80, 16))
    assert one.is_cube and len(one) == len(other) > 5
    for name in ("x", "y", "z", "f_sum"):
        np.testing.assert_allclose(one.table[name].value, other.table[name].value, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(one.table["flag"], other.table["flag"])
    assert one.meta["levels"] == 2


def test_levels_are_for_models_that_are_made_for_them(cube: Path, model: Model) -> None:
    assert Detector(model).detect(cube).meta["levels"] == 1
    made = replace(model, metadata={"pyramid": True})
    assert Detector(made).detect(cube).meta["levels"] == 3  # 40 pixels, 20 and 10
    assert Detector(made, levels=0).detect(cube).meta["levels"] == 1


def test_views_on_disk_give_the_catalogue_of_views_in_memory(
    cube: Path, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Detector(replace(model, metadata={"pyramid": True}))
    held = detector.detect(cube)
    monkeypatch.setattr("skadetect.search.HELD_SHARE", 0.0)
    stored, again = (detector.detect(cube, resume_folder=tmp_path / "parts") for _ in range(2))
    assert len(list((tmp_path / "parts").glob("view-*.f32"))) == 2
    assert len(held) == len(stored) == len(again) > 5
    for name in ("x", "f_sum", "flag"):
        np.testing.assert_array_equal(held.table[name], stored.table[name])
        np.testing.assert_array_equal(held.table[name], again.table[name])


def test_of_a_calibrated_model_the_threshold_is_of_the_probability(cube: Path, model: Model) -> None:
    everything = Detector(model, threshold=0.3).detect(cube)
    assert np.isnan(everything.table["prob"]).all()
    odds = Reliability(0.05, -1.0, {"score": 1.0, "snr": 0.5, "loud": 0.2, "peak": 0.3, "w20": -0.1})
    calibrated = replace(model, metadata={"reliability": odds.to_dict()})
    all_rows = Detector(calibrated, threshold=0.06).detect(cube)
    ranked = np.sort(all_rows.table["prob"])
    least = float(ranked[len(ranked) // 2 : len(ranked) // 2 + 2].mean())
    some = Detector(calibrated, threshold=least).detect(cube)
    columns = {name: np.asarray(all_rows.table[name].value) for name in ("snr", "f_max", "rms", "w20")}
    columns |= {"score": np.asarray(all_rows.table["score"])}
    # not among these slopes
    columns |= dict.fromkeys(("beyond", "averaged", "cut", "beside"), np.zeros(len(all_rows)))
    np.testing.assert_allclose(all_rows.table["prob"], odds.probability(columns), rtol=1e-4)
    assert 0 < len(some) < len(all_rows)
    kept = all_rows.table[np.asarray(all_rows.table["prob"]) >= least]
    np.testing.assert_array_equal(some.table["x"], kept["x"])


def test_rows_beside_brighter_ones_are_less_probable(cube: Path, model: Model) -> None:
    def found(slope: float, threshold: float = 0.3) -> Table:
        odds = Reliability(0.05, 0.0, {"score": 1.0, "beside": slope})
        known = replace(model, metadata={"pyramid": True, "reliability": odds.to_dict()})
        return Detector(known, threshold=threshold).detect(cube).table

    usual, fewer = found(0.0), found(-30.0)
    boxes = np.stack(
        [np.stack([np.asarray(usual[f"{axis}_{end}"].value) for axis in "zyx"], 1) for end in ("min", "max")],
        axis=1,
    )
    beside = beside_brighter(boxes, np.asarray(usual["f_sum"].value))
    assert 0 < beside.sum() < len(usual)
    np.testing.assert_array_equal(fewer["x"], usual["x"][~beside])
    np.testing.assert_array_equal(fewer["prob"], usual["prob"][~beside])
    halved = found(-np.log(2.0), 0.01)
    odds = np.asarray(halved["prob"]) / (1 - np.asarray(halved["prob"]))
    plain = np.asarray(halved["score"]) / (1 - np.asarray(halved["score"]))
    np.testing.assert_allclose(np.unique(np.round(odds / plain, 3)), [0.5, 1.0])


def test_probabilities_are_of_as_many_looks_as_the_model_knows(cube: Path, model: Model) -> None:
    one, eight = (Reliability(0.1, constant, {"score": 1.0}).to_dict() for constant in (0.0, 2.0))
    known = replace(model, metadata={"reliability": one})
    with pytest.raises(ConfigError, match="orientations is 8, expected 1: "):
        Detector(known, orientations=8).detect(cube)
    both = replace(
        known, metadata={"reliability": one, "looks": {"8": {"reliability": eight, "threshold": 0.7}}}
    )
    with pytest.raises(ConfigError, match="orientations is 4, expected 1 or 8: "):
        Detector(both, orientations=4).detect(cube)
    looked = Detector(both, orientations=8).detect(cube)
    odds = np.log(looked["score"] / (1 - looked["score"])) + 2.0
    np.testing.assert_allclose(looked["prob"], 1 / (1 + np.exp(-odds)), rtol=1e-4)
    assert looked.meta["thresh"] == 0.7 and min(looked["prob"]) >= 0.7
    assert Detector(both).detect(cube).meta["thresh"] == model.threshold
    plain = [Detector(model, threshold=0.3, orientations=count).detect(cube) for count in (1, 8)]
    assert plain[0]["score"].tolist() != plain[1]["score"].tolist()


def test_a_second_look_says_what_eight_looks_say_of_what_one_look_found(
    cube: Path, model: Model, tmp_path: Path
) -> None:
    one, eight = (Reliability(0.1, constant, {"score": 1.0}).to_dict() for constant in (0.0, 0.5))
    several = {"reliability": eight, "threshold": 0.52}
    again = several | {"second_look": {"orientations": 8, "least": 0.5}}
    known = replace(model, metadata={"reliability": one, "looks": {"8": several, AGAIN: again}})
    detector = Detector(known)
    looked, first = detector.detect(cube), Detector(known, orientations=1, threshold=0.5).detect(cube)
    everywhere = Detector(known, orientations=8).detect(cube)
    places, seen, found = (
        np.stack([np.asarray(each[axis].value) for axis in "zyx"], axis=1)
        for each in (everywhere, first, looked)
    )
    grid = TileGrid.cover(SHAPE, SHAPE, halo=known.halo, step=known.stride)
    wanted = near(places, seen, grid)
    assert 3 < wanted.sum() < len(places)
    np.testing.assert_allclose(found, places[wanted], atol=1e-3)
    np.testing.assert_allclose(looked["prob"], np.asarray(everywhere["prob"])[wanted], rtol=1e-4)
    assert looked.meta["thresh"] == 0.52
    others = [Detector(known, tile=16), Detector(known, workers=2), Detector(known, tile=24, workers=2)]
    for other in others:
        np.testing.assert_allclose(other.detect(cube)["x"].value, looked["x"].value, atol=1e-3)
    stopped = [detector.detect(cube, resume_folder=tmp_path / "parts") for _ in range(2)]
    assert list((tmp_path / "parts" / "level-0-again").glob("tile-*"))
    for each in stopped:
        np.testing.assert_array_equal(each["x"].value, looked["x"].value)


def test_nothing_found_is_a_catalogue_without_rows(cube: Path, model: Model, tmp_path: Path) -> None:
    empty = Detector(model, threshold=0.999999).detect(cube)
    assert len(empty) == 0 and empty.is_cube
    empty.write(tmp_path / "empty.fits")
    assert len(fits.getdata(tmp_path / "empty.fits")) == 0


def test_flagged_channels_hold_no_galaxies(cube: Path, model: Model) -> None:
    found = Detector(model, flag_channels="0-15, 40-63").detect(cube)
    assert len(found) > 0
    z = found.table["z"].value
    assert ((z > 14) & (z < 41)).all()
    with pytest.raises(ConfigError, match=r"0 to 63"):
        Detector(model, flag_channels="70").detect(cube)


def test_models_that_do_not_fit_are_refused(cube: Path, model: Model) -> None:
    plane = (np.zeros(SHAPE[1:], np.float32), sky_header(SHAPE[2], SHAPE[1]))
    with pytest.raises(InputError, match=r"has 2 axes .* 'small-cube' expects 3"):
        Detector(model).detect(plane)
    with pytest.raises(InputError, match=r"has 3 axes .* 'continuum' expects 2"):
        Detector("continuum").detect(cube)


def test_auto_takes_the_model_of_the_rank(cube: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skadetect.detect.shipped_models", dict)
    with pytest.raises(InputError, match=r"cube\.fits has 3 axes .* no shipped model reads that"):
        Detector().detect(cube)
