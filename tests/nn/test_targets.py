import numpy as np
import pytest

from skadetect.nn.targets import Targets


def patch(n, n_parameters=2):
    low = np.arange(2.0 * n).reshape(n, 2)
    return Targets.of_patch(np.stack([low, low + 3], axis=1), np.full((n, n_parameters), float(n)))


def test_columns_not_given_have_their_neutral_value():
    targets = patch(3)
    assert (targets.weight == 1).all()
    assert not targets.difficult.any()
    assert not targets.class_index.any()
    assert Targets.of_patch(np.zeros((2, 2, 3))).parameters.shape == (2, 0)


def test_concatenate_keeps_patches_apart():
    batch = Targets.concatenate([patch(2), patch(0), Targets.concatenate([patch(1), patch(3)])])
    assert batch.n_patches == 4
    assert list(batch.start) == [0, 2, 2, 3, 6]
    assert list(batch.parameters[:, 0]) == [2, 2, 1, 3, 3, 3]


def test_columns_of_other_length_are_refused():
    with pytest.raises(ValueError, match="weight"):
        Targets.of_patch(np.zeros((2, 2, 2)), weight=np.ones(3))
