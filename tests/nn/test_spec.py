"""Specs of layers and networks."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.errors import ConfigError
from skadetect.nn.backends import reference
from skadetect.nn.network import Network
from skadetect.nn.spec import NetworkSpec
from tests.nn.networks import conv, small_spec


def test_dictionary_and_back_is_identity() -> None:
    spec = small_spec()
    assert NetworkSpec.from_dict(spec.to_dict()) == spec


def test_stride_halo_and_arithmetic_by_hand() -> None:
    spec = NetworkSpec.from_dict(
        {"input_features": 2, "layers": [conv("a", 3, 5, 2), conv("b", 4, 3, 2), conv("c", 4, 3)]}
    )
    assert spec.stride == (1, 4, 4)
    # 5/2 reaches 2 pixels, 3/2 then 1 cell of 2, 3 then 1 cell of 4: 8, a multiple of the stride
    assert spec.halo == (0, 8, 8)
    assert spec.flops_per_pixel() == 2 * (25 * 2 * 3 / 4 + 9 * 3 * 4 / 16 + 9 * 4 * 4 / 16)


def test_nothing_beyond_the_halo_is_seen() -> None:
    spec = small_spec()
    network = Network.initialise(spec, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    halo, step = spec.halo[1], spec.stride[1]
    side = 2 * halo + step
    x = rng.normal(size=(1, 1, side + 2 * step, side + 2 * step, 5)).astype(np.float32)
    y = x.copy()
    y[:, :, :step], y[:, :, -step:], y[:, :, :, :step], y[:, :, :, -step:] = 9.0, 9.0, 9.0, 9.0
    middle = (halo + step) // step
    a, b = (network.forward(array, reference)[0, 0, middle, middle] for array in (x, y))
    np.testing.assert_array_equal(a, b)
    y[:, :, halo + step] = 9.0
    assert np.abs(network.forward(y, reference)[0, 0, middle, middle] - a).max() > 0


@pytest.mark.parametrize(
    ("layers", "word"),
    [
        ([conv("a", 3, 3), conv("a", 3, 3)], "twice"),
        ([conv("a", 3, 3), {"kind": "add", "name": "s", "source": "b"}], "no earlier layer"),
        ([{"kind": "convolve", "name": "a"}], "unknown kind"),
        ([conv("a", 3, 3, feature=2)], "unknown key 'feature'"),
        ([conv("a", 3, 3, groups=2)], "groups"),
        ([conv("a", 3, 0)], "must be positive"),
        ([{"kind": "pool", "name": "p", "pool": "median"}], "unknown pool"),
    ],
)
def test_nonsense_is_named(layers: list[dict[str, object]], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        NetworkSpec.from_dict({"input_features": 5, "layers": layers})
