"""Moment tensors up to a level as the lists that files of MTP hold.

The contractions of each level come from motep (MIT), the counts of components from here: a moment
of rank nu has the components x^a y^b z^c, a product of two moments contracted over axes is a sum
of products of components. Equal sums are one number.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

Node = Any  # [mu, nu, nu] of a moment, or [left, right, rank, axes] of a contraction


class Numbering:
    """Numbers of components: first those of moments, then sums of products."""

    def __init__(self, trees: list[Node]) -> None:
        found: set[tuple[int, int]] = set()
        for tree in trees:
            _moments(tree, found)
        self.basic = [
            (mu, a, b, nu - a - b)
            for mu, nu in sorted(found)
            for a in range(nu, -1, -1)
            for b in range(nu - a, -1, -1)
        ]
        self._number = {one: i for i, one in enumerate(self.basic)}
        self._sums: dict[tuple[tuple[tuple[int, int], int], ...], int] = {}
        self.times: list[tuple[int, int, int, int]] = []

    def tensor(self, tree: Node) -> np.ndarray:
        """Numbers of the components of a moment or a contraction, an index for each axis."""
        if not isinstance(tree[0], list):
            mu, nu, _ = tree
            made = np.empty((3,) * nu, dtype=int)
            for place in np.ndindex(made.shape):
                counts = Counter(place)
                made[place] = self._number[mu, counts[0], counts[1], counts[2]]
            return made
        left, right = self.tensor(tree[0]), self.tensor(tree[1])
        ours, theirs = tree[3]
        free = [i for i in range(left.ndim) if i not in ours]
        other = [i for i in range(right.ndim) if i not in theirs]
        made = np.empty((3,) * (len(free) + len(other)), dtype=int)
        for place in np.ndindex(made.shape):
            terms: Counter[tuple[int, int]] = Counter()
            for inner in product(range(3), repeat=len(ours)):
                at, to = [0] * left.ndim, [0] * right.ndim
                mine = place[: len(free)]
                for axis, value in zip((*free, *ours), (*mine, *inner), strict=True):
                    at[axis] = value
                rest = place[len(free) :]
                for axis, value in zip((*other, *theirs), (*rest, *inner), strict=True):
                    to[axis] = value
                pair = sorted((int(left[tuple(at)]), int(right[tuple(to)])))
                terms[pair[0], pair[1]] += 1
            made[place] = self._sum(tuple(sorted(terms.items())))
        return made

    def _sum(self, terms: tuple[tuple[tuple[int, int], int], ...]) -> int:
        if terms not in self._sums:
            number = self._sums[terms] = len(self.basic) + len(self._sums)
            self.times += [(a, b, count, number) for (a, b), count in terms]
        return self._sums[terms]

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return len(self.basic) + len(self._sums)


def _moments(tree: Node, found: set[tuple[int, int]]) -> None:
    if isinstance(tree[0], list):
        _moments(tree[0], found)
        _moments(tree[1], found)
    else:
        found.add((tree[0], tree[1]))


def untrained(level: int, folder: Path, cutoff: float, size: int, least: float) -> dict[str, Any]:
    """What `motep.potentials.mtp.data.MTPData` takes for one element.

    Args:
        level: even, 2 to 24.
        folder: with motep's moments_levelN.json.
        cutoff: Å.
        size: Chebyshev polynomials of each radial function.
        least: Å, where they begin.
    """
    trees = json.loads((folder / f"moments_level{level}.json").read_text())
    numbering = Numbering(trees)
    mapping = [int(numbering.tensor(tree)) for tree in trees]
    return {
        "version": "1.1.0",
        "potential_name": f"MTP{level}",
        "scaling": 1.0,
        "species_count": 1,
        "potential_tag": "",
        "radial_basis": {"type": "RBChebyshev", "min": least, "max": cutoff, "size": size},
        "radial_funcs_count": max(one[0] for one in numbering.basic) + 1,
        "alpha_moments_count": numbering.count,
        "alpha_index_basic_count": len(numbering.basic),
        "alpha_index_basic": np.array(numbering.basic, dtype=np.int32),
        "alpha_index_times_count": len(numbering.times),
        "alpha_index_times": np.array(numbering.times, dtype=np.int32).reshape(-1, 4),
        "alpha_scalar_moments": len(mapping),
        "alpha_moment_mapping": np.array(mapping, dtype=np.int32),
    }
