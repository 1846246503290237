"""Ways for atoms to come close: dimers, trimers and squeezed cells, scaled down step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from acepot.basis.choices import BOND_LENGTHS
from acepot.basis.species import SYMBOLS
from acepot.structure import Structure

__all__ = ["ANGLES", "Path", "Reach", "cells", "dimers", "trimers"]

Floats = NDArray[np.float64]

#: Bond length in Å of elements that the table does not have.
_BOND = 3.0
#: Where atoms overlap: this part of the shortest distance of the data, or of the bond length where
#: the data are not known. The shortest bonds there are lie above (Cr2 0.67, N2 0.69, H-F 0.64).
_OF_SHORTEST, _OF_BOND = 0.7, 0.6
#: Distance in Å to which atoms come, unless the tables of a model begin before.
_CLOSEST = 0.2
#: Angles of trimers between two legs of equal relative length, in degrees.
ANGLES = (180, 140, 110, 90, 75, 60, 45)
#: Squeezed cells: volume of an atom in cubes of the mean bond length (close packing has 0.71), the
#: scales between which they are squeezed (densities 0.25 to 8), atoms, and how close these are.
_VOLUME, _WIDE, _TIGHT, _MOST_ATOMS, _APART = 0.92, 1.6, 0.5, 8, (0.5, 0.8)


@dataclass(frozen=True)
class Reach:
    """Distances in Å that tell where two elements overlap.

    Args:
        shortest: shortest distance in the training data by pair of atomic numbers, the smaller one
            first; pairs that are absent were never seen.
        begin: where a model's tables begin, likewise, for all pairs.
        cutoff: of the model, likewise.
    """

    shortest: Mapping[tuple[int, int], float]
    begin: Mapping[tuple[int, int], float]
    cutoff: Mapping[tuple[int, int], float]

    def seen(self, pair: tuple[int, int]) -> float:
        """Below this there are no data; where they are not known, as `overlap`."""
        return self.shortest.get(pair, self.overlap(pair))

    def overlap(self, pair: tuple[int, int]) -> float:
        """Below this two atoms overlap: there is no bond so short."""
        if (known := self.shortest.get(pair)) is not None:
            return _OF_SHORTEST * known
        return _OF_BOND * bond(*pair)

    def closest(self, pair: tuple[int, int]) -> float:
        """To this distance they come."""
        return max(_CLOSEST, self.begin[pair] * (1 + 1e-9))


@dataclass(frozen=True, eq=False)
class Path:
    """Atoms that come closer step by step, all distances in proportion.

    Args:
        kind: dimer, trimer or squeezed cell.
        name: which of them.
        numbers: atomic numbers, shape (n,).
        places: positions at scale 1 in Å, shape (n, 3).
        cell: lattice vectors as rows, likewise, all zero if nothing repeats.
        scales: of the steps, falling, shape (m,).
        distance: the shortest distance at scale 1 in Å.
        unseen: scale below which every atom has a neighbour closer than the data.
        overlap: scale below which every atom overlaps with another.
    """

    kind: str
    name: str
    numbers: NDArray[np.int64]
    places: Floats
    cell: Floats
    scales: Floats
    distance: float
    unseen: float
    overlap: float

    def structure(self, step: int) -> Structure:
        """The atoms at a step."""
        scale = self.scales[step]
        repeats = bool(self.cell.any())
        return Structure(
            self.numbers, self.places * scale, self.cell * scale, repeats,
            config_type=self.kind.replace(" ", "_"),
            name=f"{self.kind} {self.name} at {scale * self.distance:.3g} Å",
        )  # fmt: skip


def bond(a: int, b: int) -> float:
    """A typical bond length of two elements in Å."""
    return (BOND_LENGTHS.get(a, _BOND) + BOND_LENGTHS.get(b, _BOND)) / 2


def dimers(numbers: Sequence[int], reach: Reach, steps: int) -> Iterator[Path]:
    """Two atoms of every pair of elements, from the cut-off inwards."""
    for pair in combinations_with_replacement(sorted(numbers), 2):
        places = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
        scales = np.linspace(reach.cutoff[pair], reach.closest(pair), steps)
        yield _path(
            "dimer", _symbols(pair), np.array(pair), places, np.zeros((3, 3)), scales, reach
        )


def trimers(
    numbers: Sequence[int], reach: Reach, steps: int, angles: Sequence[int], most: int,
    rng: np.random.Generator,
) -> Iterator[Path]:  # fmt: skip
    """A central atom with two others under several angles, legs as long as bonds are.

    Args:
        numbers: atomic numbers of the elements.
        reach: distances.
        steps: on every path.
        angles: between the legs, in degrees.
        most: triples of elements; where there are more, as many are drawn.
        rng: draws them.
    """
    elements = sorted(numbers)
    triples = [
        (centre, *ends)
        for centre in elements
        for ends in combinations_with_replacement(elements, 2)
    ]
    if len(triples) > most:
        triples = [triples[k] for k in sorted(rng.choice(len(triples), most, replace=False))]
    for centre, first, second in triples:
        for angle in angles:
            turn = np.deg2rad(angle)
            places = np.zeros((3, 3))
            places[1, 0] = bond(centre, first)
            places[2, :2] = bond(centre, second) * np.array([np.cos(turn), np.sin(turn)])
            kinds = np.array([centre, first, second])
            path = _path(
                "trimer", f"{_symbols((first, centre, second))} {angle}°", kinds, places,
                np.zeros((3, 3)), np.ones(1), reach,
            )  # fmt: skip
            low = max(reach.closest(pair) / d for pair, d in _nearest(path).items())
            high = max(3.0 * path.unseen, 1.2 * low)
            yield _with(path, np.geomspace(high, low, steps))


def cells(
    numbers: Sequence[int], reach: Reach, steps: int, count: int, rng: np.random.Generator
) -> Iterator[Path]:
    """Triclinic cells of random atoms and composition, squeezed.

    Args:
        numbers: atomic numbers of the elements.
        reach: distances.
        steps: on every path.
        count: of cells.
        rng: draws them.
    """
    for index in range(count):
        kinds = np.sort(rng.choice(numbers, int(rng.integers(2, _MOST_ATOMS + 1))))
        length = float(np.mean([bond(z, z) for z in kinds]))
        edge = length * (_VOLUME * len(kinds)) ** (1 / 3)
        cell = edge * (np.eye(3) + rng.uniform(-0.2, 0.2, (3, 3)))
        cell *= edge / abs(np.linalg.det(cell)) ** (1 / 3)
        places = _apart(kinds, cell, float(rng.uniform(*_APART)), rng)
        name = f"{index} ({_formula(kinds)})"
        path = _path("squeezed cell", name, kinds, places, cell, np.ones(1), reach)
        low = max(_TIGHT, *(reach.closest(pair) / d for pair, d in _nearest(path).items()))
        if low < 0.95 * _WIDE:
            yield _with(path, np.geomspace(_WIDE, low, steps))


def _apart(kinds: NDArray[np.int64], cell: Floats, part: float, rng: np.random.Generator) -> Floats:
    """Random places no closer than a part of the bond length, or as far apart as they get."""
    places = np.zeros((0, 3))
    for number, kind in enumerate(kinds):
        tries = rng.random((40, 3)) @ cell
        if number:
            lengths = np.array([bond(int(kind), int(other)) for other in kinds[:number]])
            ratios = (_distances(tries, places, cell).min(axis=-1) / lengths).min(axis=1)
            good = np.flatnonzero(ratios > part)
            chosen = tries[good[0] if len(good) else ratios.argmax()]
        else:
            chosen = tries[0]
        places = np.concatenate((places, chosen[None]))
    return places


def _distances(a: Floats, b: Floats, cell: Floats) -> Floats:
    """From each of a to each of b in their nearest images, shape (a, b, images)."""
    shifts = np.zeros((1, 3))
    if cell.any():
        grid = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1)
        shifts = grid.reshape(-1, 3) @ cell
    return np.asarray(np.linalg.norm(b[None, :, None] + shifts - a[:, None, None], axis=-1))


def _by_atoms(path: Path) -> Floats:
    """Shortest distance of every two atoms at scale 1 in Å, images included, shape (n, n)."""
    found = _distances(path.places, path.places, path.cell)
    found[found < 1e-9] = np.inf  # an atom itself
    return np.asarray(found.min(axis=-1))


def _nearest(path: Path) -> dict[tuple[int, int], float]:
    """Shortest distance at scale 1 by pair of elements."""
    lengths, found = _by_atoms(path), dict[tuple[int, int], float]()
    for i, a in enumerate(path.numbers.tolist()):
        for j, b in enumerate(path.numbers.tolist()):
            pair = (min(a, b), max(a, b))
            if np.isfinite(lengths[i, j]):
                found[pair] = min(float(lengths[i, j]), found.get(pair, np.inf))
    return found


def _path(
    kind: str, name: str, numbers: NDArray[np.int64], places: Floats, cell: Floats,
    scales: Floats, reach: Reach,
) -> Path:  # fmt: skip
    """A path with the scales at which its atoms get where no data are, and overlap."""
    path = Path(kind, name, numbers, places, cell, scales, 0.0, 0.0, 0.0)
    lengths, pairs = _by_atoms(path), [(a, b) for a in numbers.tolist() for b in numbers.tolist()]

    def below(limit: Mapping[tuple[int, int], float]) -> float:
        limits = np.array([limit[min(p), max(p)] for p in pairs]).reshape(lengths.shape)
        return float((limits / lengths).max(axis=1).min())

    kinds = {(min(p), max(p)) for p in pairs}
    unseen = below({pair: reach.seen(pair) for pair in kinds})
    overlap = below({pair: reach.overlap(pair) for pair in kinds})
    return Path(kind, name, numbers, places, cell, scales, float(lengths.min()), unseen, overlap)


def _with(path: Path, scales: Floats) -> Path:
    return Path(
        path.kind, path.name, path.numbers, path.places, path.cell, scales, path.distance,
        path.unseen, path.overlap,
    )  # fmt: skip


def _symbols(numbers: Sequence[int]) -> str:
    return "-".join(SYMBOLS[z] for z in numbers)


def _formula(numbers: NDArray[np.int64]) -> str:
    kinds, counts = np.unique(numbers, return_counts=True)
    return "".join(
        f"{SYMBOLS[z]}{c if c > 1 else ''}"
        for z, c in zip(kinds.tolist(), counts.tolist(), strict=True)
    )
