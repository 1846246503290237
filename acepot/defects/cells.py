"""Cells with a defect: which atoms are where on the lattice, and how their bonds are deformed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.neighbours import build
from acepot.properties.crystals import repeated
from acepot.structure import Structure

__all__ = ["DefectCell", "defect_cell", "shortest"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Bonds are those up to this part of the shortest distance; dumbbells are so long.
_BONDS, _DUMBBELL = 1.1, 0.8


@dataclass(frozen=True, eq=False)
class DefectCell:
    """A cell with one defect, its atoms on lattice sites but for those of a dumbbell.

    Args:
        structure: as it was made, not relaxed.
        first: of each directed bond (ℓ, ℓ + ρ) of nearest neighbours the first atom.
        second: the second atom.
        distance: of each atom from the defect in Å, the nearest image.
    """

    structure: Structure
    first: Ints
    second: Ints
    distance: Floats

    def strains(self, displacements: Floats) -> Floats:
        """|D_ρ u(ℓ)| of every bond in Å, shape (bonds,)."""
        change = displacements[self.second] - displacements[self.first]
        return np.asarray(np.linalg.norm(change, axis=1))

    def norm(self, displacements: Floats, beyond: float = 0.0, power: int = 1) -> float:
        """(Σ_ℓ Σ_ρ |D_ρ u|^2p)^½ over bonds that begin beyond a distance from the defect.

        Args:
            displacements: u in Å, shape (n, 3).
            beyond: distance in Å.
            power: p.
        """
        kept = self.distance[self.first] >= beyond
        return float(np.sqrt((self.strains(displacements)[kept] ** (2 * power)).sum()))

    def profile(self, displacements: Floats) -> tuple[Floats, Floats]:
        """Distances from the defect, and (Σ_ρ |D_ρ u|²)^½ of each atom, nearest first."""
        sums = np.bincount(
            self.first, self.strains(displacements) ** 2, minlength=len(self.structure)
        )
        order = np.argsort(self.distance)
        return self.distance[order], np.sqrt(sums)[order]

    def split(self, forces: Floats, at: float) -> tuple[float, float]:
        """(Σ |f|²)^½ of atoms closer to the defect than a distance, and of the others."""
        squares = (forces**2).sum(axis=1)
        near = self.distance < at
        return float(np.sqrt(squares[near].sum())), float(np.sqrt(squares[~near].sum()))


def defect_cell(crystal: Structure, defect: str, size: int) -> DefectCell:
    """A defect in size³ cells of a crystal.

    Args:
        crystal: one cell, at rest.
        defect: its name (`settings.DEFECTS`).
        size: cells along each vector.
    """
    whole = repeated(crystal, np.array([size] * 3))
    length = shortest(crystal)
    edges = build(whole, _BONDS * length)
    out, added = _CHANGES[defect.split()[0]](whole, edges.centre, edges.neighbour, edges.vector,
                                              defect, length)  # fmt: skip
    keep = np.setdiff1d(np.arange(len(whole)), out)
    place = np.full(len(whole), -1)
    place[keep] = np.arange(len(keep))
    bonds = (place[edges.centre] >= 0) & (place[edges.neighbour] >= 0)
    positions = np.vstack([whole.positions[keep], added])
    numbers = np.append(whole.numbers[keep], np.full(len(added), whole.numbers[0]))
    structure = Structure(numbers, positions, whole.cell, True, name=f"{defect} in {size}³ cells")
    middle = _middle(whole, out)
    return DefectCell(
        structure,
        place[edges.centre[bonds]],
        place[edges.neighbour[bonds]],
        _distances(structure, middle),
    )


def shortest(crystal: Structure) -> float:
    """The shortest distance of two atoms of a crystal in Å."""
    shifts = np.array(list(np.ndindex(3, 3, 3))) - 1
    apart = (
        crystal.positions[None, :, None] + shifts @ crystal.cell - crystal.positions[:, None, None]
    )
    lengths = np.linalg.norm(apart, axis=-1)
    return float(lengths[lengths > 1e-6].min())


_Change = Callable[[Structure, Ints, Ints, Floats, str, float], tuple[Ints, Floats]]


def _vacancy(
    whole: Structure, first: Ints, second: Ints, vectors: Floats, defect: str, length: float
) -> tuple[Ints, Floats]:
    return np.array([0]), np.zeros((0, 3))


def _divacancy(
    whole: Structure, first: Ints, second: Ints, vectors: Floats, defect: str, length: float
) -> tuple[Ints, Floats]:
    return np.array([0, int(second[np.flatnonzero(first == 0)[0]])]), np.zeros((0, 3))


def _dumbbell(
    whole: Structure, first: Ints, second: Ints, vectors: Floats, defect: str, length: float
) -> tuple[Ints, Floats]:
    along = np.array([float(c) for c in defect.split()[1]]) @ (
        whole.cell / np.linalg.norm(whole.cell, axis=1)[:, None]
    )
    half = along / np.linalg.norm(along) * length * _DUMBBELL / 2
    return np.array([0]), whole.positions[0] + np.array([half, -half])


_CHANGES: dict[str, _Change] = {
    "vacancy": _vacancy, "divacancy": _divacancy, "dumbbell": _dumbbell,
}  # fmt: skip


def _middle(whole: Structure, out: Ints) -> Floats:
    """The middle of what was taken out, of nearest images."""
    first = whole.positions[out[0]]
    apart = _nearest(whole.positions[out] - first, whole.cell)
    return np.asarray(first + apart.mean(axis=0))


def _distances(structure: Structure, middle: Floats) -> Floats:
    return np.asarray(
        np.linalg.norm(_nearest(structure.positions - middle, structure.cell), axis=1)
    )


def _nearest(vectors: Floats, cell: Floats) -> Floats:
    """The shortest images of vectors in a cell whose corners are not sharp."""
    fractions = vectors @ np.linalg.inv(cell)
    fractions -= np.rint(fractions)
    shifts = (np.array(list(np.ndindex(3, 3, 3))) - 1) @ cell
    every = (fractions @ cell)[:, None] + shifts
    best = np.argmin((every**2).sum(axis=-1), axis=1)
    return np.asarray(every[np.arange(len(vectors)), best])
