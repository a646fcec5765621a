"""Patches of a training: drawn and finished by this program, or drawn here and made on the GPU."""

from __future__ import annotations

import time
from typing import Any

import cpu_networks
import numpy as np

from skadetect.beams import PixelBeam
from skadetect.nn.backends import cpu
from skadetect.normalize import Normalization
from skadetect.train.augment import AugmentOptions
from skadetect.train.bank import Bank, MixtureOptions
from skadetect.train.fields import Field
from skadetect.train.inputs import network_input, sampler_for
from skadetect.train.sampling import SamplingOptions
from skadetect.train.sources import Sources

BEAM, SIDE, SOURCES = PixelBeam(3.5, 2.5, 0.4), 4096, 20_000
#: Of galaxies in a bank.
GALAXIES, EXTENT = 100, (41, 25, 25)
#: (z, y, x) pixels of a cell.
STRIDES = {1: (1, 8, 8), 3: (8, 4, 4)}


def print_patches(name: str, backend: Any, rounds: int, *, small: bool) -> None:
    """Print how long a batch takes: drawing, and making what the network sees; here and with the GPU."""
    _, patch, batch = cpu_networks.trainable(name)
    patch, batch = ((min(patch[0], 8), 8, 8), 1) if small else (patch, batch)
    one = field() if patch[0] == 1 else bank()
    noisy = AugmentOptions(noise_probability=0.3 if patch[0] == 1 else 0.0)
    options = SamplingOptions(
        patch[-1], patch[0], batch, workers=0, augment=noisy, mixture=MixtureOptions(density=60.0, slope=0.7)
    )
    stride, seconds = STRIDES[1 if patch[0] == 1 else 3], []
    for where in (cpu, backend):
        sampler = sampler_for(where, [one], np.ones(1), options=options, seed=1)
        seconds.append([_step(sampler, where, number, stride) for number in range(rounds + 1)][1:])
    backend.hold(())
    (drawn, made), (drawn_too, made_too) = (1e3 * np.median(each, axis=0) for each in seconds)
    print(
        f"  patches, batch {batch} of {patch}: drawn and made on the CPU in {drawn:.1f} + {made:.1f} ms; "
        f"drawn there and made on the GPU in {drawn_too:.1f} + {made_too:.1f} ms"
    )


def _step(sampler: Any, backend: Any, number: int, stride: tuple[int, int, int]) -> tuple[float, float]:
    """Seconds for the draws, and for features and anchors."""
    begun = time.perf_counter()
    patches = sampler.batch(number)
    drawn = time.perf_counter()
    network_input(patches, Normalization(), backend, stride=stride)  # waits for the anchors
    return drawn - begun, time.perf_counter() - drawn


def field() -> Field:
    """Noise with sources that are not in it."""
    rng = np.random.default_rng(1)
    columns = [np.full(SOURCES, value) for value in (9.0, 1.0, 1.0, 0.0, 9.0)]
    sources = Sources(rng.uniform(0, SIDE, (SOURCES, 2)), *columns)
    return Field("noise", rng.standard_normal((1, SIDE, SIDE), dtype=np.float32), BEAM, sources)


def bank() -> Bank:
    """Blobs of one size."""
    axes = np.meshgrid(*(np.arange(n) - n // 2 for n in EXTENT), indexing="ij")
    blob = np.exp(-sum((axis / (n / 6)) ** 2 for axis, n in zip(axes, EXTENT))).astype(np.float16)
    ones = np.ones(GALAXIES, np.float32)
    return Bank(
        "blobs",
        np.tile(blob.ravel(), GALAXIES),
        shape=np.tile(EXTENT, (GALAXIES, 1)),
        start=np.arange(GALAXIES + 1) * blob.size,
        centre=np.tile([n // 2 for n in EXTENT], (GALAXIES, 1)).astype(np.float32),
        scale=ones,
        hi_size=4 * ones,
        w20=20 * ones,
        w50=15 * ones,
        direction=ones,
        incl=ones,
        snr=9 * ones,
        companion=np.full(GALAXIES, -1),
        host=np.full(GALAXIES, -1),
        offset=np.zeros((GALAXIES, 3), np.float32),
        share=0 * ones,
        beam=BEAM,
    )
