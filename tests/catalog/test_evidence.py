"""Terms of odds: finite for hopeless rows, and what they say they are."""

import numpy as np
import pytest

from skadetect.catalog.evidence import KINDS, bright_density

HOPELESS = {
    "cube": {
        "score": np.array([0.0, 1.0]),
        "snr": np.array([0.0, 5.0]),
        "f_max": np.array([-1e-5, 1e-4]),
        "rms": np.full(2, 3e-5),
        "w20": np.array([0.0, 100.0]),
        "beyond": np.zeros(2),
        "averaged": np.ones(2),
        "cut": np.zeros(2),
    },
    "image": {"score": np.array([0.0, 1.0]), "snr": np.array([-3.0, 1e9]), "density": 1e-9},
}


@pytest.mark.parametrize("kind", KINDS)
def test_evidence_is_finite_for_hopeless_rows(kind):
    evidence = KINDS[kind]
    assert set(evidence.columns) == set(HOPELESS[kind])
    terms = evidence.of(HOPELESS[kind])
    assert terms.shape == (2, len(evidence.terms)) and np.isfinite(terms).all()


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_have_no_terms(kind):
    none = {name: np.zeros(0) for name in KINDS[kind].columns}
    assert KINDS[kind].of(none).shape == (0, len(KINDS[kind].terms))


def test_peaks_of_an_image_count_as_noise_does():
    columns = {"score": np.full(3, 0.5), "snr": np.array([3.0, 5.0, 20.0]), "density": np.exp(-5.0)}
    score, peak, density, crowded = KINDS["image"].of(columns).T
    np.testing.assert_allclose(peak, [4.5, 12.5, 32.0])
    np.testing.assert_allclose(score, 0.0, atol=1e-12)
    np.testing.assert_allclose(density, -5.0)
    np.testing.assert_allclose(crowded, 0.0, atol=1e-12)


def test_bright_sources_are_counted_and_small_fields_are_taken_to_be_usual():
    snr, score = np.array([3.0, 7.0, 50.0, 50.0, np.nan]), np.array([0.9, 0.9, 0.1, 0.9, 0.9])
    assert bright_density(snr, score, 1e6) == pytest.approx(2e-6, rel=0.6)
    assert bright_density(np.repeat(snr, 1000), np.repeat(score, 1000), 1e6) == pytest.approx(2e-3, rel=2e-3)
    assert bright_density([], [], 10.0) == pytest.approx(1 / 500, rel=0.05)
