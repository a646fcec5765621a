"""Pairs of a point and a source on the sky that lie closer than the source is large, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skadetect.evaluate.match import chord, unit_vectors

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CHUNK = 20_000  # points searched at a time, which bounds the memory of pairs ...
_MOST_PAIRS = 4_000_000  # ... and so does halving a chunk that has more
#: How trees of millions are built: quickly, at no cost to searches in a field evenly filled.
FAST_TREE = {"balanced_tree": False, "leafsize": 32}


@dataclass(frozen=True)
class SizedSources:
    """Sources on the sky in trees by their size, so that a large one does not make all searches wide.

    Attributes
    ----------
    octaves : tuple of (float, array of int, cKDTree)
        The largest size of a class in arcsec, twice that of the class before; its sources; their places.
    """

    octaves: tuple[tuple[float, Ints, cKDTree], ...]

    @classmethod
    def build(cls, ra: Floats, dec: Floats, size: Floats) -> SizedSources:
        """Sources at RA and Dec (degrees) of sizes (arcsec), each (n,); infinite sizes count as 0."""
        finite = np.where(np.isfinite(size), size, 0.0)
        octave = np.ceil(np.log2(np.maximum(finite, 1.0))).astype(np.int64)
        octaves = []
        for one in np.unique(octave):
            members = np.flatnonzero(octave == one)
            tree = cKDTree(unit_vectors(ra[members], dec[members]), **FAST_TREE)
            octaves.append((2.0 ** float(one), members, tree))
        return cls(tuple(octaves))

    def pairs(self, ra: Floats, dec: Floats) -> Iterator[tuple[Ints, Ints]]:
        """Find pairs, some points at a time.

        Parameters
        ----------
        ra, dec : array (n,)
            Points in degrees.

        Yields
        ------
        points, sources : arrays (pairs,) of int
            All that are closer than the source's size, and some that are not, by less than a factor of two.
            All pairs of a point come at once.
        """
        if not len(ra) or not self.octaves:
            return
        places = unit_vectors(ra, dec)
        order = cKDTree(places).indices.astype(np.int64)  # neighbours come together
        waiting = np.array_split(order, -(-len(order) // _CHUNK))[::-1]
        while waiting:
            chunk = waiting.pop()
            if len(chunk) > 1 and self._count(places[chunk]) > _MOST_PAIRS:
                middle = len(chunk) // 2
                waiting += [chunk[middle:], chunk[:middle]]
                continue
            tree = cKDTree(places[chunk])
            found = [
                (chunk[pairs["i"]], members[pairs["j"]])
                for size, members, other in self.octaves
                for pairs in [tree.sparse_distance_matrix(other, chord(size), output_type="ndarray")]
            ]
            points, sources = (np.concatenate(part) for part in zip(*found))
            yield points, sources

    def _count(self, places: Floats) -> int:
        """About how many pairs points have, from one in sixteen of them."""
        sample = places[::16]
        tree = cKDTree(sample)
        pairs = sum(int(tree.count_neighbors(other, chord(size))) for size, _, other in self.octaves)
        return pairs * len(places) // len(sample)
