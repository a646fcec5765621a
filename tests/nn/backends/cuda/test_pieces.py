"""Batches made on the device of what it holds equal those that NumPy makes."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import reference
from skadetect.nn.backends.base import Piece
from skadetect.nn.backends.cuda.backend import CudaBackend
from skadetect.nn.backends.cuda.context import Context

pytestmark = pytest.mark.usefixtures("simulator")


def draw(shape, seed=0):
    s = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    s[..., ::5] = 0.0  # blank
    return s


@pytest.fixture
def fields():
    return [draw((3, 11, 13), 1), draw((3, 9, 10), 2)]


def views(one):
    """Cuts of 3 x 6 x 6 as augmentation leaves them: turned and mirrored, no pixel moved."""
    cut = one[:, 2:8, 3:9]
    return [cut, cut[::-1], cut[..., ::-1], cut[:, ::-1].swapaxes(1, 2), one[::-1, -6:, :6][..., ::-1]]


def kernel(height, width, seed=3):
    return np.random.default_rng(seed).uniform(0.1, 0.5, (height, width)).astype(np.float32)


def same(backend, pieces):
    made = backend.to_host(backend.batch(pieces))
    np.testing.assert_allclose(made, reference.batch(pieces), rtol=2e-6, atol=3e-6)
    return made


@pytest.mark.parametrize("held", [0, 1, 2], ids="{} held".format)
def test_cuts_equal_the_views(fields, held):
    backend = CudaBackend(0, "fp16")
    assert backend.hold(fields[:held]) == held
    pieces = [Piece(view) for one in fields for view in views(one)]
    np.testing.assert_array_equal(same(backend, pieces), np.stack([piece.pixels for piece in pieces]))


def test_gains_and_noise_equal_the_reference_and_blanks_stay(fields):
    backend = CudaBackend(0, "fp32")
    backend.hold(fields[:1])
    here, there = views(fields[0]), views(fields[1])
    pieces = [
        Piece(here[3], 0.7, kernel(3, 5), seed=2**63 - 1),
        Piece(here[1], 1.3),
        Piece(there[4], 1.1, kernel(5, 1), seed=5),
        Piece(draw((3, 6, 6), 7), 1.0, kernel(1, 1), seed=5),
    ]
    made = same(backend, pieces)
    for piece, each in zip(pieces, made, strict=True):
        np.testing.assert_array_equal(each == 0, piece.pixels == 0)
    assert np.abs(made[0] - 0.7 * pieces[0].pixels).max() > 0.1


def test_of_what_is_held_no_pixel_is_sent(fields, monkeypatch):
    backend, sizes, original = CudaBackend(0, "fp32"), [], Context.upload
    backend.hold(fields)
    monkeypatch.setattr(Context, "upload", lambda *a, **b: sizes.append(a[1].size) or original(*a, **b))
    backend.batch([Piece(view) for view in views(fields[1])])
    assert len(sizes) == 1 and sizes[0] < views(fields[1])[0].size


def test_what_has_no_room_is_not_held(fields, monkeypatch):
    backend = CudaBackend(0, "fp32")
    monkeypatch.setattr(Context, "free_bytes", lambda self: 2 * fields[0].nbytes + 8)
    assert backend.hold(fields) == 1
    same(backend, [Piece(view[:, :4, :4]) for one in fields for view in views(one)[:2]])
    assert backend.hold([]) == 0


def test_only_whole_arrays_of_float32_are_held(fields):
    backend = CudaBackend(0, "fp32")
    wrong = [fields[0].astype(np.float64), fields[0][:, ::2]]
    assert backend.hold([*wrong, fields[1]]) == 1
    same(backend, [Piece(one[:, :3, :3]) for one in [*wrong, fields[1]]])
