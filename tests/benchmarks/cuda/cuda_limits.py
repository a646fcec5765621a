"""What a device can do at most, measured on it, and an image to be read at that speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits

from skadetect.nn.spec import NetworkSpec

SIZE, BYTES, ROUNDS = 8192, 1 << 30, 10
KINDS = {"fp16": torch.float16, "bf16": torch.bfloat16, "tf32": torch.float32, "fp32": torch.float32}


@dataclass(frozen=True)
class Limits:
    """FLOP/s of a large matrix product and bytes/s of a large copy, and the bytes of a stored number."""

    name: str
    flops: float
    bandwidth: float
    number: int

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.flops / 1e12:.0f} TFLOP/s in a product of {SIZE} x {SIZE} matrices, "
            f"{self.bandwidth / 1e9:.0f} GB/s in a copy"
        )

    def seconds(self, spec: NetworkSpec, batch: int, patch: Sequence[int]) -> float:
        """Least time of layers one after another, each at its limit of arithmetic or memory."""
        total, cells = 0.0, float(batch * np.prod(patch))
        for layer, inputs, outputs in spec.walk():
            before = cells * inputs
            if layer.spatial:
                cells /= np.prod(layer.stride)
            if layer.kind != "conv":
                continue
            taps = np.prod(layer.extent) * inputs / layer.groups
            bytes_moved = self.number * (before + cells * outputs + taps * outputs)
            total += max(2 * cells * taps * outputs / self.flops, bytes_moved / self.bandwidth)
        return total


def measure(device: str, precision: str) -> Limits:
    """Measure a device by PyTorch: cuBLAS and a copy."""
    index = int(device.partition(":")[2] or 0)
    torch.cuda.set_device(index)
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    a = torch.randn(SIZE, SIZE, device="cuda", dtype=KINDS[precision])
    product = timed(lambda: a @ a)
    source = torch.empty(BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copy = timed(lambda: target.copy_(source))
    torch.backends.cuda.matmul.allow_tf32 = False
    name = torch.cuda.get_device_name(index)
    return Limits(name, 2 * SIZE**3 / product, 2 * BYTES / copy, a.element_size())


def timed(run) -> float:
    """Median seconds of a call on the device."""
    run()
    taken = []
    for _ in range(ROUNDS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        taken.append(start.elapsed_time(end) * 1e-3)
    return float(np.median(taken))


def write_image(path: Path, side: int, rows: int = 1024) -> Path:
    """A float32 image of noise and point sources, one a 300 pixels, written in strips."""
    header = fits.Header()
    header.update(SIMPLE=True, BITPIX=-32, NAXIS=2, NAXIS1=side, NAXIS2=side, BUNIT="JY/BEAM")
    header.update(CTYPE1="RA---SIN", CTYPE2="DEC--SIN", CRVAL1=0.0, CRVAL2=-30.0)
    header.update(CRPIX1=side / 2, CRPIX2=side / 2, CDELT1=-1.7e-4, CDELT2=1.7e-4)
    header.update(BMAJ=4.2e-4, BMIN=4.2e-4, BPA=0.0)
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(header.tostring().encode())
        for start in range(0, side, rows):
            strip = rng.standard_normal((min(rows, side - start), side), np.float32)
            count = strip.size // 300
            strip.reshape(-1)[rng.integers(0, strip.size, count)] += 5 * rng.pareto(1.5, count) + 3
            file.write((strip * np.float32(1e-6)).astype(">f4").tobytes())
        file.write(b"\0" * (-(4 * side * side) % 2880))
    return path
