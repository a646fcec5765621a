"""Normalisation: by hand, against NumPy, and through its stored form."""

from __future__ import annotations

import json

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.errors import ConfigError
from skadetect.normalize import Normalization

BEAM = PixelBeam(4.0, 2.5, 0.7)


def test_features_equal_numpy() -> None:
    s = np.linspace(-20, 4000, 120, dtype=np.float32).reshape(2, 6, 10)
    s[0, 0, :5] = [0, 1e-3, -1e-3, 1e6, -1e6]
    norm = Normalization(stretches=(("tanh", 4.0, 1.0), ("asinh", 2.0, 3.0), ("linear", 10.0, 2.0)))
    x = norm.apply(s, BEAM)
    assert x.shape == (2, 6, 10, norm.features)
    assert norm.features == 6
    wide = s.astype(np.float64)
    expected = np.stack([np.tanh(wide / 4), np.arcsinh(wide / 2) / 3, wide / 20], axis=-1)
    np.testing.assert_allclose(x[..., :3], expected, rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(x[..., 3:], np.broadcast_to(BEAM.features(), (2, 6, 10, 3)), rtol=1e-6)


def test_without_beam_planes() -> None:
    norm = Normalization(beam_planes=False)
    assert norm.apply(np.zeros((1, 2, 3), np.float32), BEAM).shape == (1, 2, 3, 2)


def test_a_window_is_the_same_as_the_whole() -> None:
    s = np.random.default_rng(0).normal(size=(1, 37, 41)).astype(np.float32) * 30
    norm = Normalization()
    np.testing.assert_array_equal(norm.apply(s[:, 3:20, 5:40], BEAM), norm.apply(s, BEAM)[:, 3:20, 5:40])


@pytest.mark.parametrize("channel_range", [None, (4.0, 12.0)])
def test_round_trip_through_json(channel_range: tuple[float, float] | None) -> None:
    norm = Normalization((("asinh", 1.5, 2.0),), False, (2.0, 7.0), channel_range)
    assert Normalization.from_dict(json.loads(json.dumps(norm.to_dict()))) == norm


@pytest.mark.parametrize(
    "data",
    [
        {"stretches": [["sqrt", 1.0, 1.0]]},
        {"stretches": [["tanh", 0.0, 1.0]]},
        {"stretches": [["tanh", 1.0]]},
        {"fwhm_range": [3.0, 2.0]},
        {"clip": 3},
    ],
)
def test_nonsense_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Normalization.from_dict(data)
