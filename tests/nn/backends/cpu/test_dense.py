"""The dense layer on the CPU equals the reference."""

from __future__ import annotations

import pytest

from skadetect.nn.backends.cpu import dense
from tests.nn.backends import ops


@pytest.mark.parametrize("case", ops.DENSE, ids=str)
def test_equals_reference(case):
    ops.assert_parity(dense, case)
