"""Encoding is scale-free, invertible above the floors, and follows the image through flips."""

import json

import numpy as np
import pytest

from skadetect.errors import ModelError
from skadetect.parameters import CONTINUUM, ParameterSpec, angle_spread, decode, encode


def _columns(n=50, seed=0):
    rng = np.random.default_rng(seed)
    bmaj = rng.uniform(0.5, 20.0, n)
    return {
        "int_flux": rng.lognormal(3.0, 2.0, n),
        "bmaj": bmaj,
        "bmin": bmaj * rng.uniform(0.2, 1.0, n),
        "theta": rng.uniform(-np.pi / 2, np.pi / 2, n),
    }


def test_decode_inverts_encode():
    columns = _columns()
    anchor = np.linspace(1.0, 300.0, 50)
    encoded = encode(CONTINUUM, columns, anchor=anchor, beam_fwhm=2.5)
    assert encoded.shape == (50, 5) and encoded.dtype == np.float32
    decoded = decode(CONTINUUM, encoded, anchor=anchor, beam_fwhm=2.5)
    assert set(decoded) == set(columns)
    for name, value in columns.items():
        np.testing.assert_allclose(decoded[name], value, rtol=2e-6, atol=1e-6, err_msg=name)


def test_numbers_do_not_depend_on_depth_or_sampling():
    columns = _columns()
    other = columns | {
        "int_flux": columns["int_flux"] * 7,
        "bmaj": columns["bmaj"] * 3,
        "bmin": columns["bmin"] * 3,
    }
    here = encode(CONTINUUM, columns, anchor=10.0, beam_fwhm=2.5)
    there = encode(CONTINUUM, other, anchor=70.0, beam_fwhm=7.5)
    np.testing.assert_allclose(here, there, atol=2e-6)


def test_a_point_source_at_its_anchor_encodes_to_zero_flux_and_the_floor_size():
    encoded = encode(
        CONTINUUM, {"int_flux": [12.0], "bmaj": [0.0], "bmin": [0.0]}, anchor=12.0, beam_fwhm=3.0
    )
    np.testing.assert_allclose(encoded[0, :3], [0.0, np.log(0.02), np.log(0.02)], rtol=1e-6)


def test_unknown_values_stay_unknown():
    encoded = encode(CONTINUUM, {"int_flux": [1.0, np.nan]}, anchor=1.0, beam_fwhm=1.0)
    assert np.isfinite(encoded[0, 0]) and np.isnan(encoded[1, 0]) and np.isnan(encoded[:, 1:]).all()


def test_an_angle_and_its_half_turn_are_the_same_target():
    angle = np.array([0.3, 0.3 + np.pi, 0.3 - np.pi])
    encoded = encode(CONTINUUM, {"theta": angle}, anchor=1.0, beam_fwhm=1.0)
    np.testing.assert_allclose(encoded[1:, 3:], encoded[[0, 0], 3:], atol=1e-6)


def test_specs_survive_json():
    for spec in CONTINUUM:
        assert ParameterSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    "mapping",
    [
        {"name": "a", "column": "a", "transform": "cube"},
        {"name": "a", "column": "a", "scale": "moon"},
        {"name": "a", "column": "a", "transform": "log"},
        {"name": "a", "column": "a", "colour": "red"},
    ],
)
def test_a_spec_that_makes_no_sense_is_refused_by_name(mapping):
    with pytest.raises(ModelError, match="'a'"):
        ParameterSpec.from_dict(mapping)


def test_no_sources_encode_to_an_empty_table():
    empty = encode(CONTINUUM, {"int_flux": []}, anchor=np.empty(0), beam_fwhm=2.0)
    assert empty.shape == (0, 5)
    assert decode(CONTINUUM, empty, anchor=np.empty(0), beam_fwhm=2.0)["theta"].shape == (0,)


def test_the_spread_of_an_angle_is_that_of_its_mean_vector():
    rng = np.random.default_rng(0)
    angles = rng.normal(0.7, np.radians([[5.0], [15.0]]), (2, 100_000))
    encoded = np.zeros((2, len(CONTINUUM)), np.float32)
    encoded[:, 3], encoded[:, 4] = np.cos(2 * angles).mean(axis=1), np.sin(2 * angles).mean(axis=1)
    np.testing.assert_allclose(np.degrees(angle_spread(CONTINUUM, encoded)), [5.0, 15.0], rtol=0.02)
    unknown = angle_spread(CONTINUUM, np.zeros((1, 5), np.float32))
    assert np.degrees(unknown)[0] == pytest.approx(180 / np.sqrt(12))
    assert np.isnan(angle_spread(CONTINUUM[:3], encoded[:, :3])).all()
