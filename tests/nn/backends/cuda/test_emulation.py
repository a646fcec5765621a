"""The emulation finds the faults that it is there to find."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends.cuda import device

pytestmark = pytest.mark.usefixtures("simulator")
ops, cuda = device.ops, device.cuda


def run(kernel, *arguments, threads=32, shared=4096):
    ops.launch(kernel, (1,), threads, shared, arguments)


def test_a_missing_barrier_shows():
    def kernel(y, wait):
        shared = cuda.shared.array(0, np.float32)
        thread = cuda.threadIdx.x
        shared[thread] = thread
        if wait:
            cuda.syncthreads()
        y[thread] = shared[(thread + 1) % 64]

    expected = (np.arange(64) + 1) % 64
    for wait in (True, False):
        y = np.zeros(64, np.float32)
        run(kernel, y, wait, threads=64)
        assert np.array_equal(y, expected) == wait


@pytest.mark.parametrize("left", [0, 1])
def test_a_copy_lands_when_it_is_waited_for(left):
    def kernel(x, y, left):
        shared = cuda.shared.array(0, np.float32)
        base = ops.shared_address(shared)
        for group in range(2):
            ops.copy_async(base + np.uint32(16 * group), ops.address(x) + np.uint64(16 * group), 16)
            ops.commit_copies()
        ops.WAIT[left]()
        y[:] = shared[:8]
        ops.WAIT[0]()

    x, y = np.arange(8, dtype=np.float32), np.zeros(8, np.float32)
    run(kernel, x, y, left, threads=1)
    landed = 8 - 4 * left
    np.testing.assert_array_equal(y[:landed], x[:landed])
    assert np.isnan(y[landed:]).all()


@pytest.mark.parametrize("index", [4, -1])
def test_an_access_beyond_the_array_raises(index):
    def kernel(x):
        ops.load_words(ops.address(x) + np.uint64(4 * index % 2**64))

    with pytest.raises(IndexError, match="beyond every array"):
        run(kernel, np.zeros(4, np.float32), threads=1)


def test_threads_that_wait_for_ever_are_reported():
    def kernel():
        if cuda.threadIdx.x < 16:
            ops.sync_warp()
        else:
            cuda.syncthreads()

    with pytest.raises(RuntimeError, match="for ever"):
        run(kernel)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_conversions_are_those_of_ieee(precision):
    values = np.random.default_rng(1).normal(size=200).astype(np.float32)
    narrow = getattr(ops, f"{precision}_of_float")
    wide = getattr(ops, f"float_of_{precision}")
    pair = getattr(ops, f"{precision}_pair")
    for value in values:
        assert abs(wide(narrow(value)) - value) <= abs(value) * 2.0 ** (-11 if precision == "fp16" else -8)
        assert wide(pair(1.0, value)) == 1.0
    assert abs(ops.float_of_word(ops.round_tf32(np.float32(1 + 2.0**-11))) - 1) in (0, 2.0**-10)


def test_matrices_are_spread_as_documented():
    """PTX ISA, ldmatrix: lane 4 g + q holds numbers 2 q and 2 q + 1 of row g; transposed, of column g."""

    def kernel(plain, turned):
        shared = cuda.shared.array(0, np.uint16)
        base, lane = ops.shared_address(shared), cuda.threadIdx.x
        shared[8 * lane : 8 * lane + 8] = 8 * lane + np.arange(8)
        ops.sync_warp()
        for load, target in ((ops.load_matrix, plain), (ops.load_matrix_transposed, turned)):
            for matrix, word in enumerate(load(base + np.uint32(16 * lane))):
                target[lane, matrix] = word & 0xFFFF, word >> 16

    plain, turned = np.zeros((2, 32, 4, 2), np.int64)
    run(kernel, plain, turned)
    for lane in range(32):
        g, q = lane // 4, lane % 4
        assert plain[lane, 1].tolist() == [64 + 8 * g + 2 * q, 64 + 8 * g + 2 * q + 1]
        assert turned[lane, 1].tolist() == [64 + 8 * (2 * q) + g, 64 + 8 * (2 * q + 1) + g]


def test_a_place_has_three_coordinates():
    seen = []

    def kernel():
        seen.append((int(cuda.blockIdx.x), int(cuda.blockIdx.y), int(cuda.gridDim.y), int(cuda.blockDim.x)))

    ops.launch(kernel, (2, 3), 1, 16, ())
    assert sorted(seen) == [(x, y, 3, 1) for x in range(2) for y in range(3)]
