"""The CUDA back end beside PyTorch on a GPU: right first, then fast.

One command: ``make benchmark-cuda`` or
``NUMBA_ENABLE_CUDASIM=0 python tests/benchmarks/cuda/run.py [NETWORK ...] [--batches 1 8 32 128] [--side
32768]``. A network is ``sdc1``, ``continuum``, ``hi`` or a model file. Every layer is held against PyTorch in
float32; then skadetect, PyTorch (cuDNN, channels-last, 16 bits, cudnn.benchmark) and torch.compile take turns
in one process, and a FITS image goes from the page cache to its catalogue. What is printed are medians:
patches and megapixels a second, TFLOP/s, their share of the peak that a matrix product reaches on this very
device, and of the roofline of the network's layers.
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "cpu")]

import cpu_networks
import cuda_engines
import cuda_limits
import cuda_patches
from cuda_training import print_training

from skadetect.errors import ConfigError
from skadetect.nn.backends.select import get_backend
from skadetect.nn.network import Network

#: Largest relative error of a layer's output, by precision: 16 bits as the network is used, and float32.
TOLERANCE = {"fp16": 5e-3, "bf16": 3e-2, "tf32": 3e-3, "fp32": 1e-5}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the checks and comparisons and print their tables."""
    options = _options().parse_args(arguments)
    try:
        backend: Any = get_backend(options.device, options.precision)
    except ConfigError as error:
        raise SystemExit(f"{error}") from None
    limits = cuda_limits.measure(options.device, options.precision)
    print(limits)
    for name in options.networks:
        network, patch = cpu_networks.build(name)
        patch = tuple(options.patch) if options.patch else patch
        check(name, network, patch, backend, options.precision)
        rate = compare(name, network, patch, backend, options, limits)
        if options.train and name != "sdc1":
            print_training(name, backend, options.rounds, small=options.patch is not None)
            cuda_patches.print_patches(name, backend, options.rounds, small=options.patch is not None)
        if name == "continuum" and options.side:
            end_to_end(options, rate)


def check(name: str, network: Network, patch: Sequence[int], backend: Any, precision: str) -> None:
    """Hold every convolution of the network against PyTorch in float32, on the same 16-bit inputs."""
    x = cuda_engines.draw(network, (1, *patch))
    worst = 0.0
    for layer, error in cuda_engines.layer_errors(network, x, backend):
        if not error < TOLERANCE[precision]:
            raise SystemExit(f"{name}: layer {layer} differs from PyTorch in float32 by {error:.1e}")
        worst = max(worst, error)
    print(f"\n{name}: patch {tuple(patch)}, every layer within {worst:.1e} of PyTorch in float32")


def compare(
    name: str,
    network: Network,
    patch: Sequence[int],
    backend: Any,
    options: argparse.Namespace,
    limits: cuda_limits.Limits,
) -> float:
    """Print the whole network's rates by batch; the best of skadetect's in pixels a second."""
    pixels, flops = float(np.prod(patch)), network.spec.flops_per_pixel() * np.prod(patch)
    best = 0.0
    for batch in options.batches:
        x = cuda_engines.draw(network, (batch, *patch))
        made = cuda_engines.engines(network, x, backend, compiled=options.compile)
        seconds = cuda_engines.interleaved(made, options.rounds)
        roof = limits.seconds(network.spec, batch, patch)
        for engine, taken in zip(made, seconds, strict=True):
            rate = batch / taken
            print(
                f"  batch {batch:4}  {engine.name:10} {rate:9.1f} patches/s "
                f"{rate * pixels / 1e6:9.1f} Mpix/s {rate * flops / 1e12:7.1f} TFLOP/s  "
                f"of the peak {rate * flops / limits.flops:5.2f}  "
                f"of the roofline {roof / taken:5.2f}  ratio {taken / seconds[0]:5.2f}",
                flush=True,
            )
        best = max(best, batch * pixels / seconds[0])
        if options.layers:
            cuda_engines.print_layers(network, x, backend, options.rounds)
    return best


def end_to_end(options: argparse.Namespace, rate: float) -> None:
    """A float32 image from the page cache to a catalogue, as a share of the network's own rate."""
    import skadetect

    with tempfile.TemporaryDirectory() as folder:
        image = cuda_limits.write_image(Path(folder) / "image.fits", options.side)
        given = {"device": options.device, "precision": options.precision, "max_memory": options.max_memory}
        for turn in ("first", "second"):
            meta = skadetect.detect(image, **given).table.meta
            seconds = float({key.lower(): value for key, value in meta.items()}["wall_seconds"])
            print(
                f"  {options.side} x {options.side} from FITS, {turn} run: "
                f"{options.side**2 / seconds / 1e6:.1f} Mpix/s, "
                f"{options.side**2 / seconds / rate:.2f} of the network's own rate"
            )


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=["sdc1", "continuum", "hi"])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="fp16", choices=list(TOLERANCE))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--patch", type=int, nargs=3, help="z, y, x instead of the usual patch")
    parser.add_argument("--side", type=int, default=32768, help="of the image from FITS; 0 for none")
    parser.add_argument("--max-memory", default="32GB", help="of the run from FITS")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--layers", action="store_true", help="also layer by layer")
    parser.add_argument("--train", action=argparse.BooleanOptionalAction, default=True)
    return parser


if __name__ == "__main__":
    main()
