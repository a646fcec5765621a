"""Batches of augmented patches, each a function of seed and step alone, made ahead by worker threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from skadetect.errors import ConfigError
from skadetect.train.augment import AugmentOptions, Patch, augment
from skadetect.train.bank import Bank, MixtureOptions, mixture
from skadetect.train.fields import Field

# A patch with more blank pixels than this is drawn again, so often at most.
BLANK_SHARE, REDRAWS = 0.5, 8
# What counts as extended: intrinsic major axis in beams, and the signal to noise at which one sees it.
EXTENDED_BEAMS, EXTENDED_SNR = 2.0, 5.0


@dataclass(frozen=True)
class SamplingOptions:
    """How patches are drawn.

    Attributes
    ----------
    patch : int
        Side of a patch, pixels; a multiple of the network's stride.
    channels : int
        Extent of a patch along z: 1 for images.
    batch : int
        Patches a step.
    extended : float
        Share of patches that are placed around an extended source, which a random patch rarely holds.
    workers : int
        Threads that make batches ahead; 0 makes each when it is asked for.
    augment : AugmentOptions
        What is done to each patch.
    mixture : MixtureOptions
        How patches are made from banks of galaxies.
    """

    patch: int = 192
    channels: int = 1
    batch: int = 8
    extended: float = 0.0
    workers: int = 1
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    mixture: MixtureOptions = field(default_factory=MixtureOptions)

    def __post_init__(self) -> None:
        if min(self.patch, self.channels, self.batch) < 1 or self.workers < 0:
            raise ConfigError(f"sampling is {self}, expected patch, channels and batch >= 1 and workers >= 0")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x) of a patch."""
        return self.channels, self.patch, self.patch


class PatchSampler:
    """Draws patches from fields and banks.

    Parameters
    ----------
    fields : sequence of Field or Bank
        Where to draw from: images to cut patches from, or galaxies to make patches of.
    weights : numpy.ndarray, (n,)
        Probability of each.
    options : SamplingOptions
        How.
    seed : int
        Batch k depends on this and k alone: a resumed training sees what the interrupted one would have.
    later : bool
        Leave what is to be done to the values of pixels to the back end, see `augment`.

    Raises
    ------
    ConfigError
        If a field is smaller than a patch.
    """

    def __init__(
        self,
        fields: Sequence[Field | Bank],
        weights: np.ndarray,
        options: SamplingOptions,
        *,
        seed: int,
        later: bool = False,
    ) -> None:
        self.fields = list(fields)
        self.later = later
        self.options = options
        self.seed = seed
        self._extended = [_extended_weights(one) for one in self.fields]
        self._cumulative = np.cumsum(np.asarray(weights, np.float64) / np.sum(weights))
        for one in self.fields:
            if isinstance(one, Field) and min(one.snr.shape[-2:]) < options.patch:
                raise ConfigError(
                    f"field '{one.name}' of {one.snr.shape} is smaller than a patch of {options.patch}"
                )

    def batch(self, step: int) -> list[Patch]:
        """The augmented patches of one step."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, step]))
        options, later = self.options.augment, self.later
        return [augment(self._draw(rng), rng, options, later=later) for _ in range(self.options.batch)]

    def batches(self, first: int, last: int) -> Iterator[list[Patch]]:
        """The batches of the steps first <= step < last, in order, some made ahead by the workers."""
        if self.options.workers == 0:
            yield from map(self.batch, range(first, last))
            return
        ahead = 2 * self.options.workers
        waiting: deque[Future[list[Patch]]] = deque()
        pool = ThreadPoolExecutor(self.options.workers, thread_name_prefix="patches")
        try:
            for step in range(first, last):
                waiting.append(pool.submit(self.batch, step))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _draw(self, rng: np.random.Generator) -> Patch:
        """A patch from a random place of a random field, or made of a random bank."""
        index = min(int(np.searchsorted(self._cumulative, rng.random(), side="right")), len(self.fields) - 1)
        one = self.fields[index]
        if isinstance(one, Bank):
            return mixture(one, self.options.shape, rng, self.options.mixture, later=self.later)
        chance, place = rng.random(2)
        weights = self._extended[index]
        if chance < self.options.extended and len(weights):
            source = int(np.searchsorted(weights, place * weights[-1], side="right"))
            return self._cut_around(one, min(source, len(weights) - 1), rng)
        patch = self._cut(one, rng)
        for _ in range(REDRAWS):
            if np.count_nonzero(patch.snr) >= BLANK_SHARE * patch.snr.size:
                break
            patch = self._cut(one, rng)
        return patch

    def _cut(self, one: Field, rng: np.random.Generator) -> Patch:
        """A random square of one field."""
        side = self.options.patch
        height, width = one.snr.shape[-2:]
        return self._cut_at(
            one, int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
        )

    def _cut_around(self, one: Field, source: int, rng: np.random.Generator) -> Patch:
        """A square with one source anywhere in its middle half, as far as the field allows."""
        side = self.options.patch
        corner = one.sources.position[source, -2:] - side * rng.uniform(0.25, 0.75, 2)
        y, x = np.clip(np.rint(corner).astype(int), 0, np.array(one.snr.shape[-2:]) - side)
        return self._cut_at(one, int(y), int(x))

    def _cut_at(self, one: Field, y: int, x: int) -> Patch:
        """The square from a corner on, with the sources in it."""
        side = self.options.patch
        row, column = one.sources.position[:, -2], one.sources.position[:, -1]
        inside = (row >= y - 0.5) & (row < y + side - 0.5)
        inside &= (column >= x - 0.5) & (column < x + side - 0.5)
        sources = one.sources.take(np.flatnonzero(inside))
        corner = np.array([0.0] * (sources.position.shape[1] - 2) + [y, x])
        sources = sources.with_(position=sources.position - corner)
        return Patch(one.snr[:, y : y + side, x : x + side], one.beam, sources)


def _extended_weights(one: Field | Bank) -> np.ndarray:
    """Running sum of how much more extended than the beam each source is; empty if none is."""
    if isinstance(one, Bank):
        return np.empty(0)
    sources = one.sources
    excess = np.maximum(sources.bmaj / one.beam.fwhm - EXTENDED_BEAMS, 0.0)
    excess[sources.peak_snr < EXTENDED_SNR] = 0.0
    total = np.cumsum(excess)
    return total if len(total) and total[-1] > 0 else np.empty(0)
