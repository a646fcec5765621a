"""The benchmark of the CUDA back end: its checks and tables in the simulator, and its limits by hand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.nn.networks import small_network

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def run():
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("numba_cuda")
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location("cuda_run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before


def test_layers_are_checked_and_rates_printed(run, capsys, monkeypatch):
    from skadetect.nn.backends.cuda import tiles
    from skadetect.nn.backends.cuda.backend import CudaBackend
    from skadetect.nn.backends.cuda.device import SIMULATED

    if not SIMULATED:
        pytest.skip("NUMBA_ENABLE_CUDASIM is off")
    monkeypatch.setattr(run.cuda_engines, "REPEATS", 1)
    monkeypatch.setattr(run.cuda_engines, "WARM_UP", 0)
    monkeypatch.setattr(tiles, "SMALL", (tiles.Tile(16, 16, 16, 16, 2),))
    network, patch, backend = small_network().folded(), (1, 4, 8), CudaBackend(0, "bf16")
    run.check("small", network, patch, backend, "bf16")
    options = run._options().parse_args(["--batches", "1", "--rounds", "1", "--no-compile"])
    limits = run.cuda_limits.Limits("paper", 1e15, 1e12, 2)
    assert run.compare("small", network, patch, backend, options, limits) > 0
    text = capsys.readouterr().out
    assert "every layer within" in text
    assert all(word in text for word in ("skadetect", "cudnn", "TFLOP/s", "roofline", "ratio"))


@pytest.mark.parametrize("name", ["continuum", "hi"])
def test_patches_are_timed_here_and_there(run, capsys, monkeypatch, name):
    from skadetect.nn.backends.cuda.backend import CudaBackend
    from skadetect.nn.backends.cuda.device import SIMULATED

    if not SIMULATED:
        pytest.skip("NUMBA_ENABLE_CUDASIM is off")
    monkeypatch.setattr(run.cuda_patches, "SIDE", 256)
    shape = (1, 192, 192) if name == "continuum" else (16, 40, 40)
    monkeypatch.setattr(run.cuda_patches.cpu_networks, "trainable", lambda _: (None, shape, 16))
    run.cuda_patches.print_patches(name, CudaBackend(0, "fp32"), 1, small=True)
    assert "made on the GPU in" in capsys.readouterr().out


def test_a_wrong_layer_ends_the_benchmark(run, monkeypatch):
    monkeypatch.setattr(run.cuda_engines, "layer_errors", lambda *_: iter([("stem", 0.5)]))
    with pytest.raises(SystemExit, match="layer stem differs"):
        run.check("small", small_network().folded(), (1, 8, 8), None, "fp16")


def test_the_roofline_by_hand(run):
    spec = small_network().folded().spec
    arithmetic = run.cuda_limits.Limits("", 1.0, 1e30, 2).seconds(spec, 3, (1, 16, 16))
    assert arithmetic == pytest.approx(3 * 256 * spec.flops_per_pixel())
    memory = run.cuda_limits.Limits("", 1e30, 2.0, 2).seconds(spec, 1, (1, 16, 16))
    layers = [
        (256, 5, 64, 6, 25),
        (64, 6, 16, 8, 9),
        (16, 8, 16, 8, 9),
        (16, 8, 16, 8, 9),
        (16, 8, 16, 11, 1),
    ]
    assert memory == sum(a * b + c * d + e * b * d for a, b, c, d, e in layers)


def test_the_image_is_read_as_it_was_written(run, tmp_path):
    import skadetect

    image = skadetect.open_image(run.cuda_limits.write_image(tmp_path / "a.fits", 48, rows=20))
    pixels = image.read((0, 0, 0), (1, 48, 48))
    assert pixels.shape == (1, 48, 48)
    assert np.isfinite(pixels).all() and 0.5e-6 < np.median(np.abs(pixels)) < 1e-6
