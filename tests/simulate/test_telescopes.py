from dataclasses import replace

import numpy as np
import pytest

from skadetect.errors import ConfigError
from skadetect.simulate import draw_field, random_telescope

MANY = [random_telescope(seed, size=256) for seed in range(200)]


def test_same_seed_same_telescope():
    assert random_telescope(3, size=256) == MANY[3]
    assert random_telescope(4, size=256) != MANY[3]


def test_beams_cover_the_promised_range():
    sampling = np.array([np.sqrt(o.beam_major * o.beam_minor) / o.pixel_scale for o in MANY])
    elongation = np.array([o.beam_major / o.beam_minor for o in MANY])
    assert 2.3 <= sampling.min() < 2.5
    assert 5.5 < sampling.max() <= 6.0
    assert elongation.min() == 1.0
    assert 1.8 < elongation.max() <= 2.0
    assert min(o.beam_minor / o.pixel_scale for o in MANY) > 1.99


def test_every_artefact_occurs_and_is_absent():
    for name in (
        "sidelobe_level",
        "spoke_level",
        "noise_gradient",
        "stripe_level",
        "nan_border",
        "diffuse_count",
    ):
        present = np.mean([getattr(o, name) > 0 for o in MANY])
        assert 0.15 < present < 0.85, name
    assert {o.noise_spectrum for o in MANY} == {"sdc1", "natural", "beam"}


@pytest.mark.parametrize("seed", [1, 3, 8])
def test_field_shows_noise_at_its_level(seed):
    options = random_telescope(seed, size=256)
    field = draw_field(options)
    image = field.image[np.isfinite(field.image)]
    spread = 1.4826 * np.median(np.abs(image - np.median(image)))
    assert 0.5 < spread / options.noise_rms < 3
    assert np.all(field.truth.flux > 0)


def test_crowding_is_within_its_range_and_changes_nothing_else():
    sparse = [random_telescope(seed, size=256, crowding=(1e-5, 1e-4)) for seed in range(len(MANY))]
    thinner = np.array([one.density / usual.density for one, usual in zip(sparse, MANY, strict=True)])
    # the same draw of both ranges: 2e-4 becomes 1e-5, 0.06 becomes 1e-4
    assert thinner.max() == pytest.approx(1e-5 / 2e-4, rel=0.15)
    assert thinner.min() == pytest.approx(1e-4 / 0.06, rel=0.15)
    assert replace(sparse[0], density=MANY[0].density) == MANY[0]
    with pytest.raises(ConfigError, match="crowding"):
        random_telescope(1, crowding=(1e-2, 1e-4))


def test_negative_seed_is_refused():
    with pytest.raises(ConfigError, match="seed = -1"):
        random_telescope(-1)
