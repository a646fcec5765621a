"""Choice of a back end by name."""

from __future__ import annotations

import pytest

from skadetect.errors import ConfigError
from skadetect.nn.backends import reference
from skadetect.nn.backends.select import get_backend


def test_a_backend_is_chosen_by_name():
    assert get_backend("reference") is reference
    assert get_backend("auto") is get_backend("cpu") is not reference


def test_an_unknown_device_is_named_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'abacus'.*cpu.*reference"):
        get_backend("abacus")
