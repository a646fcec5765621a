"""Batches made on the device of what it holds equal those that NumPy makes."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import reference
from skadetect.nn.backends.cuda.backend import CudaBackend
from skadetect.nn.backends.cuda.context import Context
from skadetect.nn.backends.pieces import Composition, Piece, Stamp

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
    backend, sizes, original = CudaBackend(0, "fp32"), [], Context.send
    monkeypatch.setattr(Context, "send", lambda *a: sizes.append(a[1].size) or original(*a))
    for held in ([], fields):
        backend.hold(held)
        backend.batch([Piece(view) for view in views(fields[1])])
    assert len(sizes) == 2 and sizes[0] - sizes[1] == 5 * 3 * 6 * 6


def test_what_has_no_room_is_not_held(fields, monkeypatch):
    backend = CudaBackend(0, "fp32")
    monkeypatch.setattr(Context, "free_bytes", lambda self: 2 * fields[0].nbytes + 64)
    assert backend.hold(fields) == 1
    same(backend, [Piece(view[:, :4, :4]) for one in fields for view in views(one)[:2]])
    assert backend.hold([]) == 0


def test_only_whole_arrays_of_float32_are_held(fields):
    backend = CudaBackend(0, "fp32")
    wrong = [fields[0].astype(np.float64), fields[0][:, ::2]]
    assert backend.hold([*wrong, fields[1]]) == 1
    same(backend, [Piece(one[:, :3, :3]) for one in [*wrong, fields[1]]])


def composition(stored, *, smooth):
    """A cube of 3 x 6 x 6 with two patterns and stamps that overlap, one of them reversed."""
    rng = np.random.default_rng(4)
    whole = stored.reshape(3, 4, 5)
    stamps = [
        Stamp(whole, 2.0, (0, 1, 1)),
        Stamp(whole[::-1, ::-1, ::-1][1:, :2, 1:], 0.5, (1, 0, 2)),
        Stamp(whole[:1, 1:2, 2:3], -3.0, (2, 5, 5)),
    ]
    numbers = [rng.uniform(0.5, 1.5, shape).astype(np.float32) for shape in ((2, 3), (2, 3), (2, 6, 6))]
    (gain, level), curves, planes = numbers[0], *numbers[1:]
    space = np.empty((3, 6, 6), np.float32)
    return Composition(space, kernel(3, 3), 17, smooth, gain, level, curves, planes, stamps)


@pytest.mark.parametrize("held", [True, False], ids=["held", "sent"])
def test_cubes_made_on_the_device_equal_those_of_numpy(fields, held):
    stored = np.random.default_rng(5).uniform(0, 1, 60).astype(np.float16)
    backend = CudaBackend(0, "fp32")
    assert backend.hold([fields[0], stored] if held else fields[:1]) == 1 + held
    cubes = [composition(stored, smooth=smooth) for smooth in (True, False)]
    pieces = [Piece(one.space[::-1].swapaxes(1, 2)[..., ::-1], 1.1, composition=one) for one in cubes]
    pieces.insert(1, Piece(views(fields[0])[2], 0.9, kernel(1, 3), seed=2))
    pieces.append(Piece(cubes[0].space, 0.8, kernel(3, 1), seed=3, composition=cubes[0]))
    made = same(backend, pieces)
    assert np.abs(made[0] - made[2]).max() > 0.1


def test_without_patterns_and_stamps_a_cube_is_noise():
    nothing = composition(np.zeros(60, np.float16), smooth=False)
    nothing = nothing._replace(curves=np.empty((0, 3)), planes=np.empty((0, 6, 6)), stamps=())
    same(CudaBackend(0, "fp32"), [Piece(nothing.space, composition=nothing)])
