"""Spectral axes: channels and frequencies there and back, widths, and coarser and finer channels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skadetect.spectral import LIGHT_KMS, SpectralAxis

OPTICAL = SpectralAxis(1.420405751786e9 / (1 + np.linspace(-400, 9000, 60) / LIGHT_KMS))


@pytest.mark.parametrize(
    "axis", [OPTICAL, SpectralAxis.linear(9.5e8, 3e4, 50), SpectralAxis.linear(1.4e9, -1e4, 2)]
)
def test_frequencies_lead_back_to_channels(axis: SpectralAxis) -> None:
    n = axis.freq.size
    z = np.concatenate([np.arange(n), np.linspace(-7, n + 7, 33)])
    np.testing.assert_allclose(axis.channel(axis.frequency(z)), z, atol=1e-6)
    np.testing.assert_array_equal(axis.frequency(np.arange(n)), axis.freq)
    assert axis.ascending == (axis.freq[-1] > axis.freq[0])


def test_widths() -> None:
    axis = SpectralAxis.linear(1.0e9, -2e4, 11)
    np.testing.assert_allclose(axis.width([-4, 0, 3.3, 10, 12]), 2e4)
    assert axis.channel_kms == pytest.approx(LIGHT_KMS * 2e4 / (1.0e9 - 1e5))
    between = np.abs(np.diff(OPTICAL.freq))
    np.testing.assert_allclose(OPTICAL.width(np.arange(1, 59)), (between[1:] + between[:-1]) / 2)
    assert np.shape(OPTICAL.width(3)) == ()


@given(st.integers(1, 9), st.integers(2, 40), st.floats(-2, 40))
def test_resampled_channels_lie_where_they_should(n: int, count: int, z: float) -> None:
    axis = SpectralAxis.linear(1.3e9, -5e4, count)
    for factor, other in ((n, axis.averaged(n)), (1 / n, axis.interpolated(n))):
        # Far beyond a single channel's centre there is still its step.
        np.testing.assert_allclose(other.frequency((z + 0.5) / factor - 0.5), axis.frequency(z), rtol=1e-13)
        np.testing.assert_allclose(other.width(0), 5e4 * factor)
    assert axis.averaged(n).freq.size == -(-count // n)
    assert axis.interpolated(n).freq.size == count * n


@pytest.mark.parametrize("freq", [[], [1.0, 1.0], [3.0, 1.0, 2.0], [1.0, np.nan], [-1.0, 1.0], [[1.0]]])
def test_what_is_no_axis(freq: list[float]) -> None:
    with pytest.raises(ValueError, match="frequencies"):
        SpectralAxis(np.array(freq))


def test_a_single_channel_has_a_step() -> None:
    axis = SpectralAxis.linear(1.0e9, -1e4, 1)
    assert not axis.ascending
    assert axis.width(0) == 1e4
    assert axis.channel(1.0e9 - 2e4) == pytest.approx(2)
