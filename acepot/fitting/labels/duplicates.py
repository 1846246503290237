"""Structures that are there twice, with the same labels or with others.

Two periodic structures are the same if their cells have the same lengths and angles and a
translation, or an inversion, takes the atoms of one to those of the other. Only those are tried
whose structure factors |Σ_j w_j exp(2πi h·s_j)|, with a weight for every element, are of the same
size for all small h: neither a motion in space, nor the order of atoms or the images that stand for
them, changes these. Molecules are the same if all their distances are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.fitting.labels.findings import Finding, named, strange
from acepot.structure import Structure

__all__ = ["Twins", "duplicates", "findings", "line"]

Floats = NDArray[np.float64]
#: Lengths are the same up to this in Å, sizes of structure factors up to this part of their sum.
_SAME, _SAME_PART = 2e-4, 2e-4
#: Indices h that are compared go up to this.
_INDEX = 1
#: Å; a vector of this length stands where a cell has none.
_LENGTH = 10.0
#: Numbers held at once.
_HELD = 2_000_000
#: Structures of so many atoms are compared: no one has larger ones twice by chance.
_MOST_ATOMS = 2000
#: Energies in eV/atom and forces in eV/Å that differ by more are other labels.
_OTHER_ENERGY, _OTHER_FORCES = 2e-3, 0.02


@dataclass(frozen=True, eq=False)
class Twins:
    """Two structures that are the same but for a motion in space and the order of atoms.

    Args:
        first: of them, in the order of the files.
        second: the other one.
        energy: by how much their energies differ in eV/atom; 0 where one has none.
        forces: by how much the sizes of their forces differ at most in eV/Å, likewise.
        places: numbers of the two among the structures that were looked at.
    """

    first: Structure
    second: Structure
    energy: float
    forces: float
    places: tuple[int, int]

    @property
    def contradicts(self) -> bool:
        """Whether the two have other labels."""
        return self.energy > _OTHER_ENERGY or self.forces > _OTHER_FORCES


def duplicates(structures: Sequence[Structure]) -> list[Twins]:
    """Find structures that are the same.

    A structure that is there many times is one pair of twins with the first for each further time.

    Args:
        structures: in the order of their files; those of one atom and very large ones are left out.
    """
    groups: dict[tuple[bytes, bytes], list[int]] = {}
    for index, one in enumerate(structures):
        if 1 < len(one) <= _MOST_ATOMS:
            key = (np.sort(one.numbers).tobytes(), one.pbc.tobytes())
            groups.setdefault(key, []).append(index)
    found = [
        _twins(structures, members[first], members[other])
        for members in groups.values()
        if len(members) > 1
        for first, other in _pairs([structures[i] for i in members])
    ]
    return sorted(found, key=lambda twins: twins.places[1])


def _pairs(group: Sequence[Structure]) -> Iterator[tuple[int, int]]:
    """Members of a group of the same elements that are the same, each with the first such one."""
    from scipy.spatial import cKDTree

    periodic = bool(group[0].pbc.any())
    marks = _periodic_marks(group) if periodic else _distance_marks(group)
    near = cKDTree(marks).query_pairs(1.0, p=np.inf)
    same = _match if periodic else _same_distances
    first = list(range(len(group)))
    for a, b in sorted(near):
        if first[a] == a and first[b] == b and same(group[a], group[b]):
            first[b] = a
            yield a, b


def _match(one: Structure, other: Structure) -> bool:
    """Whether a translation, or an inversion and one, takes each atom to one of its element.

    Structures may have all structure factors in common and yet differ: special quasirandom alloys
    are made so.
    """
    from scipy.spatial import cKDTree

    cell = _whole(one)
    parts = [s.positions @ np.linalg.inv(_whole(s)) for s in (one, other)]
    numbers, counts = np.unique(one.numbers, return_counts=True)
    rare = numbers[counts.argmin()]
    start = parts[0][np.flatnonzero(one.numbers == rare)[0]]
    tree = cKDTree(parts[1] % 1.0 % 1.0, boxsize=1.0)
    for sign in (1.0, -1.0):
        moved = sign * (parts[0] - start)
        for target in np.flatnonzero(other.numbers == rare):
            places = (moved + parts[1][target]) % 1.0 % 1.0
            _, nearest = tree.query(places)
            apart = places - parts[1][nearest]
            apart = (apart - np.round(apart)) @ cell
            if (
                np.abs(apart).max() < _SAME
                and len(np.unique(nearest)) == len(nearest)
                and np.array_equal(other.numbers[nearest], one.numbers)
            ):
                return True
    return False


def _same_distances(one: Structure, other: Structure) -> bool:
    """Whether all distances of two molecules are the same."""
    return float(np.abs(_distances(one) - _distances(other)).max()) <= 1.0


def _periodic_marks(group: Sequence[Structure]) -> Floats:
    """Cells and sizes of structure factors in units of what is the same, a row a structure."""
    cells = np.array([_whole(one) for one in group])
    metric = np.einsum("mai,mbi->mab", cells, cells)[:, *np.triu_indices(3)]
    lengths = np.sqrt(np.einsum("mai,mai->m", cells, cells))
    indices = np.array(np.meshgrid(*3 * [np.arange(-_INDEX, _INDEX + 1)])).reshape(3, -1).T
    indices = indices[len(indices) // 2 + 1 :]  # h and -h are one
    sizes = np.empty((len(group), len(indices)))
    step = max(1, _HELD // (len(group[0]) * len(indices)))
    for begin in range(0, len(group), step):
        some = slice(begin, begin + step)
        parts = np.array([one.positions for one in group[some]]) @ np.linalg.inv(cells[some])
        weights = np.sqrt(np.array([one.numbers for one in group[some]], dtype=float))
        waves = np.exp(2j * np.pi * parts @ indices.T)  # [m, j, h]
        sizes[some] = np.abs(np.einsum("mj,mjh->mh", weights, waves)) / weights.sum(axis=1)[:, None]
    return np.hstack([metric / (lengths[:, None] * _SAME), sizes / _SAME_PART])


def _whole(structure: Structure) -> Floats:
    """The cell, with vectors of one length across where there are none."""
    cell = np.array(structure.cell)
    lacking = ~cell.any(axis=1)
    if lacking.any():
        across = np.linalg.svd(cell[~lacking])[2][3 - int(lacking.sum()) :]
        cell[lacking] = _LENGTH * across
    return cell


def _distance_marks(group: Sequence[Structure]) -> Floats:
    """Means of distances, plain and weighted, in units of what is the same, a row a structure."""
    marks = []
    for one in group:
        lengths, weights = _pair_distances(one)
        marks.append((lengths.mean(), (weights * lengths).sum() / weights.sum(), lengths.max()))
    return np.array(marks) / _SAME


def _pair_distances(structure: Structure) -> tuple[Floats, Floats]:
    """Distances of all pairs, and a weight of each by its elements."""
    i, j = np.triu_indices(len(structure), 1)
    vectors = np.asarray(structure.positions)[i] - np.asarray(structure.positions)[j]
    lengths = np.linalg.norm(vectors, axis=1)
    return lengths, np.sqrt(structure.numbers[i] * structure.numbers[j])


def _distances(structure: Structure) -> Floats:
    """Distances sorted among pairs of the same weight, in units of what is the same."""
    lengths, weights = _pair_distances(structure)
    return np.asarray(lengths[np.lexsort((lengths, weights))]) / _SAME


def _twins(structures: Sequence[Structure], one: int, other: int) -> Twins:
    first, second = structures[one], structures[other]
    energy = forces = 0.0
    if first.energy is not None and second.energy is not None:
        energy = abs(first.energy - second.energy) / len(first)
    if first.forces is not None and second.forces is not None:
        both = (np.asarray(first.forces), np.asarray(second.forces))
        sizes = [np.sort(np.linalg.norm(f, axis=1)) for f in both]
        forces = float(np.abs(sizes[0] - sizes[1]).max())
    return Twins(first, second, energy, forces, (one, other))


def findings(
    twins: Sequence[Twins], train: Sequence[Structure], test: Sequence[Structure]
) -> Iterator[Finding]:
    """Structures that are there twice with other labels, and test structures that are trained.

    Args:
        twins: among all of them, training structures first.
        train: training structures.
        test: test structures.
    """
    count = len(train)
    within = [t for t in twins if t.places[1] < count]
    leaked = [t for t in twins if t.places[0] < count <= t.places[1]]
    if other := [t for t in within if t.contradicts]:
        worst = max(other, key=lambda t: t.energy)
        yield strange(
            f"{named([t.second for t in other])}: the same as {named([t.first for t in other])}, "
            f"but with other labels (energies up to {1000 * worst.energy:.3g} meV/atom, forces up "
            f"to {max(t.forces for t in other):.2g} eV/Å apart); keep one of them"
        )
    if leaked:
        yield strange(
            f"{named([t.second for t in leaked])}: {len(leaked)} of {len(test)} test structures "
            f"are training structures too ({named([t.first for t in leaked])}); their errors are "
            "not those of a test"
        )


def line(twins: Sequence[Twins], train: Sequence[Structure]) -> str:
    """How many training structures are there already, for people; "" if none is.

    Args:
        twins: among them, and others after them.
        train: training structures.
    """
    equal = [t.second for t in twins if not t.contradicts and t.places[1] < len(train)]
    if not equal:
        return ""
    return (
        f"duplicates: {len(equal)} of {len(train)} structures are there already, and count twice: "
        f"{named(equal)}"
    )
