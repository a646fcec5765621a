import math

import numpy as np
import pytest

from skadetect.errors import ModelError
from skadetect.nn.head import HeadSpec, decode

FLAT = HeadSpec(priors=((6, 8), (12, 10)), classes=2, parameters=3, position_scale=1.4, size_clip=(-1.0, 1.0))
CUBE = HeadSpec(priors=((4, 5, 6),), stride=(2, 4, 8), ndim=3, parameters=1)


def outputs(head, shape, value=-9.0):
    """Planes with nothing in them."""
    return np.full((1, *shape, head.n_outputs), value, dtype=np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_layout():
    assert FLAT.box_width == 2 + 2 + 1 + 1 + 2 + 3
    assert FLAT.n_outputs == 22
    assert CUBE.n_outputs == 3 + 3 + 1 + 1 + 1


def test_one_box_by_hand():
    planes = outputs(FLAT, (1, 3, 5))
    planes[0, 0, 1, 4, 11:] = [0, 2, math.log(1.5), 5, -1, 3, 0.2, 0.7, 10, 20, 30]
    found = decode(planes, FLAT, threshold=0.5)
    y, x = (0.5 + 1) * 4, (1.4 * sigmoid(2) - 0.2 + 4) * 4
    height, width = 12 * 1.5, 10 * math.e  # the width is clipped
    assert len(found) == 1
    assert (found.cell[0], found.prior[0], found.class_index[0]) == (9, 1, 1)
    assert found.position[0] == pytest.approx([y, x], rel=1e-6)
    corners = [[y - height / 2, x - width / 2], [y + height / 2, x + width / 2]]
    assert found.boxes[0] == pytest.approx(np.array(corners), rel=1e-6)
    assert found.score[0] == pytest.approx(sigmoid(3))
    assert found.probability[0] == pytest.approx(sigmoid(-1))
    assert list(found.parameters[0]) == [10, 20, 30]


def test_cube_by_hand():
    planes = outputs(CUBE, (2, 3, 4))
    planes[0, 1, 2, 3] = [0, 0, 0, 0, 0, 0, 0, 1, 7]
    found = decode(planes, CUBE, threshold=0.5)
    assert found.cell[0] == (1 * 3 + 2) * 4 + 3
    assert found.position[0] == pytest.approx([3, 10, 28])
    assert found.boxes[0, 1] - found.boxes[0, 0] == pytest.approx([4, 5, 6])


@pytest.mark.parametrize(("head", "shape"), [(FLAT, (1, 6, 7)), (CUBE, (3, 4, 5))], ids=["2D", "3D"])
def test_ordered_by_cell_and_prior_whatever_the_threshold(head, shape):
    planes = np.random.default_rng(0).normal(size=(1, *shape, head.n_outputs)).astype(np.float32)
    every = decode(planes, head, threshold=0.0)
    assert len(every) == np.prod(shape) * head.n_boxes
    key = every.cell * head.n_boxes + every.prior
    assert (np.diff(key) == 1).all()
    some = decode(planes, head, threshold=0.6)
    assert 0 < len(some) < len(every)
    assert np.array_equal(some.position, every.position[every.score >= 0.6])
    assert len(decode(planes, head, threshold=1.0)) == 0


def test_threshold_per_prior():
    planes = np.zeros((1, 1, 2, 2, FLAT.n_outputs), dtype=np.float32)
    assert set(decode(planes, FLAT, threshold=(0.4, 0.6)).prior) == {0}
    with pytest.raises(ModelError, match="3 thresholds"):
        decode(planes, FLAT, threshold=(0.4, 0.6, 0.5))


def test_position_scale_reaches_the_neighbouring_cell():
    planes = outputs(FLAT, (1, 2, 2))
    planes[0, 0, 1, 1, :6] = [-30, 30, 0, 0, 0, 9]
    assert decode(planes, FLAT, threshold=0.5).position[0] == pytest.approx([4 - 0.8, 8 + 0.8])


def test_not_a_number_is_no_box():
    assert len(decode(outputs(FLAT, (1, 2, 2), np.nan), FLAT, threshold=0.5)) == 0


def test_dictionary_round_trip():
    assert HeadSpec.from_dict(CUBE.to_dict()) == CUBE
    lists = {"priors": [[6, 8]], "stride": [1, 4, 4], "size_clip": [-1, 1]}
    assert HeadSpec.from_dict(lists) == HeadSpec(priors=((6.0, 8.0),), size_clip=(-1.0, 1.0))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"priors": ((6, 8, 2),)}, "2 positive sides"),
        ({"priors": ()}, "positive sides"),
        ({"priors": ((6, 0),)}, "positive sides"),
        ({"priors": ((6, 8),), "ndim": 4}, "ndim is 4"),
        ({"priors": ((6, 8),), "stride": (4, 4)}, "three positive"),
        ({"priors": ((6, 8),), "position_scale": 0.5}, "1 or more"),
    ],
)
def test_nonsense_is_refused(values, message):
    with pytest.raises(ModelError, match=message):
        HeadSpec(**values)


@pytest.mark.parametrize("shape", [(1, 2, 2, 22), (1, 1, 2, 2, 21), (1, 2, 2, 2, 22)])
def test_other_outputs_are_refused(shape):
    with pytest.raises(ModelError, match="expected \\(B, 1, Y, X, 22\\)"):
        FLAT.check(np.zeros(shape))
