"""A small bank of galaxies that anybody can check: tilted bars of light that move with the channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skadetect.beams import PixelBeam

BEAM = PixelBeam(3.0, 2.4, 0.6)
# Of the companions of pairs: voxels from the host, line flux over the host's.
OFFSET, SHARE = (3.0, 5.0, -4.0), 0.25


def galaxy(direction: float, *, shape=(21, 15, 15), speed: float = 0.35) -> np.ndarray:
    """A blob (z, y, x) whose centre moves against `direction` as z rises; of unit line flux."""
    z, y, x = (np.arange(n, dtype=float) - n // 2 for n in shape)
    z, y, x = np.meshgrid(z, y, x, indexing="ij")
    dy, dx = y + speed * z * np.sin(direction), x + speed * z * np.cos(direction)
    pixels = np.exp(-(dx**2 + dy**2) / 4.0) * (np.abs(z) <= shape[0] // 4)
    return pixels * BEAM.area / pixels.sum()


def write_toy_bank(path: Path, *, n: int = 6, seed: int = 0, pairs: bool = False) -> Path:
    """Write n galaxies of random directions; of pairs every second one is the companion of the one before."""
    rng = np.random.default_rng(seed)
    direction = rng.uniform(-np.pi, np.pi, n)
    galaxies = [galaxy(angle) for angle in direction]
    peaks = np.array([g.max() for g in galaxies])
    flat = [(g / peak).astype(np.float16).ravel() for g, peak in zip(galaxies, peaks)]
    second = (np.arange(n) % 2 == 1) & pairs
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        pixels=np.concatenate(flat),
        shape=np.array([g.shape for g in galaxies], np.int32),
        start=np.cumsum([0, *map(len, flat)]),
        centre=np.array([[n // 2 for n in g.shape] for g in galaxies], np.float32),
        scale=peaks.astype(np.float32),
        hi_size=np.full(n, 4.0, np.float32),
        w20=np.full(n, 11.0, np.float32),
        w50=np.full(n, 11.0, np.float32),
        direction=direction.astype(np.float32),
        incl=np.full(n, 1.0, np.float32),
        snr=np.array([np.sqrt((g**2).sum() / (BEAM.area / 2)) for g in galaxies], np.float32),
        companion=np.where(~second & pairs, np.arange(n) + 1, -1),
        host=np.where(second, np.arange(n) - 1, -1),
        offset=np.where(second[:, None], OFFSET, 0.0).astype(np.float32),
        share=np.where(second, SHARE, 0.0).astype(np.float32),
        beam=np.array([BEAM.bmaj, BEAM.bmin, BEAM.theta]),
    )
    return path
